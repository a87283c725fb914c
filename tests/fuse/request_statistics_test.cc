#include "volume/fuse/request_statistics.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>

#include <thread>

namespace pgstrata::fuse {
namespace {

TEST(LatencyHistogram, BucketsFollowEachOtherWithoutAGap) {
  for (unsigned bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
    const uint64_t begin = LatencyHistogram::BucketBegin(bucket);
    const uint64_t end = LatencyHistogram::BucketBegin(bucket + 1);
    ASSERT_LT(begin, end) << bucket;
    EXPECT_EQ(LatencyHistogram::BucketOf(begin), bucket);
    EXPECT_EQ(LatencyHistogram::BucketOf(end - 1), bucket);
    EXPECT_TRUE(bucket == 0 || end - begin <= begin / 4) << bucket;
  }
  EXPECT_GT(LatencyHistogram::BucketBegin(LatencyHistogram::kBuckets), 60'000'000'000U);
  EXPECT_EQ(LatencyHistogram::BucketOf(UINT64_MAX), LatencyHistogram::kBuckets - 1);
}

TEST(LatencyHistogram, PercentilesAreRightToAQuarter) {
  LatencyHistogram histogram;
  for (uint64_t i = 1; i <= 10'000; ++i) histogram.Add(i * 1000);
  LatencyHistogram::Counts counts{};
  histogram.AddTo(counts);
  for (const double fraction : {0.1, 0.5, 0.9, 0.99}) {
    EXPECT_NEAR(LatencyHistogram::Percentile(counts, fraction), fraction * 1e7, fraction * 1e7 / 4) << fraction;
  }
  EXPECT_EQ(LatencyHistogram::Percentile({}, 0.5), 0);
}

TEST(RequestCounters, SumsWhatThreadsRecordedAlsoThoseThatEnded) {
  RequestCounters counters;
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      RequestRecorder& recorder = counters.Take();
      for (int round = 0; round < 1000; ++round) {
        recorder.Record(FUSE_READ, 8192, 5000);
        recorder.Record(FUSE_RENAME2, 0, 70'000);
      }
      counters.GiveBack(recorder);
    });
  }
  for (auto& thread : threads) thread.join();
  counters.Take().Record(999'999, 0, 1);
  const auto all = counters.Read();
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].kind, "rename");
  EXPECT_EQ(all[1].kind, "read");
  EXPECT_EQ(all[1].count, 4000U);
  EXPECT_EQ(all[1].bytes, 4000U * 8192);
  EXPECT_EQ(all[1].max_us, 5);
  EXPECT_LE(all[1].p99_us, 5);
  EXPECT_GE(all[1].p50_us, 4);
  EXPECT_EQ(all[2].kind, "other");
}

TEST(RequestCounters, AResetForgetsEverythingBefore) {
  RequestCounters counters;
  RequestRecorder& recorder = counters.Take();
  recorder.Record(FUSE_WRITE, 100, 1'000'000);
  EXPECT_EQ(counters.ReadAndReset().at(0).count, 1U);
  EXPECT_TRUE(counters.Read().empty());
  recorder.Record(FUSE_WRITE, 7, 2000);
  EXPECT_EQ(counters.Read().at(0).bytes, 7U);
  EXPECT_EQ(counters.Read().at(0).max_us, 2);
}

}  // namespace
}  // namespace pgstrata::fuse
