#!/usr/bin/env bash
# posix.sh PROGRAM TOOLS SECONDS: pjdfstest on a mount and on the file system beside it, then fsx on the mount for SECONDS.
# TOOLS is the directory of the two programs. Fails when the mount fails a case that the file system beside it passes, or
# when fsx reads what it did not write. Run as root: changing owners is a part of it.
set -euo pipefail
program=$1 tools=$2 seconds=$3
here=$(dirname "$(readlink -f "$0")")
postgres=/usr/lib/postgresql/15/bin

work=$(mktemp -d /var/tmp/pgstrata-posix.XXXXXX)
finish() {
  "$program" unmount --force "$work/mnt" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
chmod 0755 "$work"
mkdir "$work/mnt" "$work/beside" "$work/second"
install -d -o postgres "$work/cluster"
runuser -u postgres -- "$postgres/initdb" -D "$work/cluster" -A trust -N >/dev/null
"$program" mount "$work/cluster" "$work/mnt" --diff-dir "$work/diff" --allow-other
chmod 0755 "$work/mnt" # cases that work as other users start here
mkdir "$work/mnt/suite"
chmod 0777 "$work/mnt/suite" "$work/beside"

# The names of the cases that are "ok", one a line.
passed() {
  (cd / && "$tools/pjdfstest" -c "$here/pjdfstest.toml" -s "$work/second" -p "$1" 2>/dev/null || true) |
    awk '$NF == "ok" { print $1 }' | sort
}
passed "$work/beside" >"$work/passed.beside"
passed "$work/mnt/suite" >"$work/passed.mount"
echo "pjdfstest: $(wc -l <"$work/passed.beside") cases pass beside, $(wc -l <"$work/passed.mount") on the mount"
[ "$(wc -l <"$work/passed.beside")" -gt 300 ] || { echo "pjdfstest did not run" >&2; exit 1; }
if lost=$(comm -23 "$work/passed.beside" "$work/passed.mount") && [ -n "$lost" ]; then
  echo "the mount fails:" >&2
  echo "$lost" >&2
  exit 1
fi

end=$(($(date +%s) + seconds)) runs=0
while [ "$(date +%s)" -lt "$end" ]; do
  seed=$((RANDOM * 32768 + RANDOM))
  if ! "$tools/fsx" -q -S "$seed" -N 20000 -P "$work" "$work/mnt/fsx" >"$work/fsx.log" 2>&1; then
    tail -n 50 "$work/fsx.log" >&2
    echo "fsx failed with seed $seed" >&2
    exit 1
  fi
  runs=$((runs + 1))
done
echo "fsx: $runs runs of 20,000 operations"
"$program" unmount "$work/mnt"
