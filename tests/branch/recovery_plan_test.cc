#include "branch/branch/recovery_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "backup/image/buffer_file.h"
#include "tests/support/memory_image.h"

namespace pgstrata::branch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class MemoryArchive final : public image::WalArchive {
 public:
  explicit MemoryArchive(std::vector<image::WalFile> files) : files_(std::move(files)) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  Result<std::vector<image::WalFile>> List() const override { return files_; }
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view) const override {
    return image::MakeBufferView(AsBytes(std::string_view("1\t0/5000000\tno recovery target specified\n")));
  }

 private:
  std::string name_ = "archive";
  std::vector<image::WalFile> files_;
};

constexpr std::string_view kSegment = "00000001000000000000000";

std::string Segment(int number) { return std::string(kSegment) + std::to_string(number); }

class RecoveryPlanTest : public ::testing::Test {
 protected:
  RecoveryPlanTest() {
    facts_.kind = ClusterKind::kOnlineBackup;
    facts_.major_version = 15;
    facts_.redo = *Lsn::Parse("0/2000028");
    facts_.timeline = TimelineId{1};
    facts_.label = pgdata::BackupLabel{.start = facts_.redo, .start_wal_file = Segment(2), .label = "test"};
    image_.AddDirectory("pg_wal");
  }

  void Archive(std::vector<image::WalFile> files) {
    archives_.push_back(std::make_unique<MemoryArchive>(std::move(files)));
  }
  void ManifestEndsAt(const std::string& lsn) {
    image_.AddFile("backup_manifest",
                   "\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"" + lsn +
                       "\" }\n],\n\"Manifest-Checksum\": \"00\"}\n");
  }
  RecoveryPlan Plan() {
    auto plan = PlanRecovery(image_, facts_, archives_);
    EXPECT_TRUE(plan) << plan.error().message();
    return *std::move(plan);
  }
  static std::vector<std::string> Names(const RecoveryPlan& plan) {
    std::vector<std::string> names;
    for (const auto& wal : plan.from_archives) names.push_back(wal.name);
    return names;
  }

  test::MemoryImage image_;
  ClusterFacts facts_;
  std::vector<std::unique_ptr<image::WalArchive>> archives_;
};

TEST_F(RecoveryPlanTest, OwnWalThatReachesTheEndIsEnough) {
  image_.AddFile("pg_wal/" + Segment(2), "");
  ManifestEndsAt("0/2000100");
  const auto plan = Plan();
  EXPECT_EQ(plan.mode, RecoveryMode::kCrash);
  EXPECT_EQ(plan.consistent_at, Lsn::Parse("0/2000100"));
  EXPECT_THAT(plan.segments, ElementsAre(Segment(2)));
  EXPECT_THAT(Names(plan), IsEmpty());
  EXPECT_TRUE(CheckComplete(plan, image_));
}

TEST_F(RecoveryPlanTest, MissingSegmentIsNamedWithWhatToDo) {
  image_.AddFile("pg_wal/" + Segment(2), "");
  ManifestEndsAt("0/3000100");
  const auto plan = Plan();
  EXPECT_EQ(plan.missing_segment, Segment(3));
  const auto status = CheckComplete(plan, image_);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kMissingWal);
  EXPECT_THAT(status.error().message(), HasSubstr(Segment(3)));
  EXPECT_THAT(status.error().hint(), HasSubstr("--wal"));
}

TEST_F(RecoveryPlanTest, EndAtASegmentsBeginningDoesNotNeedThatSegment) {
  image_.AddFile("pg_wal/" + Segment(2), "");
  ManifestEndsAt("0/3000000");
  EXPECT_EQ(Plan().missing_segment, "");
}

TEST_F(RecoveryPlanTest, ArchiveGivesWhatConsistencyNeedsAndNoMore) {
  image_.AddFile("pg_wal/" + Segment(2), "");
  Archive({{.name = Segment(2)}, {.name = Segment(3)}, {.name = Segment(4)}});
  ManifestEndsAt("0/3000100");
  const auto plan = Plan();
  EXPECT_THAT(Names(plan), ElementsAre(Segment(3)));
  EXPECT_EQ(plan.missing_segment, "");
}

TEST_F(RecoveryPlanTest, WhereNobodyWroteTheEndTheArchiveIsFollowedToItsFirstGap) {
  Archive({{.name = Segment(2)}, {.name = Segment(3)}, {.name = Segment(5)}});
  const auto plan = Plan();
  EXPECT_THAT(Names(plan), ElementsAre(Segment(2), Segment(3)));
  EXPECT_EQ(plan.missing_segment, "");
}

TEST_F(RecoveryPlanTest, EarlierArchiveWins) {
  Archive({{.name = Segment(2), .partial = true}});
  Archive({{.name = Segment(2)}});
  const auto plan = Plan();
  ASSERT_EQ(plan.from_archives.size(), 1U);
  EXPECT_EQ(plan.from_archives[0].archive, archives_[0].get());
  EXPECT_FALSE(plan.from_archives[0].whole_segment);
}

TEST_F(RecoveryPlanTest, SegmentsAreThoseOfTheTimelinesHistory) {
  facts_.timeline = TimelineId{2};
  facts_.redo = *Lsn::Parse("0/4000028");
  facts_.label->start = facts_.redo;
  Archive({{.name = "00000002.history"}, {.name = "000000010000000000000004"}, {.name = "000000020000000000000005"}});
  const auto plan = Plan();
  EXPECT_THAT(Names(plan), ElementsAre("000000010000000000000004", "000000020000000000000005", "00000002.history"));
}

TEST_F(RecoveryPlanTest, StoppedClusterNeedsItsLastCheckpointOnly) {
  facts_.kind = ClusterKind::kStopped;
  facts_.label.reset();
  EXPECT_EQ(Plan().missing_segment, Segment(2));
  image_.AddFile("pg_wal/" + Segment(2), "");
  const auto plan = Plan();
  EXPECT_EQ(plan.mode, RecoveryMode::kNone);
  EXPECT_EQ(plan.missing_segment, "");
}

TEST_F(RecoveryPlanTest, StandbyIsRecoveredAsAnArchiveToItsMinimumRecoveryPoint) {
  facts_.kind = ClusterKind::kStandby;
  facts_.control.min_recovery_point = *Lsn::Parse("0/3000100");
  image_.AddFile("pg_wal/" + Segment(2), "");
  const auto plan = Plan();
  EXPECT_EQ(plan.mode, RecoveryMode::kArchive);
  EXPECT_EQ(plan.missing_segment, Segment(3));
}

TEST_F(RecoveryPlanTest, TablespacesOfTheMapHaveToBeThere) {
  image_.AddDirectory("pg_tblspc");
  EXPECT_TRUE(CheckTablespaces(image_));
  image_.AddFile("tablespace_map", "16384 /srv/fast\n");
  const auto status = CheckTablespaces(image_);
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message(), HasSubstr("16384"));
  EXPECT_THAT(status.error().message(), HasSubstr("/srv/fast"));
}

}  // namespace
}  // namespace pgstrata::branch
