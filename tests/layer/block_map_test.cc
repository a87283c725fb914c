#include "volume/layer/block_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace pgstrata::layer {
namespace {

TEST(BlockMapTest, AgreesWithAnArrayOfStates) {
  constexpr uint64_t kBlocks = 20'000;  // five chunks
  BlockMap map;
  std::vector<BlockState> model(kBlocks, BlockState::kBelow);
  std::mt19937_64 random(42);
  for (int step = 0; step < 2'000; ++step) {
    const uint64_t begin = random() % kBlocks;
    const uint64_t end = std::min(kBlocks, begin + (random() % 3 == 0 ? random() % 9'000 : random() % 70));
    const auto state = static_cast<BlockState>(random() % 3);
    if (random() % 20 == 0) {
      map.ClearFrom(begin);
      std::fill(model.begin() + static_cast<std::ptrdiff_t>(begin), model.end(), BlockState::kBelow);
    } else {
      map.Set(begin, end, state);
      std::fill(model.begin() + static_cast<std::ptrdiff_t>(begin), model.begin() + static_cast<std::ptrdiff_t>(end),
                state);
    }
    const uint64_t at = random() % kBlocks;
    ASSERT_EQ(map.At(at), model[at]);
    const BlockRun run = map.RunAt(at, kBlocks);
    uint64_t expected_end = at;
    while (expected_end < kBlocks && model[expected_end] == model[at]) ++expected_end;
    ASSERT_EQ(run.end, expected_end) << at;
    ASSERT_EQ(run.state, model[at]);
    const auto data = std::ranges::count(model, BlockState::kData);
    ASSERT_EQ(map.data_blocks(), static_cast<uint64_t>(data));
    const auto present = std::count_if(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(at),
                                       [](BlockState other) { return other != BlockState::kBelow; });
    ASSERT_EQ(map.CountPresent(at), static_cast<uint64_t>(present));
  }
}

TEST(BlockMapTest, RunEndsWhereItIsTold) {
  BlockMap map;
  EXPECT_EQ(map.RunAt(5, 1'000'000'000).end, 1'000'000'000U);
  map.Set(10, 20, BlockState::kData);
  EXPECT_EQ(map.RunAt(0, 5).end, 5U);
  EXPECT_EQ(map.RunAt(0, 100).end, 10U);
  EXPECT_EQ(map.RunAt(12, 15).end, 15U);
}

}  // namespace
}  // namespace pgstrata::layer
