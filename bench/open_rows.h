// The numbers of `pgstrata open`, each with what it is compared with.
#pragma once

#include <string>
#include <vector>

#include "bench/direct_server.h"
#include "bench/opened.h"
#include "bench/report.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {

struct OpenOptions {
  std::string program = PGSTRATA_PROGRAM;
  int rounds = 31;
  int cold_rounds = 7;
  int scale = 100;             // of pgbench: 13 MB of accounts each
  std::string data_directory;  // keeps the large table between runs; empty: made anew
};

class OpenBench {
 public:
  OpenBench(OpenOptions options, Report& report);

  // `open -c 'select 1'` of a stopped directory, whole process, against the server alone on a plain copy.
  void CleanDirectory();
  // Likewise of an online backup, which both sides recover.
  void OnlineBackup();
  // 1,000 segments of 1 GiB against 10.
  void ManySegments();
  // What reached the layer after everything dirty was written out of the kernel's cache.
  void LayerBytes();
  // From nothing to the first row by primary key, caches empty on both sides.
  void ColdFirstRow();

 private:
  [[nodiscard]] Side OpenSide(const Caller& caller, const std::string& source) const;
  void CompareWithServer(const std::string& what, const std::string& source, double most_ms);
  const std::string& Clean();
  const std::string& Online();
  std::string MakeLargeTable();

  OpenOptions options_;
  Report& report_;
  test::TemporaryDirectory work_;
  std::vector<Caller> callers_;
  std::string clean_;
  std::string online_;
};

}  // namespace pgstrata::bench
