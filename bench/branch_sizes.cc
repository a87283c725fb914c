// Large branches: a worker's memory, files with much that is dirty, and the way out.
#include <fmt/core.h>

#include <algorithm>
#include <future>

#include "bench/branch_rows.h"
#include "bench/workload.h"
#include "foundation/base/clock.h"
#include "foundation/io/file.h"
#include "volume/worker/control_client.h"

namespace pgstrata::bench {
namespace {

constexpr uint64_t kSegment = 1ULL << 30;
constexpr double kStallMostMs = 20;
constexpr int kTenGigabytes = 10;  // segments
constexpr int kDirtyFiles = 8;
constexpr uint64_t kDirtyBytes = 64ULL << 20;  // each

std::string SegmentPath(const std::string& database, int index) {
  return index == 0 ? database + "/99999" : fmt::format("{}/99999.{}", database, index);
}

// Every second page of the segments, so that no two changes are neighbours.
void ChangePages(const std::string& database, int segments) {
  const std::vector<std::byte> page(kPageBytes, std::byte{0x5A});
  for (int i = 0; i < segments; ++i) {
    io::File file = Must(io::File::Open(SegmentPath(database, i), O_WRONLY));
    for (uint64_t offset = 0; offset < kSegment; offset += 2 * kPageBytes) Must(file.WriteAt(offset, page));
    Must(file.DataSync());
  }
}

}  // namespace

void BranchBench::AddMemory(const std::string& what, const std::string& name, double most_mib) {
  auto client = Must(worker::ControlClient::Connect(DirectoryOf(name) + "/control"));
  const double mib = Must(client.Stat()).at("memory_bytes").get<double>() / kMiB;
  report_.Add({.what = what,
               .ours = fmt::format("{:.0f} MiB", mib),
               .other = "",
               .result = fmt::format("{:.0f} MiB", mib),
               .target = fmt::format("<= {:.0f} MiB", most_mib),
               .passed = mib <= most_mib});
}

void BranchBench::MemoryOver(int segments, double most_mib) {
  Report::Progress(fmt::format("memory over {} segments of 1 GiB", segments));
  own_.Start("memory", Segments(segments), {});
  ContentBytes(DirectoryOf("memory") + "/mnt");  // every file is looked at
  AddMemory(fmt::format("memory of a worker, source of {} GiB", segments), "memory", most_mib);
  own_.Drop("memory");
}

void BranchBench::LargeChange() {
  Report::Progress("10 GB changed");
  own_.Start("changed", Segments(2 * kTenGigabytes), {});
  ChangePages(DirectoryOf("changed") + "/mnt/base/5", 2 * kTenGigabytes);
  AddMemory("memory of a worker, 10 GiB changed in pages apart", "changed", 128);
  own_.Run({"stop", "changed"});
  const double gib = LayerBytes("changed") / static_cast<double>(kSegment);
  const Stopwatch watch;
  auto drop = std::async(std::launch::async, [&] { own_.Run({"drop", "changed", "--force"}); });
  while (own_.Run({"list"}).output.contains("changed")) continue;
  const double free_ms = watch.milliseconds();
  drop.get();
  report_.Add(CompareTime(fmt::format("branch drop, {:.1f} GiB of its own, until the name is free", gib), free_ms,
                          fmt::format("{:.1f} ms; whole command {:.1f} s", free_ms, watch.milliseconds() / 1000),
                          kDropMostMs));
}

void BranchBench::StallOfClosing(const std::string& mountpoint) {
  Report::Progress("closing files with 512 MB dirty");
  const std::vector<std::byte> piece(1 << 20, std::byte{0x5A});
  std::vector<io::File> files;
  for (int i = 0; i < kDirtyFiles; ++i) {
    files.push_back(Must(io::File::Open(fmt::format("{}/dirty{}", mountpoint, i), O_RDWR | O_CREAT)));
    for (uint64_t offset = 0; offset < kDirtyBytes; offset += piece.size()) Must(files.back().WriteAt(offset, piece));
  }
  double longest = 0;
  for (auto& file : files) {
    const Stopwatch watch;
    file = io::File();
    longest = std::max(longest, watch.milliseconds());
  }
  report_.Add(CompareTime("longest close of a file while 512 MB are dirty", longest, fmt::format("{:.1f} ms", longest),
                          kStallMostMs));
}

void BranchBench::Sizes() {
  MemoryOver(kTenGigabytes, 64);
  MemoryOver(kTerabyte, 256);
  own_.Start("stall", Segments(kTenGigabytes), {});
  StallOfClosing(DirectoryOf("stall") + "/mnt");
  own_.Drop("stall");
  LargeChange();
}

}  // namespace pgstrata::bench
