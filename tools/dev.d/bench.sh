# ./dev bench: the numbers of docs/performance.md, measured here. Its arguments are those of bench_open (--help).

dev_bench() {
  dev_setup --only-build
  build_preset release bench_open
  exec build/release/bench/bench_open "$@"
}
