# behavpred: PGXS build.
#
#	make, make install		build, and install into the PostgreSQL of PG_CONFIG
#	make demo			see it work [DATA=interactions.csv.gz] [PORT=]
#	make test			every test; make test-long adds the slow ones
#	make bench			quality and time of a training [TRAIN=csv TEST=csv] [ARGUMENTS=]
#	make installcheck		the SQL tests against a server of yours
#	make dist			the archive of the last commit, as PGXN takes it
#
# demo, test, test-long, bench and dist are scripts that install what is missing, build a
# private copy and start a private server, so they must not need PGXS to be there.
EXTENSION = behavpred
MODULE_big = behavpred
EXTENSION_VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" behavpred.control)

# The install script of this version is put together from parts by topic, in this order;
# scripts of earlier versions, and the steps from one to the next, are kept as they are.
SQL_PARTS = catalog grants graphs targets use metrics evaluation explanation neighbours network behaviors models estimate scale views jobs keeping capture refresh model_card report drift nightly time monitoring privileges demo_data
DATA_built = sql/behavpred--$(EXTENSION_VERSION).sql
DATA = $(filter-out $(DATA_built),$(wildcard sql/behavpred--*.sql))
EXTRA_CLEAN = $(DATA_built)
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/core/*.c src/pg/*.c)))

TESTS = $(sort $(wildcard test/sql/*.sql))
REGRESS = $(patsubst test/sql/%.sql,%,$(TESTS))
REGRESS_OPTS = --inputdir=test --load-extension=$(EXTENSION)

PG_CONFIG ?= pg_config
PKG_CONFIG ?= pkg-config

COMMANDS = demo test test-long bench dist
.PHONY: $(COMMANDS)

# The goal when none is named is that of PGXS, not the first script.
.DEFAULT_GOAL = all

demo:
	@PG_CONFIG='$(PG_CONFIG)' DATA='$(if $(filter command line environment,$(origin DATA)),$(DATA))' PORT='$(PORT)' test/demo/run

test:
	@PG_CONFIG='$(PG_CONFIG)' test/run

test-long:
	@PG_CONFIG='$(PG_CONFIG)' test/run --long

bench:
	@PG_CONFIG='$(PG_CONFIG)' test/bench/quality $(if $(TRAIN),'$(TRAIN)' '$(TEST)' $(if $(ARGUMENTS),'$(ARGUMENTS)'))

# The same commit gives the same bytes: entries carry its time, in UTC.
DIST_NAME = behavpred-$(shell sed -n 's/^  "version": "\(.*\)",/\1/p' META.json)

dist:
	TZ=UTC git archive --format=zip -9 --prefix=$(DIST_NAME)/ -o $(DIST_NAME).zip HEAD

ifneq ($(if $(MAKECMDGOALS),$(filter-out $(COMMANDS),$(MAKECMDGOALS)),all),)

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifeq ($(wildcard $(PGXS)),)
$(error No PostgreSQL to build for: "$(PG_CONFIG) --pgxs" names no file. On Debian: \
apt-get install postgresql-15 postgresql-server-dev-15 libopenblas-dev pkg-config gcc; \
elsewhere set PG_CONFIG to the pg_config of your server)
endif

BLAS_CFLAGS := $(shell $(PKG_CONFIG) --cflags openblas 2>/dev/null)
BLAS_LIBS := $(shell $(PKG_CONFIG) --libs openblas 2>/dev/null || echo -lopenblas)

OPTFLAGS ?= -O3
PG_CPPFLAGS = -Isrc $(BLAS_CFLAGS)
PG_CFLAGS = $(OPTFLAGS) -fno-math-errno -fno-trapping-math -Wno-psabi
# Symbols of ours come before those of the server that have the same name.
SHLIB_LINK = -Wl,-Bsymbolic $(BLAS_LIBS) -lm -lpthread

# The numbers a training gives must not depend on a second compiler: no LLVM bitcode.
override with_llvm = no

include $(PGXS)

# Hot loops are compiled for several instruction sets; the fastest is chosen at run time.
# PGXS has copied PG_CFLAGS into CFLAGS by now, with "override", so this needs it too.
ifeq ($(shell uname -m),x86_64)
src/core/kernels_avx2.o: override CFLAGS += -mavx2 -mfma
src/core/kernels_avx512.o: override CFLAGS += -mavx512f -mavx512bw
endif

$(DATA_built): $(SQL_PARTS:%=sql/parts/%.sql) behavpred.control
	cat $(SQL_PARTS:%=sql/parts/%.sql) >$@

# PGXS does not follow headers.
$(OBJS): $(wildcard src/core/*.h src/pg/*.h)

endif
