// PGSTRATA_MODEL_SECONDS says for how long (default 4, with PGSTRATA_LONG=1 half an hour), PGSTRATA_MODEL_SEED with
// which numbers.
#include "tests/layer/crash_model.h"

#include <chrono>
#include <cstdlib>
#include <iostream>

#include "foundation/base/text.h"

namespace pgstrata::layer {
namespace {

using test::SimulatedDisk;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : ParseDecimal(value).value_or(otherwise);
}

TEST(CrashModelTest, NothingThatWasSyncedIsLostAndNothingIsThereThatNeverWas) {
  const uint64_t otherwise = std::getenv("PGSTRATA_LONG") != nullptr ? 1'800 : 4;
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::seconds(FromEnvironment("PGSTRATA_MODEL_SECONDS", otherwise));
  uint64_t seed = FromEnvironment("PGSTRATA_MODEL_SEED", std::random_device{}());
  std::cout << "the first seed is " << seed << '\n';
  for (; std::chrono::steady_clock::now() < end; ++seed) {
    CrashModel model(seed);
    for (int step = 1; step <= 400; ++step) {
      ASSERT_TRUE(model.Step()) << "PGSTRATA_MODEL_SEED=" << seed << " step " << step << ' ' << model.last();
      if (step % 20 == 0) {
        ASSERT_TRUE(model.Agrees()) << "PGSTRATA_MODEL_SEED=" << seed << " step " << step << ' ' << model.last();
      }
    }
  }
  RecordProperty("last_seed", std::to_string(seed));
}

// Every operation of the disk that a short story makes fails once, in each way and once for good.
TEST(CrashModelTest, EveryOperationOfTheDiskMayFail) {
  constexpr int kSteps = 80;
  const uint64_t seed = FromEnvironment("PGSTRATA_MODEL_SEED", std::random_device{}());
  struct Way {
    SimulatedDisk::Fault fault;
    bool forever;
  };
  constexpr std::array kWays = {Way{SimulatedDisk::Fault::kIo, false}, Way{SimulatedDisk::Fault::kNoSpace, true},
                                Way{SimulatedDisk::Fault::kShortWrite, false}, Way{SimulatedDisk::Fault::kIo, true},
                                Way{SimulatedDisk::Fault::kNoSpace, false}};
  const bool all = std::getenv("PGSTRATA_LONG") != nullptr;
  const size_t stride = all ? 1 : kWays.size();
  // Every third operation in the short run, beginning at another one each time.
  const uint64_t step_by = all ? 1 : 3;
  uint64_t reached = 0;
  for (uint64_t number = 1 + seed % step_by; reached + step_by >= number; number += step_by) {
    for (size_t way = stride == 1 ? 0 : number % stride; way < kWays.size(); way += stride) {
      SCOPED_TRACE("PGSTRATA_MODEL_SEED=" + std::to_string(seed) + ", operation " + std::to_string(number) + ", way " +
                   std::to_string(way));
      CrashModel model(seed);
      model.disk().FailAt(number, kWays[way].fault, kWays[way].forever);
      for (int step = 1; step <= kSteps; ++step) {
        ASSERT_TRUE(model.Step()) << "step " << step << ' ' << model.last();
      }
      if (model.disk().failed()) reached = number;
      ASSERT_TRUE(model.Heals()) << model.last();
    }
  }
  EXPECT_GT(reached, 20U);
}

}  // namespace
}  // namespace pgstrata::layer
