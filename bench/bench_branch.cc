// `./dev bench branch`: the numbers of kept branches. Exit status as bench_open.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>

#include "bench/branch_rows.h"
#include "bench/conditions.h"

namespace pgstrata::bench {
namespace {

const std::vector<std::string> kRows = {"writes", "reads", "life", "space"};

bool Run(const BranchOptions& options, const std::vector<std::string>& rows) {
  Report report;
  BranchBench bench(options, report);
  report.AddCondition(fmt::format("sides alternated, medians; load {} at the start", LoadAverage()));
  const auto wanted = [&](const char* row) { return std::ranges::find(rows, row) != rows.end(); };
  if (wanted("life")) bench.LifeCycle();
  if (wanted("space")) bench.Space();
  if (wanted("writes")) bench.Writes();
  if (wanted("reads")) bench.Reads();
  report.AddCondition("load at the end " + LoadAverage());
  report.Print();
  return report.AllPassed();
}

}  // namespace
}  // namespace pgstrata::bench

int main(int argc, char** argv) {
  using namespace pgstrata::bench;
  BranchOptions options;
  std::vector<std::string> rows = kRows;
  CLI::App app("Measures kept branches against PostgreSQL on ext4, both in one run");
  app.add_option("--program", options.program, "The pgstrata to measure")->capture_default_str();
  app.add_option("--rows", rows, "Only these numbers")->delimiter(',')->check(CLI::IsMember(kRows));
  app.add_option("--rounds", options.rounds, "Rounds of each comparison")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Length of each run of pgbench")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--scale", options.scale, "pgbench's scale")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--data", options.data_directory, "Keep the tables here for the next run (default: thrown away)");
  CLI11_PARSE(app, argc, argv);
  try {
    return Run(options, rows) ? 0 : 1;
  } catch (const std::exception& error) {
    Report::Progress(std::string("error: ") + error.what());
    return 2;
  }
}
