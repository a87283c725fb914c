#!/usr/bin/env bash
# posix.sh PROGRAM TOOLS SECONDS: pjdfstest on a mount and on the file system beside it, then fsx on the mount for SECONDS.
# TOOLS is the directory of the two programs. Fails when the mount fails a case that the file system beside it does not fail,
# or when fsx reads what it did not write. What only the mount skips is named: pjdfstest leaves out link_count_max where it
# does not know the type of the file system. Run as root: changing owners is a part of it.
set -euo pipefail
program=$1 tools=$2 seconds=$3
here=$(dirname "$(readlink -f "$0")")
postgres=/usr/lib/postgresql/15/bin

work=$(mktemp -d /var/tmp/pgstrata-posix.XXXXXX)
finish() {
  "$program" unmount --force "$work/mnt" 2>/dev/null || true
  umount "$work/second" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
chmod 0755 "$work"
mkdir "$work/mnt" "$work/beside" "$work/second"
mount -t tmpfs none "$work/second" # for what must not work across file systems
install -d -o postgres "$work/cluster"
runuser -u postgres -- "$postgres/initdb" -D "$work/cluster" -A trust -N >/dev/null
"$program" mount "$work/cluster" "$work/mnt" --diff-dir "$work/diff" --allow-other
chmod 0755 "$work/mnt" # cases that work as other users start here
mkdir "$work/mnt/suite"
chmod 0777 "$work/mnt/suite" "$work/beside"

# run DIRECTORY NAME: the cases by their outcome, in NAME.ok, NAME.FAILED and NAME.skipped.
run() {
  local outcome
  (cd / && "$tools/pjdfstest" -c "$here/pjdfstest.toml" -s "$work/second" -p "$1" >"$work/$2.log" 2>/dev/null) || true
  for outcome in ok FAILED skipped; do
    awk -v outcome="$outcome" 'NF == 2 && $2 == outcome { print $1 }' "$work/$2.log" | sort >"$work/$2.$outcome"
  done
  echo "pjdfstest $2: $(wc -l <"$work/$2.ok") pass, $(wc -l <"$work/$2.FAILED") fail, $(wc -l <"$work/$2.skipped") skipped"
  sed "s/^/  fails $2: /" "$work/$2.FAILED"
}
run "$work/beside" beside
run "$work/mnt/suite" mount
comm -13 "$work/beside.skipped" "$work/mount.skipped" | sed 's/^/skipped on the mount only: /'
for side in beside mount; do
  [ "$(wc -l <"$work/$side.ok")" -gt 300 ] || { echo "pjdfstest did not run" >&2; exit 1; }
done
if lost=$(comm -13 "$work/beside.FAILED" "$work/mount.FAILED") && [ -n "$lost" ]; then
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
