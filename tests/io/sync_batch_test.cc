#include "foundation/io/sync_batch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>

#include "foundation/io/directory.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::io {
namespace {

TEST(SyncBatch, EachIsSyncedOnceAndTheFirstErrorIsTold) {
  SyncBatch batch;
  std::atomic<int> calls = 0;
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(batch.Add([&calls, i]() -> Status {
      ++calls;
      if (i == 20) return Fail(ErrorCode::kIo, "the disk is broken");
      return {};
    }));
  }
  EXPECT_EQ(calls, 0);
  const auto status = batch.Run();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().message(), "the disk is broken");
  EXPECT_EQ(calls, 30);
  EXPECT_TRUE(batch.Run().has_value());
  EXPECT_EQ(calls, 30);
}

TEST(SyncBatch, ManyFilesAreNotKeptOpen) {
  const test::ScratchDirectory directory;
  const size_t open_before = ListDirectory("/proc/self/fd")->size();
  SyncBatch batch;
  size_t most_open = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(batch.AddFile(directory.path() + '/' + std::to_string(i), std::to_string(i)));
    most_open = std::max(most_open, ListDirectory("/proc/self/fd")->size());
  }
  EXPECT_LT(most_open, open_before + 100);
  ASSERT_TRUE(batch.Run().has_value());
  EXPECT_EQ(ListDirectory("/proc/self/fd")->size(), open_before);
  EXPECT_EQ(*ReadWholeFile(directory.path() + "/299"), "299");
}

TEST(SyncBatch, DirectoriesWaitForAllThatComesIntoThem) {
  const test::ScratchDirectory directory;
  const std::string late = directory.path() + "/late";
  SyncBatch batch;
  batch.AddDirectory(late);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(batch.AddFile(directory.path() + '/' + std::to_string(i), ""));
  ASSERT_TRUE(MakeDirectories(late).has_value());  // it would have been missed already
  EXPECT_TRUE(batch.Run().has_value());
}

TEST(SyncBatch, DirectoryThatIsNotThereIsAnErrorOfRun) {
  const test::ScratchDirectory directory;
  SyncBatch batch;
  batch.AddDirectory(directory.path());
  batch.AddDirectory(directory.path() + "/none");
  EXPECT_EQ(batch.Run().error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace pgstrata::io
