#include "branch/branch/moment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "backup/image/buffer_file.h"
#include "branch/branch/recovery_plan.h"
#include "tests/pgdata/wal_builder.h"
#include "tests/support/memory_image.h"

namespace pgstrata::branch {
namespace {

using pgdata::MapWalSource;
using pgdata::WalBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const pgdata::WalSegmentSize kSize = *pgdata::WalSegmentSize::FromBytes(WalBuilder::kSegment);

class MapArchive final : public image::WalArchive {
 public:
  [[nodiscard]] const std::string& name() const override { return name_; }
  Result<std::vector<image::WalFile>> List() const override {
    std::vector<image::WalFile> listed;
    for (const auto& [name, content] : files) listed.push_back({.name = name, .partial = partial.contains(name)});
    return listed;
  }
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view name) const override {
    const auto found = files.find(std::string(name));
    if (found == files.end()) return Fail(ErrorCode::kNotFound, "there is no such file");
    return image::MakeBufferView(AsBytes(found->second));
  }

  std::map<std::string, std::string> files;
  std::set<std::string> partial;

 private:
  std::string name_ = "archive";
};

template <typename T>
std::string Bytes(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Seconds since 2000 in records, as "2000-01-01 00:00:SS+00" in what is asked for.
std::string Second(int second) {
  return "2000-01-01 00:00:" + std::string(second < 10 ? "0" : "") + std::to_string(second) + "+00";
}
std::string TimeBytes(int second) { return Bytes(static_cast<int64_t>(second) * 1'000'000); }

constexpr uint8_t kTransaction = pgdata::kTransactionResourceManager;
constexpr uint8_t kXlog = pgdata::kXlogResourceManager;

class MomentTest : public ::testing::Test {
 protected:
  MomentTest() {
    image_.AddDirectory("pg_wal");
    facts_.kind = ClusterKind::kOnlineBackup;
    facts_.major_version = 15;
    facts_.timeline = TimelineId{1};
    facts_.control.wal_segment_size = kSize;
    facts_.control.system_identifier = WalBuilder::kSystemIdentifier;
    facts_.redo = wal_.Here();
    facts_.label = pgdata::BackupLabel{.start = facts_.redo, .start_wal_file = {}, .label = "test"};
    Commit(100, 1);
    wal_.Add(Bytes(facts_.redo.value), kXlog, 0x50);
    consistent_ = wal_.Here();
    auto archive = std::make_unique<MapArchive>();
    archive_ = archive.get();
    archives_.push_back(std::move(archive));
  }

  Lsn Commit(uint32_t xid, int second, const std::vector<uint32_t>& subtransactions = {}, WalBuilder* wal = nullptr) {
    std::string data = TimeBytes(second);
    if (!subtransactions.empty()) {
      data += Bytes<uint32_t>(1 << 1) + Bytes(static_cast<uint32_t>(subtransactions.size()));
      for (const uint32_t each : subtransactions) data += Bytes(each);
    }
    const uint8_t info = subtransactions.empty() ? 0x00 : 0x80;
    return (wal == nullptr ? wal_ : *wal).Add(data, kTransaction, info, xid);
  }
  Lsn Abort(uint32_t xid, int second) { return wal_.Add(TimeBytes(second), kTransaction, 0x20, xid); }
  Lsn Point(const std::string& name) {
    std::string data = TimeBytes(0) + name;
    data.resize(sizeof(int64_t) + 64);
    return wal_.Add(data, kXlog, 0x70);
  }

  void Archive(const WalBuilder& wal, TimelineId timeline) {
    MapWalSource source;
    wal.PutInto(source, timeline);
    for (auto& [segment, content] : source.segments) archive_->files[pgdata::SegmentName(segment, kSize)] = content;
  }
  Result<Moment> Find(const std::string& at, std::optional<uint32_t> timeline = std::nullopt) {
    if (!archived_) Archive(wal_, {1});
    archived_ = true;
    const auto inventory = WalInventory::Take(image_, archives_, WalPreference::kFarthest);
    EXPECT_TRUE(inventory);
    MomentRequest request{.at = at, .now = {}, .timeline = {}};
    if (timeline) request.timeline = TimelineId{*timeline};
    return FindMoment(image_, facts_, *inventory, std::nullopt, request);
  }
  std::string Stop(const std::string& at) {
    const auto moment = Find(at);
    if (!moment) return moment.error().message();
    return moment->stop ? moment->stop->ToString() : "the end";
  }

  test::MemoryImage image_;
  ClusterFacts facts_;
  WalBuilder wal_{2};
  Lsn consistent_;
  std::vector<std::unique_ptr<image::WalArchive>> archives_;
  MapArchive* archive_ = nullptr;
  bool archived_ = false;
};

TEST_F(MomentTest, ATimeStopsBeforeTheFirstLaterEndOfATransaction) {
  Commit(101, 10);
  const Lsn aborted = Abort(102, 20);
  const Lsn last = Commit(103, 30);
  EXPECT_EQ(Stop(Second(10)), aborted.ToString());
  EXPECT_EQ(Stop(Second(15)), aborted.ToString());
  EXPECT_EQ(Stop(Second(20)), last.ToString());
  EXPECT_EQ(Stop(Second(29)), last.ToString());
  const auto moment = Find(Second(20));
  ASSERT_TRUE(moment);
  EXPECT_EQ(moment->description, Second(20) + " (timeline 1, " + last.ToString() + ')');
  EXPECT_THAT(moment->warnings, IsEmpty());
}

TEST_F(MomentTest, ATimeBehindTheLastTransactionReplaysAllThereIs) {
  Commit(101, 10);
  const Lsn end = wal_.Here();
  EXPECT_EQ(Stop(Second(10)), "the end");
  EXPECT_EQ(Stop("2026-11-20"), "the end");
  EXPECT_EQ(Stop("latest"), "the end");
  const auto moment = Find("latest");
  ASSERT_TRUE(moment);
  EXPECT_EQ(moment->end, end);
  EXPECT_THAT(moment->description, HasSubstr("last transaction " + Second(10)));
}

TEST_F(MomentTest, ATimeBeforeTheEndOfTheBackupIsRefusedWithItsEarliestMoment) {
  Commit(101, 10);
  for (const auto& at : {Second(0), std::string("1999-01-01"), "lsn:" + facts_.redo.ToString()}) {
    const auto moment = Find(at);
    ASSERT_FALSE(moment) << at;
    EXPECT_EQ(moment.error().code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(moment.error().message(), HasSubstr("its earliest moment is " + Second(1)));
    EXPECT_THAT(moment.error().message(), HasSubstr(consistent_.ToString()));
  }
  EXPECT_TRUE(Find(Second(1)));
}

TEST_F(MomentTest, LaterRecordsWithAnEarlierTimeAreTold) {
  Commit(101, 10);
  const Lsn ahead = Commit(102, 40);
  Commit(103, 15);
  Commit(104, 16);
  const auto moment = Find(Second(20));
  ASSERT_TRUE(moment);
  EXPECT_EQ(moment->stop, ahead);
  EXPECT_THAT(moment->warnings, ElementsAre(HasSubstr("2 later transactions")));
  EXPECT_THAT(moment->warnings, ElementsAre(HasSubstr("xid:103")));
}

TEST_F(MomentTest, AnLsnStopsBeforeTheRecordThatBeginsThereOrBehindIt) {
  const Lsn first = Commit(101, 10);
  const Lsn second = Commit(102, 20);
  const Lsn end = wal_.Here();
  EXPECT_EQ(Stop("lsn:" + first.ToString()), first.ToString());
  EXPECT_EQ(Stop("lsn:" + Lsn{first.value + 1}.ToString()), second.ToString());
  EXPECT_EQ(Stop("lsn:" + end.ToString()), "the end");
  const auto beyond = Find("lsn:7/0");
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code(), ErrorCode::kMissingWal);
  EXPECT_THAT(beyond.error().message(), HasSubstr("ends at " + end.ToString()));
}

TEST_F(MomentTest, ATransactionIsReplayedAlsoByAPartOfIt) {
  Commit(101, 10, {150, 151});
  const Lsn next = Commit(102, 20);
  EXPECT_EQ(Stop("xid:101"), next.ToString());
  EXPECT_EQ(Stop("xid:151"), next.ToString());
  EXPECT_EQ(Stop("xid:102"), "the end");
  const auto unknown = Find("xid:999");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(unknown.error().message(), HasSubstr("transaction 999"));
}

TEST_F(MomentTest, OfTwoRestorePointsItIsTheFirstAndThatIsTold) {
  Point("before");
  const Lsn next = Commit(101, 10);
  Point("before");
  EXPECT_EQ(Stop("name:before"), next.ToString());
  EXPECT_THAT(Find("name:before")->warnings, ElementsAre(HasSubstr("more than one restore point \"before\"")));
  EXPECT_EQ(Find("name:after").error().code(), ErrorCode::kNotFound);
}

TEST_F(MomentTest, WhatLiesBehindAGapIsRefusedNamingTheSegment) {
  Commit(101, 10);
  wal_.SwitchSegment();
  const Lsn gap = wal_.Here();
  Commit(102, 20);
  wal_.SwitchSegment();
  Commit(103, 30);
  Archive(wal_, {1});
  archived_ = true;
  const std::string missing = pgdata::SegmentName({{1}, pgdata::SegmentNumber(gap, kSize)}, kSize);
  archive_->files.erase(missing);
  for (const auto& at : {Second(10), Second(25), std::string("xid:103")}) {
    const auto moment = Find(at);
    ASSERT_FALSE(moment) << at;
    EXPECT_EQ(moment.error().code(), ErrorCode::kMissingWal);
    EXPECT_THAT(moment.error().message(), HasSubstr(missing));
  }
  EXPECT_TRUE(Find("xid:101"));
  const auto latest = Find("latest");
  ASSERT_TRUE(latest);
  EXPECT_THAT(latest->warnings, ElementsAre(HasSubstr(missing)));
}

TEST_F(MomentTest, TheNewestTimelineThatGrewFromTheBackupsIsFollowed) {
  Commit(101, 10);
  WalBuilder child = wal_;
  const Lsn fork = wal_.Here();
  child.SwitchTimeline({2});
  Commit(201, 20, {}, &child);
  const Lsn on_child = Commit(202, 30, {}, &child);
  const Lsn on_parent = Commit(111, 25);
  wal_.SwitchSegment();
  Commit(112, 40);
  Archive(child, {2});
  archive_->files["00000002.history"] = "1\t" + fork.ToString() + "\tno recovery target specified\n";
  const auto newest = Find(Second(22));
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->timeline, TimelineId{2});
  EXPECT_EQ(newest->stop, on_child);
  EXPECT_THAT(newest->segments, ElementsAre("000000020000000000000002"));
  EXPECT_THAT(newest->warnings, ElementsAre(HasSubstr("timeline 1 went on by itself after " + fork.ToString())));
  const auto older = Find(Second(22), 1);
  ASSERT_TRUE(older);
  EXPECT_EQ(older->stop, on_parent);
  EXPECT_THAT(Find("xid:111").error().hint(), HasSubstr("--timeline 1"));
  const auto unknown = Find("latest", 9);
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().hint(), HasSubstr("1, 2"));
}

TEST_F(MomentTest, ATimelineWithoutWalYetEndsOnTheOneBefore) {
  Commit(101, 10);
  const Lsn fork = wal_.Here();
  Commit(111, 25);
  archive_->files["00000002.history"] = "1\t" + fork.ToString() + "\tno recovery target specified\n";
  const auto moment = Find("latest");
  ASSERT_TRUE(moment) << moment.error().message();
  EXPECT_EQ(moment->timeline, TimelineId{1});
  EXPECT_EQ(moment->stop, fork);
}

TEST_F(MomentTest, ASegmentThatTheBackupHasOnlyTheBeginningOfIsTakenFromTheArchive) {
  MapWalSource cut;
  wal_.PutInto(cut, {1});
  image_.AddFile("pg_wal/000000010000000000000002", cut.segments.begin()->second);
  const Lsn next = Commit(101, 10);
  Commit(102, 20);
  EXPECT_EQ(Stop(Second(5)), next.ToString());
  archive_->partial.insert("000000010000000000000002");
  EXPECT_EQ(Stop(Second(5)), next.ToString());
}

TEST_F(MomentTest, ASegmentOfTheBackupThatHoldsOlderWalGivesWayToTheArchives) {
  WalBuilder older(1);
  older.Add(std::string(3'000, 'x'), 10);
  MapWalSource used;
  older.PutInto(used, {1});
  image_.AddFile("pg_wal/000000010000000000000002", used.segments.begin()->second);
  const Lsn next = Commit(101, 10);
  archive_->partial.insert("000000010000000000000002");
  EXPECT_EQ(Stop(Second(5)), next.ToString());
}

TEST_F(MomentTest, WhereATimelineIsOnlyAHistoryFileTheOneThatWentOnIsTold) {
  Commit(101, 10);
  const Lsn fork = wal_.Here();
  Commit(111, 25);
  wal_.SwitchSegment();
  Commit(112, 40);
  archive_->files["00000002.history"] = "1\t" + fork.ToString() + "\tno recovery target specified\n";
  const auto moment = Find(Second(30));
  ASSERT_TRUE(moment) << moment.error().message();
  EXPECT_THAT(moment->warnings, ElementsAre(HasSubstr("timeline 1 went on by itself after " + fork.ToString())));
}

TEST_F(MomentTest, ATimelineThatLeftBeforeTheBackupEndedIsTold) {
  Commit(101, 10);
  archive_->files["00000002.history"] = "1\t" + facts_.redo.ToString() + "\tno recovery target specified\n";
  const auto moment = Find(Second(30));
  ASSERT_TRUE(moment) << moment.error().message();
  EXPECT_EQ(moment->timeline, TimelineId{1});
  EXPECT_THAT(moment->warnings, ElementsAre(HasSubstr("timeline 2 left at " + facts_.redo.ToString())));
}

TEST_F(MomentTest, ThePlanHasWhatReplayNeedsAndTheServersCapacities) {
  Commit(101, 10);
  wal_.Add(Bytes<uint32_t>(300) + Bytes<uint32_t>(9) + Bytes<uint32_t>(10) + Bytes<uint32_t>(50) + Bytes<uint32_t>(64) +
               std::string(8, '\0'),
           kXlog, 0x60);
  const Lsn stop = Commit(102, 20);
  wal_.SwitchSegment();
  Commit(103, 30);
  Archive(wal_, {1});
  archive_->files["00000007.history"] = "6\t0/1000000\tof another history\n";
  const auto plan = PlanRecovery(image_, facts_, archives_, MomentRequest{.at = Second(15), .now = {}, .timeline = {}});
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_EQ(plan->mode, RecoveryMode::kArchive);
  EXPECT_EQ(plan->moment->stop, stop);
  EXPECT_THAT(plan->segments, ElementsAre("000000010000000000000002"));
  ASSERT_EQ(plan->from_archives.size(), 2U);
  EXPECT_EQ(plan->from_archives[1].name, "00000007.history");
  EXPECT_EQ(facts_.control.max_connections, 300U);
  EXPECT_EQ(facts_.control.max_prepared_transactions, 50U);
}

TEST_F(MomentTest, ACopyOfACrashedClusterHasItsOwnEndOnly) {
  facts_.kind = ClusterKind::kCrashed;
  Commit(101, 10);
  EXPECT_EQ(Find(Second(5)).error().code(), ErrorCode::kUnsupported);
  EXPECT_TRUE(Find("latest"));
}

}  // namespace
}  // namespace pgstrata::branch
