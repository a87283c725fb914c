#include "branch/branch/diff_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::branch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DiffDirectoryTest : public ::testing::Test {
 protected:
  static DiffRecord Record() {
    return {.origin = {.given = "./newest",
                       .name = "/b/newest",
                       .path = "/b/newest",
                       .wal = {"/archive"},
                       .chain = {"/a,b/full", "/b/incr1"},
                       .cipher_pass_file = "/etc/pass",
                       .system_identifier = 7'433'211'234'567'890'123U,
                       .major_version = 17,
                       .control_file = "00ff"},
            .user = "postgres",
            .wal_files = {"000000010000000000000004"},
            .layers = {"layer-1"},
            .no_wal = true};
  }

  test::ScratchDirectory place_;
  const std::string path_ = place_.path() + "/diff";
};

TEST_F(DiffDirectoryTest, RemembersAllThatMountsItAgain) {
  {
    auto directory = DiffDirectory::Enter(path_);
    ASSERT_TRUE(directory.has_value()) << directory.error().message();
    ASSERT_TRUE(directory->Publish(Record()).has_value());
  }
  const auto record = ReadDiffRecord(path_);
  ASSERT_TRUE(record.has_value()) << record.error().message();
  EXPECT_EQ(record->origin.name, "/b/newest");
  EXPECT_THAT(record->origin.chain, ElementsAre("/a,b/full", "/b/incr1"));
  EXPECT_EQ(record->origin.cipher_pass_file, "/etc/pass");
  EXPECT_EQ(record->origin.system_identifier, 7'433'211'234'567'890'123U);
  EXPECT_TRUE(record->no_wal);
}

TEST_F(DiffDirectoryTest, AnOlderOneIsNamedByItsPath) {
  ASSERT_TRUE(io::MakeDirectories(path_).has_value());
  ASSERT_TRUE(io::WriteWholeFile(path_ + "/pgstrata.json", R"({"format": "pgstrata-diff", "version": 1, "source":
      {"given": "./m", "path": "/b/m", "wal": [], "system_identifier": "7", "major_version": 15,
       "pg_control_sha256": "00"}, "user": "u", "wal_files": [], "layers": ["layer-1"]})")
                  .has_value());
  const auto record = ReadDiffRecord(path_);
  ASSERT_TRUE(record.has_value()) << record.error().message();
  EXPECT_EQ(record->origin.name, "/b/m");
  EXPECT_THAT(record->origin.chain, IsEmpty());
  EXPECT_FALSE(record->no_wal);
}

TEST_F(DiffDirectoryTest, TheMarkOfUnsafeSyncsStaysUntilItIsTakenBack) {
  auto directory = DiffDirectory::Enter(path_);
  ASSERT_TRUE(directory.has_value());
  ASSERT_TRUE(directory->Publish(Record()).has_value());
  ASSERT_TRUE(directory->MarkDirty().has_value());
  EXPECT_TRUE(directory->is_dirty());
  ASSERT_TRUE(ClearDirtyMark(path_).has_value());
  EXPECT_FALSE(directory->is_dirty());
  EXPECT_TRUE(ClearDirtyMark(path_).has_value());
}

TEST_F(DiffDirectoryTest, AnotherChainIsAnotherSource) {
  DiffOrigin now = Record().origin;
  now.chain = {"/b/full"};
  const auto other = CheckSameOrigin(Record().origin, now, false, path_);
  ASSERT_FALSE(other.has_value());
  EXPECT_THAT(other.error().message(), HasSubstr("another --chain"));
  now.chain = {};  // looked for, and found to be the same backup
  EXPECT_TRUE(CheckSameOrigin(Record().origin, now, false, path_).has_value());
}

}  // namespace
}  // namespace pgstrata::branch
