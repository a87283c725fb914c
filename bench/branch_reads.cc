// Reading through a branch: what costs is the way from the page cache and the disk through the worker.
#include <fmt/core.h>

#include <random>

#include "bench/branch_rows.h"
#include "bench/conditions.h"
#include "bench/memory_group.h"
#include "foundation/base/clock.h"
#include "foundation/io/file.h"

namespace pgstrata::bench {
namespace {

constexpr int kReads = 2000;

pid_t ServerOf(const Endpoint& server) {
  return static_cast<pid_t>(std::stol(Must(io::ReadWholeFile(Ask(server, "SHOW external_pid_file")))));
}

// 8 KiB at random places, one after the other.
Sample ReadAtRandom(const std::string& path) {
  DropCaches();
  const io::File file = Must(io::File::Open(path, O_RDONLY));
  const auto pages = static_cast<uint64_t>(Must(file.Stat()).st_size) / kPageBytes;
  std::mt19937_64 random(1);
  std::vector<std::byte> page(kPageBytes);
  const Stopwatch watch;
  for (int i = 0; i < kReads; ++i) Must(file.ReadAt(random() % pages * kPageBytes, page));
  return {.wall_ms = watch.milliseconds(), .cpu_ms = 0};
}

Sample ScanCold(const Endpoint& server) {
  DropCaches();
  const Stopwatch watch;
  Ask(server, "SELECT sum(abalance) FROM pgbench_accounts");
  return {.wall_ms = watch.milliseconds(), .cpu_ms = 0};
}

Verdict CompareSpeed(std::string what, const Series& ours, const Series& other, double least) {
  const double ratio = other.WallMs() / ours.WallMs();
  return {.what = std::move(what),
          .ours = Show(ours),
          .other = Show(other),
          .result = fmt::format("{:.3f} times as fast", ratio),
          .target = fmt::format(">= {} times", least),
          .passed = ratio >= least};
}

}  // namespace

void BranchBench::ReadsWithLittleMemory(const BranchPair& pair) {
  const double size = std::stod(Ask(pair.branch, "SELECT pg_database_size(current_database())"));
  const auto bytes = static_cast<uint64_t>(size / 3);
  const MemoryGroup ours("branch", bytes);
  const MemoryGroup others("ext4", bytes);
  ours.Add(Describe(pair.name).at("worker_pid").get<pid_t>());
  ours.Add(ServerOf(pair.branch));
  others.Add(ServerOf(pair.native->endpoint()));
  DropCaches();  // what lies there already is on nobody's account
  Compare(fmt::format("pgbench -S, {} MiB of memory for {} MiB", bytes >> 20, static_cast<uint64_t>(size) >> 20),
          pair.branch, pair.native->endpoint(), {.arguments = {"-S"}, .seconds = options_.seconds}, 0.85);
}

void BranchBench::ColdReads(const BranchPair& pair) {
  const Endpoint ext4 = pair.native->endpoint();
  Report::Progress("cold sequential scan");
  const auto scans =
      Alternate(options_.rounds, {[&] { return ScanCold(pair.branch); }, [&] { return ScanCold(ext4); }});
  report_.Add(CompareSpeed("cold sequential scan of pgbench_accounts", scans[0], scans[1], 0.95));
  Report::Progress("cold random reads");
  const std::string file = '/' + Ask(pair.branch, "SELECT pg_relation_filepath('pgbench_accounts')");
  const auto reads = Alternate(options_.rounds, {[&] { return ReadAtRandom(DirectoryOf(pair.name) + "/mnt" + file); },
                                                 [&] { return ReadAtRandom(pair.copy + file); }});
  report_.Add(CompareSpeed(fmt::format("cold random reads of 8 KiB, {} at depth 1", kReads), reads[0], reads[1], 0.75));
}

void BranchBench::Reads() {
  const auto pair = StartPair(own_, kSmallBuffers);
  Compare("pgbench -S, shared_buffers=32MB, page cache warm", pair->branch, pair->native->endpoint(),
          {.arguments = {"-S"}, .seconds = options_.seconds}, 0.95);
  ColdReads(*pair);
  ReadsWithLittleMemory(*pair);
}

}  // namespace pgstrata::bench
