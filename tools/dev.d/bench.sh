# ./dev bench [open|branch|catalogs] [ARGUMENTS]: the numbers of docs/performance.md, measured here. The arguments are those of
# bench_open, bench_branch or bench_catalogs (--help).

dev_bench() {
  local name=open
  case ${1:-} in
    open | branch | catalogs)
      name=$1
      shift
      ;;
  esac
  dev_setup --only-build
  build_preset release "bench_$name"
  exec "build/release/bench/bench_$name" "$@"
}
