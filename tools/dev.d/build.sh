# ./dev build, demo and package: everything made of the release build.

# configure PRESET [CMAKE ARGUMENTS]: by the build directory's own path, which build/ may be only a link to.
configure() {
  local preset=$1
  shift
  mkdir -p build
  cmake --preset "$preset" -B "$(readlink -f build)/$preset" "$@"
}

# build_preset PRESET [TARGET ...]
build_preset() {
  local preset=$1
  shift
  [ -e "build/$preset/build.ninja" ] || configure "$preset"
  cmake --build "$(readlink -f build)/$preset" --parallel "$JOBS" ${1:+--target "$@"}
}

dev_build() {
  dev_setup --only-build
  build_preset release pgstrata
  cp -f build/release/src/pgstrata build/pgstrata.new
  mv -f build/pgstrata.new build/pgstrata
  say "the program is build/pgstrata"
}

dev_demo() {
  dev_build
  exec build/pgstrata demo "$@"
}

dev_package() {
  dev_build
  install_packages dpkg-dev
  bash packaging/debian.sh build/pgstrata build
}
