# ./dev test, fuzz and lint: everything that judges the code.

FUZZ_SECONDS_LONG=60

# run_ctest BUILD_DIRECTORY [CTEST ARGUMENTS]: ends with ctest's own closing lines. Many tests wait, for servers and for each
# other's signals, so twice as many run as there are processors.
run_ctest() {
  local directory
  directory=$(readlink -f "$1")
  shift
  ctest --test-dir "$directory" --output-on-failure --no-tests=error -j "$((2 * JOBS))" "$@"
}

dev_test() {
  local long=
  if [ "${1:-}" = --long ]; then
    long=1
    shift
  fi
  dev_setup ${long:+--long}
  configure asan -DPGSTRATA_LONG="${long:-0}"
  build_preset asan
  if [ -z "$long" ]; then
    run_ctest build/asan "$@"
    return
  fi
  PGSTRATA_LONG=1 run_ctest build/asan "$@"
  build_preset tsan
  run_ctest build/tsan "$@"
  dev_build
  dev_suite_pg_regress
  beside_posix_suite dev_lint_and_fuzz
  dev_package
  # There is no address yet that a package could name.
  lintian --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog build/pgstrata_*.deb
  say "the long suites passed"
}

# The suite takes half an hour by the clock and one processor. What it says is shown when the others are done.
beside_posix_suite() {
  local log=build/posix.log suite others failed=0
  (dev_suite_posix) >"$log" 2>&1 &
  suite=$!
  ("$@") & # in the background too: in a condition, errors within would not end it
  others=$!
  trap 'kill "$suite" "$others" 2>/dev/null; wait; exit 130' INT TERM # what runs in the background does not hear Ctrl-C
  wait "$others" || failed=1
  wait "$suite" || failed=1
  trap - INT TERM
  cat "$log"
  return "$failed"
}

dev_lint_and_fuzz() {
  dev_lint --tidy
  dev_fuzz $FUZZ_SECONDS_LONG
}

# fuzz_one PROGRAM SECONDS: starts from the corpus in tests/data, adds to build/fuzz/corpus, keeps crashes beside it.
fuzz_one() {
  local name corpus seconds=$2
  name=$(basename "$1")
  corpus=build/fuzz/corpus/$name
  mkdir -p "$corpus"
  say "fuzzing $name for $seconds s"
  "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=0 -verbosity=0 \
    -artifact_prefix="build/fuzz/crash-$name-" "$corpus" $(find "tests/data/fuzz/$name" -maxdepth 0 2>/dev/null)
}

# As many at a time as there are processors.
dev_fuzz() {
  local seconds=${1:-60} name=${2:-} program running=0 failed=0
  install_packages "${PACKAGES_BUILD[@]}" "${PACKAGES_TEST[@]}"
  build_preset fuzz fuzz_programs
  for program in build/fuzz/tests/fuzz/*_fuzz; do
    [ -z "$name" ] || [ "$(basename "$program")" = "$name" ] || [ "$(basename "$program")" = "${name}_fuzz" ] || continue
    if [ "$running" -ge "$JOBS" ]; then
      wait -n || failed=1
    else
      running=$((running + 1))
    fi
    fuzz_one "$program" "$seconds" &
  done
  for (( ; running > 0; running--)); do wait -n || failed=1; done
  return "$failed"
}

source_files() { find src tests bench \( -name '*.cc' -o -name '*.h' \) -print; }

dev_format() {
  install_packages clang-format-19
  source_files | xargs -r clang-format-19 -i
}

# clang-tidy reads several sources at once, as the sanitizer builds compile them: reading the headers takes longer than all
# else. Its analyzer looks into an included source only where the file that includes it is named UnifiedSource.
unify_sources() {
  local place=$1 unity
  find "$place" -path '*/Unity/unity_*_cxx.cxx' | while read -r unity; do
    cp "$unity" "$(dirname "$unity")/UnifiedSource_$(basename "$unity")"
  done
  mkdir -p "$place/unified"
  sed 's#/Unity/unity_#/Unity/UnifiedSource_unity_#g' "$place/compile_commands.json" >"$place/unified/compile_commands.json"
}

dev_lint() {
  install_packages clang-format-19
  source_files | xargs -r clang-format-19 --dry-run -Werror
  say "clang-format has nothing to say"
  [ "${1:-}" = --tidy ] || return 0
  install_packages "${PACKAGES_BUILD[@]}" "${PACKAGES_TEST[@]}" "${PACKAGES_LONG[@]}"
  configure tidy
  unify_sources "$(readlink -f build)/tidy"
  python3 tools/tidy_units.py build/tidy/unified "$JOBS" '/UnifiedSource_unity_.*\.cxx$'
  say "clang-tidy has nothing to say"
}

dev_docs() {
  [ -x build/pgstrata ] || dev_build
  bash tools/write_command_pages.sh build/pgstrata docs/commands
}
