// `./dev bench branch`: the numbers of kept branches.
#include "bench/branch_rows.h"
#include "bench/program.h"

int main(int argc, char** argv) {
  using namespace pgstrata::bench;
  BranchOptions options;
  BenchProgram program("Measures kept branches against PostgreSQL on ext4, both in one run",
                       {"life", "space", "writes", "reads", "mount", "sizes", "deep", "aged"});
  program.Add("--program", options.program, "The pgstrata to measure");
  program.Add("--rounds", options.rounds, "Rounds of each comparison");
  program.Add("--seconds", options.seconds, "Length of each run of pgbench");
  program.Add("--scale", options.scale, "pgbench's scale");
  program.Add("--aging", options.aging_seconds, "Seconds of load before the row of an aged branch");
  program.Add("--data", options.data_directory, "Keep the tables here for the next run (default: thrown away)");
  return program.Run(argc, argv, [&](Report& report, const BenchProgram::Wanted& wanted) {
    BranchBench bench(options, report);
    if (wanted("life")) bench.LifeCycle();
    if (wanted("space")) bench.Space();
    if (wanted("writes")) bench.Writes();
    if (wanted("reads")) bench.Reads();
    if (wanted("mount")) bench.Mount();
    if (wanted("sizes")) bench.Sizes();
    if (wanted("deep")) bench.Deep();
    if (wanted("aged")) bench.Aged();
  });
}
