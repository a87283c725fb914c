// `./dev bench`: the numbers that docs/performance.md keeps.
#include "bench/open_rows.h"
#include "bench/program.h"

int main(int argc, char** argv) {
  using namespace pgstrata::bench;
  OpenOptions options;
  BenchProgram program("Measures pgstrata open against PostgreSQL on a plain copy, both in one run",
                       {"clean", "online", "segments", "layer", "cold"});
  program.Add("--program", options.program, "The pgstrata to measure");
  program.Add("--rounds", options.rounds, "Rounds of each comparison");
  program.Add("--cold-rounds", options.cold_rounds, "Rounds with empty caches");
  program.Add("--scale", options.scale, "pgbench's scale of the large table");
  program.Add("--data", options.data_directory, "Keep the large table here for the next run (default: thrown away)");
  return program.Run(argc, argv, [&](Report& report, const BenchProgram::Wanted& wanted) {
    OpenBench bench(options, report);
    report.AddCondition(std::to_string(options.rounds) + " rounds");
    if (wanted("clean")) bench.CleanDirectory();
    if (wanted("online")) bench.OnlineBackup();
    if (wanted("segments")) bench.ManySegments();
    if (wanted("layer")) bench.LayerBytes();
    if (wanted("cold")) bench.ColdFirstRow();
  });
}
