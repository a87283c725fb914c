// The numbers of kept branches, each with ext4 beside it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/branch_side.h"
#include "bench/report.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {

struct BranchOptions {
  std::string program = PGSTRATA_PROGRAM;
  int rounds = 5;
  int seconds = 20;  // of each run of pgbench
  int scale = 100;
  std::string data_directory;  // keeps pgbench's tables between runs; empty: made anew
};

class BranchBench {
 public:
  BranchBench(BranchOptions options, Report& report);

  // pgbench's own mixture, -N and -C on a durable branch, then the same mixture started without root and on an
  // ephemeral one.
  void Writes();
  // -S with buffers that hold a fraction of the tables.
  void Reads();
  // `branch create` of a directory and of a stopped branch; create, start and first row; `drop`.
  void LifeCycle();
  // Own bytes after updates, against the pages that changed.
  void Space();

 private:
  struct Pair;
  [[nodiscard]] Pair StartPair(const BranchHome& home, const std::vector<std::string>& parameters,
                               const std::vector<std::string>& create_arguments = {});
  void Compare(const std::string& what, const Pair& pair, const Load& load, double least);
  const std::string& Accounts();
  [[nodiscard]] Sample TimeOf(const std::vector<std::string>& arguments) const;
  [[nodiscard]] double OwnBytes(const std::string& name) const;

  BranchOptions options_;
  Report& report_;
  test::TemporaryDirectory work_;
  BranchHome own_;
  std::optional<BranchHome> users_;  // without root; nothing where we are not root ourselves
  std::string accounts_;
  int count_ = 0;
};

}  // namespace pgstrata::bench
