# behavpred: PGXS build. `make demo` and `make test` are the two commands of the README.
EXTENSION = behavpred
MODULE_big = behavpred
DATA = $(wildcard sql/behavpred--*.sql)
OBJS = $(patsubst %.c,%.o,$(wildcard src/*.c src/core/*.c src/pg/*.c))

PKG_CONFIG ?= pkg-config
BLAS_CFLAGS := $(shell $(PKG_CONFIG) --cflags openblas 2>/dev/null)
BLAS_LIBS := $(shell $(PKG_CONFIG) --libs openblas 2>/dev/null || echo -lopenblas)

# The numbers a training gives must not depend on a second compiler: no LLVM bitcode.
with_llvm = no

OPTFLAGS ?= -O3
PG_CPPFLAGS = -Isrc $(BLAS_CFLAGS)
PG_CFLAGS = $(OPTFLAGS) -fno-math-errno -fno-trapping-math
SHLIB_LINK = $(BLAS_LIBS) -lm -lpthread

# Hot loops are compiled for several instruction sets; the fastest is chosen at run time.
ifeq ($(shell uname -m),x86_64)
src/core/kernels_avx2.o: PG_CFLAGS += -mavx2 -mfma
src/core/kernels_avx512.o: PG_CFLAGS += -mavx512f -mavx512vl -mavx512dq -mfma
endif

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)
override with_llvm = no
