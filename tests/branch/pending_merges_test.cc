#include "branch/branch/pending_merges.h"

#include <gtest/gtest.h>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::branch {
namespace {

std::vector<std::string> Ids(const BranchRecord& record) {
  std::vector<std::string> ids;
  ids.reserve(record.layers.size());
  for (const auto& layer : record.layers) ids.push_back(layer.id);
  return ids;
}

// Five layers, of which it was made upon the lowest three.
BranchRecord FiveLayers() {
  BranchRecord record;
  record.layers = {{"a-1", true, true}, {"a-2", true, true}, {"b-1", true, true},
                   {"b-2", true, true}, {"b-3", true, true}, {"b-4", false, true}};
  record.layers_at_creation = 3;
  return record;
}

TEST(ApplyMerge, TakesThePlaceOfWhatItReplaces) {
  BranchRecord record = FiveLayers();
  ASSERT_TRUE(ApplyMerge({"b-5", {"a-2", "b-1"}}, record));
  EXPECT_EQ(Ids(record), (std::vector<std::string>{"a-1", "b-5", "b-2", "b-3", "b-4"}));
  EXPECT_EQ(record.layers_at_creation, 2U);
  EXPECT_EQ(record.layers[1], (LayerRecord{"b-5", true, true}));
  ASSERT_TRUE(ApplyMerge({"b-6", {"b-2", "b-3"}}, record));
  EXPECT_EQ(Ids(record), (std::vector<std::string>{"a-1", "b-5", "b-6", "b-4"}));
  EXPECT_EQ(record.layers_at_creation, 2U);
  ASSERT_TRUE(ApplyMerge({"b-7", {"a-1", "b-5"}}, record)) << "what was merged is merged again";
  EXPECT_EQ(Ids(record), (std::vector<std::string>{"b-7", "b-6", "b-4"}));
  EXPECT_EQ(record.layers_at_creation, 1U);
}

TEST(ApplyMerge, LeavesABranchThatStandsElsewhere) {
  BranchRecord record = FiveLayers();
  const std::vector<std::vector<std::string>> wrong = {
      {"a-1", "b-1"},        // not one on the other
      {"a-2", "a-1"},        // the other way round
      {"a-0", "a-1"},        // not there
      {"b-1", "b-2"},        // across the line that a reset comes back to
      {"b-3", "b-4"},        // the topmost is written
      {"b-4"},               // likewise
      {"b-3", "b-4", "b-5"}  // longer than the stack
  };
  for (const auto& run : wrong) EXPECT_FALSE(ApplyMerge({"b-9", run}, record)) << run.front();
  EXPECT_EQ(record, FiveLayers());
}

class PendingMergesTest : public testing::Test {
 protected:
  PendingMergesTest() { EXPECT_TRUE(io::MakeDirectories(directory_.path()).has_value()); }
  test::ScratchDirectory home_;
  const BranchDirectory directory_{home_.path(), "b"};
};

TEST_F(PendingMergesTest, AreUsedOnceInTheOrderInWhichTheyWereAdded) {
  EXPECT_TRUE(ReadPendingMerges(directory_)->empty());
  const PendingMerge first{"b-1", {"a-1", "a-2"}};
  const PendingMerge second{"b-2", {"b-1", "a-3"}};
  ASSERT_TRUE(AddPendingMerge(directory_, first).has_value());
  ASSERT_TRUE(AddPendingMerge(directory_, second).has_value());
  EXPECT_EQ(*ReadPendingMerges(directory_), (std::vector<PendingMerge>{first, second}));
  const auto fails = [](const auto&) { return Fail(ErrorCode::kNoSpace, "no room"); };
  EXPECT_EQ(UsePendingMerges(directory_, fails).error().code(), ErrorCode::kNoSpace);
  std::vector<PendingMerge> used;
  const auto use = [&](const std::vector<PendingMerge>& merges) -> Status {
    used = merges;
    EXPECT_EQ(*ReadPendingMerges(directory_), merges) << "they are there until they are in use";
    return {};
  };
  ASSERT_TRUE(UsePendingMerges(directory_, use).has_value());
  EXPECT_EQ(used, (std::vector<PendingMerge>{first, second}));
  EXPECT_TRUE(ReadPendingMerges(directory_)->empty());
  ASSERT_TRUE(UsePendingMerges(directory_, fails).has_value()) << "there is nothing to use";
}

TEST_F(PendingMergesTest, DamageIsNamed) {
  for (const char* text : {"", "something else\n", "pgstrata merged 2\nb-1 a-1\n", "pgstrata merged 1\nb-1\n",
                           "pgstrata merged 1\nb-1 ../../etc\n"}) {
    ASSERT_TRUE(io::WriteWholeFile(directory_.path() + "/merged", text).has_value());
    const auto read = ReadPendingMerges(directory_);
    ASSERT_FALSE(read.has_value()) << text;
    EXPECT_EQ(read.error().code(), ErrorCode::kCorrupt);
  }
}

TEST_F(PendingMergesTest, ABranchThatIsGoneTakesNone) {
  ASSERT_TRUE(io::RemoveTree(directory_.path()).has_value());
  EXPECT_EQ(AddPendingMerge(directory_, {"b-1", {"a-1"}}).error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace pgstrata::branch
