// `./dev bench catalogs`: the numbers of backups in the catalogs of other tools.
#include "bench/catalog_rows.h"
#include "bench/program.h"

int main(int argc, char** argv) {
  using namespace pgstrata::bench;
  CatalogOptions options;
  BenchProgram program("Measures backups in catalogs against PostgreSQL on a plain copy, both in one run",
                       {"open", "sequential", "load", "layer", "memory", "bytes"});
  program.Add("--program", options.program, "The pgstrata to measure");
  program.Add("--rounds", options.rounds, "Rounds of each comparison");
  program.Add("--load-rounds", options.load_rounds, "Rounds of pgbench");
  program.Add("--seconds", options.seconds, "Length of each run of pgbench");
  program.Add("--scale", options.scale, "pgbench's scale");
  program.Add("--gigabytes", options.gigabytes, "Size of the chain of eight");
  program.Add("--data", options.data_directory,
              "Keep backups and catalogs here for the next run (default: thrown away)");
  return program.Run(argc, argv, [&](Report& report, const BenchProgram::Wanted& wanted) {
    CatalogBench bench(options, report);
    report.AddCondition(std::to_string(options.rounds) + " rounds");
    if (wanted("open")) bench.ToFirstRow();
    if (wanted("sequential")) bench.SequentialRead();
    if (wanted("load")) bench.Load();
    if (wanted("layer")) bench.LayerBytes();
    if (wanted("memory")) bench.Memory();
    if (wanted("bytes")) bench.BytesOfSmallTable();
  });
}
