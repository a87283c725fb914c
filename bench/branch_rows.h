// The numbers of kept branches, each with ext4 beside it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/branch_side.h"
#include "bench/report.h"
#include "foundation/codec/json.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {

struct BranchOptions {
  std::string program = PGSTRATA_PROGRAM;
  int rounds = 5;
  int seconds = 20;  // of each run of pgbench
  int scale = 100;
  int aging_seconds = 1800;
  std::string data_directory;  // keeps pgbench's tables between runs; empty: made anew
};

inline const std::vector<std::string> kLargeBuffers = {"shared_buffers=3GB", "max_wal_size=8GB", "autovacuum=off"};
inline const std::vector<std::string> kSmallBuffers = {"shared_buffers=32MB", "autovacuum=off"};
inline constexpr uint64_t kPageBytes = 8192;
inline constexpr double kMiB = 1 << 20;
inline constexpr double kDropMostMs = 100;
inline constexpr int kTerabyte = 1000;  // segments

// A branch and a plain copy of the same source, both running; they end, and are removed, with this object.
class BranchPair {
 public:
  BranchPair(BranchHome home, std::string name, std::string copy);
  ~BranchPair();
  BranchPair(const BranchPair&) = delete;
  BranchPair& operator=(const BranchPair&) = delete;

  const BranchHome home;
  const std::string name;
  const std::string copy;
  Endpoint branch;
  std::unique_ptr<NativeServer> native;
};

class BranchBench {
 public:
  BranchBench(BranchOptions options, Report& report);

  // pgbench's own mixture, -N and -C on a durable branch, then the same mixture started without root and on an
  // ephemeral one.
  void Writes();
  // -S with buffers that hold a fraction of the tables, with the page cache warm and with memory for a third of the
  // tables; a cold sequential scan, and cold reads of single pages. Needs root.
  void Reads();
  // The mixture on a branch eight layers deep.
  void Deep();
  // The mixture after half an hour of it.
  void Aged();
  // The mixture inside a plain mount, and how long a freeze holds requests up meanwhile.
  void Mount();
  // `branch create` of a directory, also of one of 1 TB, and of a stopped branch; create, start and first row; `drop`.
  void LifeCycle();
  // Own bytes after updates, against the pages that changed.
  void Space();
  // A worker's memory over large sources and with 10 GB changed, the drop of that branch, and how long it takes to
  // close files with 512 MB dirty.
  void Sizes();

 private:
  [[nodiscard]] std::unique_ptr<BranchPair> StartPair(const BranchHome& home,
                                                      const std::vector<std::string>& parameters,
                                                      const std::vector<std::string>& create_arguments = {},
                                                      const std::string& source = "");
  void Compare(const std::string& what, const Endpoint& ours, const Endpoint& other, const Load& load, double least);
  void ReadsWithLittleMemory(const BranchPair& pair);
  void ColdReads(const BranchPair& pair);
  void FreezeUnderLoad(const std::string& control_socket, const Endpoint& server);
  void MemoryOver(int segments, double most_mib);
  void AddMemory(const std::string& what, const std::string& name, double most_mib);
  void LargeChange();
  void StallOfClosing(const std::string& mountpoint);
  const std::string& Accounts();
  const std::string& Segments(int count);
  [[nodiscard]] Sample TimeOf(const std::vector<std::string>& arguments) const;
  // What `show --json` says of it.
  [[nodiscard]] codec::Json Describe(const std::string& name) const;
  // On disk, of the layers that are its own: without its WAL.
  [[nodiscard]] double LayerBytes(const std::string& name) const;
  [[nodiscard]] std::string DirectoryOf(const std::string& name) const;

  BranchOptions options_;
  Report& report_;
  test::TemporaryDirectory work_;
  BranchHome own_;
  std::optional<BranchHome> users_;  // without root; nothing where we are not root ourselves
  std::string accounts_;
  std::map<int, std::string> segments_;
  int count_ = 0;
};

Verdict CompareTime(std::string what, double ms, std::string shown, double most_ms);

}  // namespace pgstrata::bench
