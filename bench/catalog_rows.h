// The numbers of backups in the catalogs of other tools, each with what it is compared with.
#pragma once

#include <string>
#include <vector>

#include "bench/catalog_data.h"
#include "bench/direct_server.h"
#include "bench/opened.h"
#include "bench/report.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {

struct CatalogOptions {
  std::string program = PGSTRATA_PROGRAM;
  int rounds = 15;
  int load_rounds = 5;
  int seconds = 20;            // of each run of pgbench
  int scale = 100;             // of pgbench
  int gigabytes = 100;         // of the large chain
  std::string data_directory;  // keeps backups and catalogs between runs; empty: made anew
};

class CatalogBench {
 public:
  CatalogBench(CatalogOptions options, Report& report);

  // To the first row of the newest of three backups, less that of the same backup as a directory, and against a chain
  // of one; with the kernel's caches as they are, and empty. Needs root.
  void ToFirstRow();
  // A table read from its beginning to its end through a mount, caches empty, against zcat of the same bytes in as many
  // pieces as there are processors.
  void SequentialRead();
  // pgbench on a branch of the chain and on a plain copy of the same backup.
  void Load();
  void LayerBytes();
  // Of a worker that serves the newest of eight backups, when every file was read.
  void Memory();
  // What a worker reads for one small table of that backup.
  void BytesOfSmallTable();

 private:
  const CatalogData& Data();
  const std::string& LargeChain();
  void CompareFirstRow(const std::string& how, const std::function<void()>& prepare);
  std::vector<std::string> Pieces();

  CatalogOptions options_;
  Report& report_;
  test::TemporaryDirectory work_;
  Caller caller_;
  CatalogData data_;
  std::string large_;
};

}  // namespace pgstrata::bench
