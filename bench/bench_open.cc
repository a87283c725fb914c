// `./dev bench`: the numbers that docs/performance.md keeps. Exit status: 0 when every target is reached, 1 when one is
// not, 2 when something could not be measured.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>

#include "bench/conditions.h"
#include "bench/open_rows.h"

namespace pgstrata::bench {
namespace {

const std::vector<std::string> kRows = {"clean", "online", "segments", "layer", "cold"};

bool Run(const OpenOptions& options, const std::vector<std::string>& rows) {
  Report report;
  OpenBench bench(options, report);
  report.AddCondition(
      fmt::format("{} rounds, sides alternated, medians; load {} at the start", options.rounds, LoadAverage()));
  const auto wanted = [&](const char* row) { return std::ranges::find(rows, row) != rows.end(); };
  if (wanted("clean")) bench.CleanDirectory();
  if (wanted("online")) bench.OnlineBackup();
  if (wanted("segments")) bench.ManySegments();
  if (wanted("layer")) bench.LayerBytes();
  if (wanted("cold")) bench.ColdFirstRow();
  report.AddCondition("load at the end " + LoadAverage());
  report.Print();
  return report.AllPassed();
}

}  // namespace
}  // namespace pgstrata::bench

int main(int argc, char** argv) {
  using namespace pgstrata::bench;
  OpenOptions options;
  std::vector<std::string> rows = kRows;
  CLI::App app("Measures pgstrata open against PostgreSQL on a plain copy, both in one run");
  app.add_option("--program", options.program, "The pgstrata to measure")->capture_default_str();
  app.add_option("--rows", rows, "Only these numbers")->delimiter(',')->check(CLI::IsMember(kRows));
  app.add_option("--rounds", options.rounds, "Rounds of each comparison")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--cold-rounds", options.cold_rounds, "Rounds with empty caches")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--scale", options.scale, "pgbench's scale of the large table")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--data", options.data_directory, "Keep the large table here for the next run (default: thrown away)");
  CLI11_PARSE(app, argc, argv);
  try {
    return Run(options, rows) ? 0 : 1;
  } catch (const std::exception& error) {
    Report::Progress(std::string("error: ") + error.what());
    return 2;
  }
}
