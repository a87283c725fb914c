// Invariants:
//   - A recorder's numbers are written by one thread; they are atomic so that another can read them. The exception is
//     the longest time, which a reset takes away: it is exchanged.
//   - Counts only grow. A reset remembers what they were.
#include "volume/fuse/request_statistics.h"

#include <linux/fuse.h>

#include <algorithm>
#include <bit>

namespace pgstrata::fuse {
namespace {

struct KindName {
  uint32_t opcode;
  std::string_view name;
};
// Ordered by opcode; the last one stands for all others.
constexpr std::array kKindNames = {KindName{FUSE_LOOKUP, "lookup"},
                                   KindName{FUSE_FORGET, "forget"},
                                   KindName{FUSE_GETATTR, "getattr"},
                                   KindName{FUSE_SETATTR, "setattr"},
                                   KindName{FUSE_READLINK, "readlink"},
                                   KindName{FUSE_SYMLINK, "symlink"},
                                   KindName{FUSE_MKNOD, "mknod"},
                                   KindName{FUSE_MKDIR, "mkdir"},
                                   KindName{FUSE_UNLINK, "unlink"},
                                   KindName{FUSE_RMDIR, "rmdir"},
                                   KindName{FUSE_RENAME, "rename"},
                                   KindName{FUSE_LINK, "link"},
                                   KindName{FUSE_READ, "read"},
                                   KindName{FUSE_WRITE, "write"},
                                   KindName{FUSE_STATFS, "statfs"},
                                   KindName{FUSE_FSYNC, "fsync"},
                                   KindName{FUSE_READDIR, "readdir"},
                                   KindName{FUSE_FSYNCDIR, "fsyncdir"},
                                   KindName{FUSE_FALLOCATE, "fallocate"},
                                   KindName{FUSE_LSEEK, "lseek"},
                                   KindName{FUSE_COPY_FILE_RANGE, "copy_file_range"},
                                   KindName{0, "other"}};

// The older forms of two requests count as the newer ones.
constexpr uint32_t Canonical(uint32_t opcode) {
  if (opcode == FUSE_BATCH_FORGET) return FUSE_FORGET;
  if (opcode == FUSE_RENAME2) return FUSE_RENAME;
  return opcode;
}

constexpr std::array<uint8_t, 64> kKindByOpcode = [] {
  std::array<uint8_t, 64> kinds{};
  for (uint32_t opcode = 0; opcode < kinds.size(); ++opcode) {
    kinds[opcode] = kKindNames.size() - 1;
    for (uint8_t kind = 0; kind + 1U < kKindNames.size(); ++kind) {
      if (kKindNames[kind].opcode == Canonical(opcode)) kinds[opcode] = kind;
    }
  }
  return kinds;
}();

void AddRelaxed(std::atomic<uint64_t>& counter, uint64_t count) {
  counter.store(counter.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
}

constexpr unsigned kFirstBit = 8;  // below 256 ns is one bucket
constexpr unsigned kStepBits = 2;  // buckets a power of two: 4

}  // namespace

unsigned LatencyHistogram::BucketOf(uint64_t nanoseconds) {
  const auto bit = static_cast<unsigned>(std::bit_width(nanoseconds));
  if (bit <= kFirstBit) return 0;
  const auto step = static_cast<unsigned>(nanoseconds >> (bit - 1 - kStepBits)) & ((1U << kStepBits) - 1);
  return std::min(1 + ((bit - 1 - kFirstBit) << kStepBits) + step, kBuckets - 1);
}

uint64_t LatencyHistogram::BucketBegin(unsigned bucket) {
  if (bucket == 0) return 0;
  const unsigned octave = (bucket - 1) >> kStepBits;
  const uint64_t step = (bucket - 1) & ((1U << kStepBits) - 1);
  return ((uint64_t{1} << kStepBits) + step) << (kFirstBit - kStepBits + octave);
}

void LatencyHistogram::Add(uint64_t nanoseconds) { AddRelaxed(counts_[BucketOf(nanoseconds)], 1); }

void LatencyHistogram::AddTo(Counts& counts) const {
  for (unsigned i = 0; i < kBuckets; ++i) counts[i] += counts_[i].load(std::memory_order_relaxed);
}

double LatencyHistogram::Percentile(const Counts& counts, double fraction) {
  uint64_t all = 0;
  for (const uint64_t count : counts) all += count;
  const double wanted = fraction * static_cast<double>(all);
  double below = 0;
  for (unsigned i = 0; i < kBuckets; ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= wanted) {
      const auto begin = static_cast<double>(BucketBegin(i));
      const auto end = static_cast<double>(BucketBegin(i + 1));
      return begin + (end - begin) * (wanted - below) / here;
    }
    below += here;
  }
  return 0;
}

void RequestRecorder::Record(uint32_t opcode, uint64_t bytes, uint64_t nanoseconds) {
  static_assert(kKindNames.size() == kKinds);
  Kind& kind = kinds_[opcode < kKindByOpcode.size() ? kKindByOpcode[opcode] : kKinds - 1];
  if (bytes > 0) AddRelaxed(kind.bytes, bytes);
  kind.latencies.Add(nanoseconds);
  uint64_t longest = kind.max_nanoseconds.load(std::memory_order_relaxed);
  while (nanoseconds > longest && !kind.max_nanoseconds.compare_exchange_weak(longest, nanoseconds)) {
  }
}

struct RequestCounters::Sums {
  struct Kind {
    uint64_t bytes = 0;
    uint64_t max_nanoseconds = 0;
    LatencyHistogram::Counts counts{};
  };
  std::array<Kind, RequestRecorder::kKinds> kinds;
};

RequestCounters::RequestCounters() : before_(std::make_unique<Sums>()) {}
RequestCounters::~RequestCounters() = default;

RequestRecorder& RequestCounters::Take() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty()) return *recorders_.emplace_back(std::make_unique<RequestRecorder>());
  RequestRecorder& recorder = *free_.back();
  free_.pop_back();
  return recorder;
}

void RequestCounters::GiveBack(RequestRecorder& recorder) {
  const std::scoped_lock lock(mutex_);
  free_.push_back(&recorder);
}

RequestCounters::Sums RequestCounters::SumUp() const {
  Sums sums;
  for (const auto& recorder : recorders_) {
    for (size_t i = 0; i < RequestRecorder::kKinds; ++i) {
      const RequestRecorder::Kind& kind = recorder->kinds_[i];
      Sums::Kind& sum = sums.kinds[i];
      kind.latencies.AddTo(sum.counts);
      sum.bytes += kind.bytes.load(std::memory_order_relaxed);
      sum.max_nanoseconds = std::max(sum.max_nanoseconds, kind.max_nanoseconds.load(std::memory_order_relaxed));
    }
  }
  return sums;
}

std::vector<RequestStatistics> RequestCounters::Since(const Sums& sums, const Sums& before) const {
  constexpr double kMicrosecond = 1000;
  std::vector<RequestStatistics> all;
  for (size_t i = 0; i < RequestRecorder::kKinds; ++i) {
    LatencyHistogram::Counts counts = sums.kinds[i].counts;
    RequestStatistics one{.kind = kKindNames[i].name, .bytes = sums.kinds[i].bytes - before.kinds[i].bytes};
    for (unsigned bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
      counts[bucket] -= before.kinds[i].counts[bucket];
      one.count += counts[bucket];
    }
    if (one.count == 0) continue;
    one.max_us = static_cast<double>(sums.kinds[i].max_nanoseconds) / kMicrosecond;
    const auto percentile = [&](double fraction) {
      return std::min(LatencyHistogram::Percentile(counts, fraction) / kMicrosecond, one.max_us);
    };
    one.p50_us = percentile(0.5);
    one.p90_us = percentile(0.9);
    one.p99_us = percentile(0.99);
    all.push_back(one);
  }
  return all;
}

std::vector<RequestStatistics> RequestCounters::Read() const {
  const std::scoped_lock lock(mutex_);
  return Since(SumUp(), *before_);
}

std::vector<RequestStatistics> RequestCounters::ReadAndReset() {
  const std::scoped_lock lock(mutex_);
  auto sums = std::make_unique<Sums>(SumUp());
  for (const auto& recorder : recorders_) {
    for (RequestRecorder::Kind& kind : recorder->kinds_) kind.max_nanoseconds.exchange(0);
  }
  auto all = Since(*sums, *before_);
  before_ = std::move(sums);
  return all;
}

}  // namespace pgstrata::fuse
