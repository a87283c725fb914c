// What was asked of a mount: how often, how much, and how long the answers took. Recording takes no lock and no atomic
// read-modify-write: each serving thread has a recorder to itself, and only who asks adds them up.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace pgstrata::fuse {

// The requests of one kind. Times are from a request's arrival here to its answer, in microseconds; percentiles are
// right to a quarter of their value at worst.
struct RequestStatistics {
  std::string_view kind;  // "read", "write", "lookup", ...
  uint64_t count = 0;
  uint64_t bytes = 0;  // that a write brought or a read's answer took; 0 for other kinds
  double p50_us = 0;
  double p90_us = 0;
  double p99_us = 0;
  double max_us = 0;
};

// Latencies in buckets whose width is a quarter of a power of two; from a quarter of a microsecond to a minute.
class LatencyHistogram {
 public:
  static constexpr unsigned kBuckets = 113;
  using Counts = std::array<uint64_t, kBuckets>;

  // One thread at a time.
  void Add(uint64_t nanoseconds);
  // From any thread.
  void AddTo(Counts& counts) const;

  static unsigned BucketOf(uint64_t nanoseconds);
  // The first value of a bucket; of kBuckets the end of the last one.
  static uint64_t BucketBegin(unsigned bucket);
  // The value below which `fraction` of all lie, in nanoseconds; 0 where there is none.
  static double Percentile(const Counts& counts, double fraction);

 private:
  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
};

class RequestRecorder {
 public:
  // `opcode` as in <linux/fuse.h>. By the thread that owns the recorder.
  void Record(uint32_t opcode, uint64_t bytes, uint64_t nanoseconds);

 private:
  friend class RequestCounters;
  static constexpr size_t kKinds = 22;
  struct Kind {
    std::atomic<uint64_t> bytes = 0;
    std::atomic<uint64_t> max_nanoseconds = 0;
    LatencyHistogram latencies;
  };
  std::array<Kind, kKinds> kinds_;
};

// All recorders of a mount. Safe from several threads.
class RequestCounters {
 public:
  RequestCounters();
  ~RequestCounters();
  RequestCounters(const RequestCounters&) = delete;
  RequestCounters& operator=(const RequestCounters&) = delete;

  // A recorder for the calling thread alone, until it is given back. What it has counted stays counted.
  RequestRecorder& Take();
  void GiveBack(RequestRecorder& recorder);

  // The kinds that were seen since the beginning or the last Reset, in the order of the protocol's numbers.
  [[nodiscard]] std::vector<RequestStatistics> Read() const;
  // Read, and everything counts from zero. A request that is recorded at the same time counts before or after.
  std::vector<RequestStatistics> ReadAndReset();

 private:
  struct Sums;

  [[nodiscard]] Sums SumUp() const;  // mutex_ held
  [[nodiscard]] std::vector<RequestStatistics> Since(const Sums& sums, const Sums& before) const;

  mutable std::mutex mutex_;
  // Guarded by mutex_:
  std::vector<std::unique_ptr<RequestRecorder>> recorders_;
  std::vector<RequestRecorder*> free_;
  std::unique_ptr<Sums> before_;  // what had been counted at the last Reset
};

}  // namespace pgstrata::fuse
