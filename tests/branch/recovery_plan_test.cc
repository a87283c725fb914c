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

constexpr std::string_view kArchived = "1\t0/5000000\tno recovery target specified\n";

class MemoryArchive final : public image::WalArchive {
 public:
  explicit MemoryArchive(std::vector<image::WalFile> files) : files_(std::move(files)) {}
  [[nodiscard]] const std::string& name() const override { return name_; }
  Result<std::vector<image::WalFile>> List() const override { return files_; }
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view) const override {
    return image::MakeBufferView(AsBytes(kArchived));
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
  void ManifestEndsAt(const std::string& end, const std::string& start = "0/2000028") {
    image_.AddFile("backup_manifest", "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n" + Padding() +
                                          "],\n\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"" + start +
                                          "\", \"End-LSN\": \"" + end + "\" }\n],\n\"Manifest-Checksum\": \"00\"}\n");
  }
  // More files than are looked at.
  static std::string Padding() {
    std::string files;
    for (int i = 0; i < 1000; ++i) files += "{ \"Path\": \"\\n\\\"WAL-Ranges\\\": " + std::to_string(i) + "\" },\n";
    return files;
  }
  RecoveryPlan Plan() {
    auto plan = PlanRecovery(image_, facts_, archives_);
    EXPECT_TRUE(plan) << plan.error().message();
    return *std::move(plan);
  }
  static std::vector<std::string> Names(const RecoveryPlan& plan) {
    std::vector<std::string> names;
    names.reserve(plan.from_archives.size());
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

TEST_F(RecoveryPlanTest, ManifestOfAnotherBackupIsPassedOver) {
  // Of an earlier backup in the same directory; that one's end lies in a segment before the first that is needed.
  ManifestEndsAt("0/1000100", "0/1000028");
  const auto without_wal = Plan();
  EXPECT_FALSE(without_wal.consistent_at);
  EXPECT_EQ(without_wal.missing_segment, Segment(2));
  EXPECT_THAT(without_wal.segments, IsEmpty());
  ManifestEndsAt("0/5000100", "0/4000028");
  image_.AddFile("pg_wal/" + Segment(2), "");
  const auto plan = Plan();
  EXPECT_FALSE(plan.consistent_at);
  EXPECT_EQ(plan.missing_segment, "");
}

TEST_F(RecoveryPlanTest, EndBeforeTheRedoPointIsNoEnd) {
  ManifestEndsAt("0/1000100");
  const auto plan = Plan();
  EXPECT_FALSE(plan.consistent_at);
  EXPECT_EQ(plan.missing_segment, Segment(2));
}

TEST_F(RecoveryPlanTest, FirstSegmentIsNeededAlsoWhereItWasConsistentBefore) {
  facts_.kind = ClusterKind::kStandby;
  facts_.control.min_recovery_point = *Lsn::Parse("0/1000100");
  const auto plan = Plan();
  EXPECT_EQ(plan.missing_segment, Segment(2));
  EXPECT_THAT(plan.segments, IsEmpty());
}

TEST_F(RecoveryPlanTest, LastRangeOfAManifestWithSeveralTimelinesEndsIt) {
  image_.AddFile("backup_manifest",
                 "{ \"Files\": [],\n\"WAL-Ranges\": [\n"
                 "{ \"Timeline\": 2, \"Start-LSN\": \"0/3000000\", \"End-LSN\": \"0/3000100\" },\n"
                 "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/3000000\" }\n],\n"
                 "\"Manifest-Checksum\": \"00\"}\n");
  EXPECT_EQ(Plan().consistent_at, Lsn::Parse("0/3000100"));
}

TEST_F(RecoveryPlanTest, DamagedManifestIsAsNone) {
  for (const auto* text :
       {"", "{ \"Files\": [],\n\"WAL-Ranges\": [", "{\n\"WAL-Ranges\": 5}", "{\n\"WAL-Ranges\": [5]}",
        "{\n\"WAL-Ranges\": [{ \"Start-LSN\": \"0/2000028\", \"End-LSN\": 5 }]}"}) {
    image_.AddFile("backup_manifest", text);
    EXPECT_FALSE(Plan().consistent_at) << text;
  }
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

TEST_F(RecoveryPlanTest, ArchivedWalIsShownInPgWal) {
  auto base = std::make_shared<test::MemoryImage>();
  base->AddFile("pg_wal/" + Segment(1), "one");
  const MemoryArchive archive({});
  RecoveryPlan plan;
  plan.from_archives = {{.name = Segment(2), .archive = &archive, .whole_segment = true},
                        {.name = Segment(3), .archive = &archive},
                        {.name = "00000002.history", .archive = &archive}};
  const auto segment_size = facts_.control.wal_segment_size;
  const auto image = WithWal(base, plan, segment_size);
  ASSERT_TRUE(image) << image.error().message();
  const auto size_of = [&](const std::string& name) { return (*image)->Stat("pg_wal/" + name).value().size; };
  EXPECT_EQ((*image)->List("pg_wal").value().size(), 4U);
  EXPECT_EQ(size_of(Segment(2)), segment_size.bytes());  // as announced, without opening it
  EXPECT_EQ(size_of(Segment(3)), kArchived.size());
  EXPECT_EQ(size_of("00000002.history"), kArchived.size());
  EXPECT_EQ(ReadSmallFile(**image, "pg_wal/00000002.history").value(), kArchived);
  EXPECT_EQ((*image)->Open("pg_wal/" + Segment(2)).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(WithWal(base, {}, segment_size).value(), base);
}

TEST_F(RecoveryPlanTest, WalIsNotShownBesideALinkThatLeadsAstray) {
  auto base = std::make_shared<test::MemoryImage>();
  base->AddLink("pg_wal", "pg_wal");
  const MemoryArchive archive({});
  RecoveryPlan plan;
  plan.from_archives = {{.name = Segment(2), .archive = &archive, .whole_segment = true}};
  EXPECT_FALSE(WithWal(base, plan, facts_.control.wal_segment_size));
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
