#!/usr/bin/env bash
# pg_regress.sh PROGRAM SOURCES: PostgreSQL's own regression tests on a branch and on a server on ext4 beside it. SOURCES holds
# src/test/regress of PostgreSQL's source package with regress.so built in it, readable by everybody. Fails when the branch
# fails a test that the other side passes. Run as root.
set -euo pipefail
program=$1 sources=$2
postgres=/usr/lib/postgresql/15/bin
pg_regress=/usr/lib/postgresql/15/lib/pgxs/src/test/regress/pg_regress

work=$(mktemp -d /var/tmp/pgstrata-regress.XXXXXX)
export PGSTRATA_HOME=$work/home
finish() {
  "$program" branch stop regress 2>/dev/null || true
  "$program" branch drop regress --force 2>/dev/null || true
  [ ! -e "$work/native/postmaster.pid" ] || as_postgres "$postgres/pg_ctl" -D "$work/native" -m immediate stop >/dev/null
  rm -rf "$work"
}
trap finish EXIT
as_postgres() { (cd / && runuser -u postgres -- "$@"); }
chmod 0755 "$work"
install -d -o postgres "$work/cluster" "$work/native" "$work/socket" "$work/out"

as_postgres "$postgres/initdb" -D "$work/cluster" -A trust -N --locale=C -E UTF8 >/dev/null
cp -a "$work/cluster/." "$work/native/"
as_postgres "$postgres/pg_ctl" -D "$work/native" -l "$work/socket/log" -w start \
  -o "-c listen_addresses='' -c unix_socket_directories=$work/socket -c max_prepared_transactions=2" >/dev/null
"$program" branch create regress --from "$work/cluster"
"$program" branch set regress max_prepared_transactions=2
"$program" branch start regress

# run NAME, with PGHOST and PGPORT in the environment: the names of the tests that pass, one a line.
run() {
  local setting
  as_postgres env PGHOST="$PGHOST" PGPORT="$PGPORT" "$postgres/createdb" -U postgres regression
  for setting in lc_messages lc_monetary lc_numeric lc_time; do
    as_postgres env PGHOST="$PGHOST" PGPORT="$PGPORT" "$postgres/psql" -U postgres -Xqc \
      "ALTER DATABASE regression SET $setting TO 'C'" postgres
  done
  as_postgres "$pg_regress" --use-existing --dbname=regression --user=postgres --host="$PGHOST" --port="$PGPORT" \
    --inputdir="$sources" --dlpath="$sources" --schedule="$sources/parallel_schedule" --bindir="$postgres" \
    --outputdir="$work/out/$1" --max-concurrent-tests=20 >"$work/$1.log" 2>&1 || true
  awk '/\.\.\. ok / { print $1 == "test" ? $2 : $1 }' "$work/$1.log" | sort
}
install -d -o postgres "$work/out/native" "$work/out/branch"
PGHOST=$work/socket PGPORT=5432 run native >"$work/passed.native"
(eval "$("$program" branch env regress)" && run branch) >"$work/passed.branch"
echo "pg_regress: $(wc -l <"$work/passed.native") tests pass on ext4, $(wc -l <"$work/passed.branch") on the branch"
[ "$(wc -l <"$work/passed.native")" -gt 150 ] || { tail -n 20 "$work/native.log" >&2; exit 1; }
if lost=$(comm -23 "$work/passed.native" "$work/passed.branch") && [ -n "$lost" ]; then
  echo "the branch fails:" >&2
  echo "$lost" >&2
  head -n 200 "$work/out/branch/regression.diffs" >&2 || true
  exit 1
fi
