#include "foundation/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace pgstrata {
namespace {

TEST(ParallelTest, EveryNumberIsWorkedOnOnce) {
  constexpr size_t kCount = 1000;
  for (const unsigned threads : {0U, 1U, 4U}) {
    std::vector<std::atomic<int>> seen(kCount);
    ForEachInParallel(kCount, threads, [&](size_t number) { ++seen[number]; });
    for (const auto& times : seen) EXPECT_EQ(times, 1);
  }
  ForEachInParallel(0, 2, [](size_t) { FAIL(); });
  EXPECT_GE(UsefulThreads(), 1U);
}

}  // namespace
}  // namespace pgstrata
