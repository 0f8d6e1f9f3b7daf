# test/server.sh: sourced by the scripts of make test, make demo and make bench.
#
# From nothing to a private server with behavpred in it: packages, an unprivileged
# user, a private copy of the sources and of PostgreSQL's files, a build, initdb.
# PostgreSQL finds its files relative to its own program, so a copy of them is a
# complete installation: nothing is written into the system's, several of these can
# run at once, and it needs no root once the packages are there.

set -euo pipefail

# What `make demo DATA=file` was told must not reach the make that builds.
unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES

project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PG_CONFIG=${PG_CONFIG:-pg_config}
# PostgreSQL's own macros compare signed with unsigned; the unit tests build the core without
# this exception.
extra_cflags='-Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare'

say()
{
	printf '%s\n' "$*"
}

fail()
{
	printf 'behavpred: %s\n' "$*" >&2
	exit 1
}

# Major version to use: that of PG_CONFIG, else what this Debian release ships.
postgres_major()
{
	local version

	if version=$("$PG_CONFIG" --version 2>/dev/null); then
		version=${version#PostgreSQL }
		say "${version%%[!0-9]*}"
	else
		say 15
	fi
}

package_installed()
{
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Where PG_CONFIG is not Debian's, PostgreSQL is whoever's who set it: no package.
packaged_postgres()
{
	local bindir

	bindir=$("$PG_CONFIG" --bindir 2>/dev/null) || return 0
	case $bindir in
		/usr/lib/postgresql/*) return 0 ;;
	esac
	return 1
}

# Install the named Debian packages that are missing; as root only, else say how.
# Installing a PostgreSQL server package also makes and starts a cluster, which nobody
# asked for here: switched off while it is installed.
need_packages()
{
	local missing=() package no_cluster=/etc/postgresql-common/createcluster.d/behavpred.conf

	command -v dpkg-query >/dev/null || return 0
	for package in "$@"; do
		package_installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} -gt 0 ] || return 0

	if [ "$(id -u)" != 0 ]; then
		fail "missing packages; as root: apt-get install --no-install-recommends ${missing[*]}"
	fi
	say "# installing ${missing[*]}"
	mkdir -p "${no_cluster%/*}"
	say 'create_main_cluster = false' >"$no_cluster"
	{
		DEBIAN_FRONTEND=noninteractive apt-get -q update &&
		DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${missing[@]}"
	} >"$scratch/apt.log" 2>&1 </dev/null || {
		rm -f "$no_cluster"
		tail -n 20 "$scratch/apt.log" >&2
		fail "apt-get could not install ${missing[*]}"
	}
	rm -f "$no_cluster"
}

# What building and running needs, for need_packages().
build_packages()
{
	local major

	major=$(postgres_major)
	say gcc make pkg-config libc6-dev libopenblas-dev
	if packaged_postgres; then
		say "postgresql-$major postgresql-server-dev-$major"
	fi
}

# A directory of our own, removed by whoever made it; servers refuse root, so as root
# everything below it belongs to, and runs as, an unprivileged user.
make_scratch()
{
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/behavpred-$1.XXXXXX")
	chmod 755 "$scratch"
}

choose_user()
{
	run_as=()
	server_user=$(id -un)
	[ "$(id -u)" = 0 ] || return 0
	server_user=postgres
	id -u "$server_user" >/dev/null 2>&1 || server_user=nobody
	run_as=(runuser -u "$server_user" --)
}

# Run a command as the unprivileged user, from a directory he can read.
unprivileged()
{
	(cd "$scratch" && HOME=$scratch exec "${run_as[@]}" "$@")
}

hand_over()
{
	[ ${#run_as[@]} -eq 0 ] || chown -R "$server_user" "$@"
}

# Copy PostgreSQL's files to $scratch/postgres, keeping their places relative to each other.
copy_postgres()
{
	local kind directory

	for kind in bindir sharedir pkglibdir includedir-server; do
		directory=$("$PG_CONFIG" "--$kind")
		mkdir -p "$scratch/postgres${directory%/*}"
		cp -RL --no-preserve=ownership "$directory" "$scratch/postgres${directory%/*}/"
	done
	bin=$scratch/postgres$("$PG_CONFIG" --bindir)
	private_pg_config=$bin/pg_config
}

# Copy the sources, build them with warnings as errors, install into the copy.
build_and_install()
{
	source_copy=$scratch/source
	mkdir -p "$source_copy"
	tar -C "$project" --exclude=./.git --exclude=./build --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . |
		tar -C "$source_copy" --no-same-owner -xf -
	make -s -C "$source_copy" -j "$(nproc)" PG_CONFIG="$private_pg_config" COPT="$extra_cflags" \
		all >"$scratch/build.log" 2>&1 &&
	make -s -C "$source_copy" PG_CONFIG="$private_pg_config" COPT="$extra_cflags" \
		install >>"$scratch/build.log" 2>&1 || {
		cat "$scratch/build.log" >&2
		fail "the build failed"
	}
}

# Everything up to an installed extension; arguments are further packages.
prepare()
{
	need_packages $(build_packages) "$@"
	"$PG_CONFIG" --version >/dev/null 2>&1 || fail "no PostgreSQL to build for: PG_CONFIG is $PG_CONFIG, which does not run"
	choose_user
	copy_postgres
	build_and_install
	hand_over "$scratch"
}

# run_server [options of postgres]
run_server()
{
	unprivileged "$bin/pg_ctl" -s -w -D "$data" -l "$scratch/server.log" ${1:+-o "$1"} start || {
		unprivileged cat "$scratch/server.log" >&2
		fail "the private server did not start"
	}
}

# start_server PORT [configuration line ...]: a server on a socket that only its user
# and root can reach. Sets PGHOST, PGPORT, PGUSER, PGDATABASE for what follows.
start_server()
{
	local port=$1 line

	shift
	data=$scratch/data
	sockets=$scratch/socket
	mkdir -m 700 "$sockets"
	hand_over "$sockets"
	unprivileged "$bin/initdb" -D "$data" -U postgres --auth-local=trust --auth-host=reject -E UTF8 --locale=C.UTF-8 --no-sync \
		>"$scratch/initdb.log" 2>&1 || {
		cat "$scratch/initdb.log" >&2
		fail "initdb failed"
	}
	{
		say "port = $port"
		say "unix_socket_directories = '$sockets'"
		say "listen_addresses = ''"
		say "fsync = off"
		say "shared_buffers = 256MB"
		say "max_wal_size = 4GB"
		for line in "$@"; do
			say "$line"
		done
	} | unprivileged tee -a "$data/postgresql.conf" >/dev/null
	run_server
	export PGHOST=$sockets PGPORT=$port PGUSER=postgres PGDATABASE=postgres PATH=$bin:$PATH
	unset PGOPTIONS PGSERVICE PGSSLMODE PGPASSFILE PGTZ PGCLIENTENCODING
}

stop_server()
{
	[ -n "${data:-}" ] && [ -f "$data/postmaster.pid" ] || return 0
	unprivileged "$bin/pg_ctl" -s -w -m fast -D "$data" stop || true
}
