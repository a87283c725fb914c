#include "postgres/pgdata/wal_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wal_builder.h"

namespace pgstrata::pgdata {
namespace {

using testing::HasSubstr;

constexpr uint64_t kSegment = WalBuilder::kSegment;

WalReader ReaderOf(WalSource& source, TimelineHistory history = TimelineHistory(TimelineId{1})) {
  return {source, std::move(history), {15, *WalSegmentSize::FromBytes(kSegment), WalBuilder::kSystemIdentifier}};
}

std::string BytesOf(Lsn lsn) { return {reinterpret_cast<const char*>(&lsn.value), sizeof lsn.value}; }

// The main data of all records from `from` on, until WAL ends or fails.
std::vector<std::string> Walk(WalReader& reader, Lsn from) {
  std::vector<std::string> seen;
  if (!reader.Seek(from)) return {"seek failed"};
  while (true) {
    const auto record = reader.Next();
    if (!record) {
      seen.push_back(record.error().message());
      return seen;
    }
    if (!*record) return seen;
    seen.emplace_back(AsText((*record)->main_data.first(std::min<size_t>(8, (*record)->main_data.size()))));
  }
}

TEST(WalReader, RecordsCrossPagesAndSegments) {
  WalBuilder wal(3);
  const Lsn first = wal.Add("first");
  wal.Add("long" + std::string(3 * kSegment, 'x'));
  wal.Add("last");
  MapWalSource source;
  wal.PutInto(source, {1});
  WalReader reader = ReaderOf(source);
  EXPECT_THAT(Walk(reader, first), testing::ElementsAre("first", "longxxxx", "last"));
  EXPECT_EQ(reader.end_reason(), "there is no record");
  // From within the long record.
  EXPECT_THAT(Walk(reader, {5 * kSegment}), testing::ElementsAre("last"));
  EXPECT_THAT(Walk(reader, {5 * kSegment + 5000}), testing::ElementsAre("last"));
}

TEST(WalReader, EveryLengthOfRecordIsRead) {
  WalBuilder wal(1);
  const Lsn first = wal.Here();
  std::vector<Lsn> starts;
  for (size_t length = 1; length < 400; ++length) starts.push_back(wal.Add(std::string(length, 'x')));
  MapWalSource source;
  wal.PutInto(source, {1});
  WalReader reader = ReaderOf(source);
  ASSERT_TRUE(reader.Seek(first));
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto record = reader.Next();
    ASSERT_TRUE(record && *record) << i;
    EXPECT_EQ((*record)->start, starts[i]);
    EXPECT_EQ((*record)->main_data.size(), i + 1);
  }
}

TEST(WalReader, AMissingSegmentIsNamed) {
  WalBuilder wal(3);
  const Lsn first = wal.Add("long" + std::string(2 * kSegment, 'x'));
  MapWalSource source;
  wal.PutInto(source, {1});
  source.segments.erase({{1}, 4});
  WalReader reader = ReaderOf(source);
  const auto sought = reader.Seek(first);
  ASSERT_FALSE(sought);
  EXPECT_EQ(sought.error().code(), ErrorCode::kMissingWal);
  EXPECT_THAT(sought.error().message(), HasSubstr("\"000000010000000000000004\""));
  EXPECT_EQ(reader.missing_segment(), (WalSegment{{1}, 4}));
}

TEST(WalReader, ASegmentThatIsCutShortEndsTheWal) {
  WalBuilder wal(3);
  const Lsn first = wal.Add("first");
  wal.Add("second");
  MapWalSource source;
  wal.PutInto(source, {1});
  source.segments.at({{1}, 3}).resize(200);  // a .partial segment without its zeros
  WalReader reader = ReaderOf(source);
  EXPECT_THAT(Walk(reader, first), testing::ElementsAre("first", "second"));
  source.segments.at({{1}, 3}).clear();
  WalReader empty = ReaderOf(source);
  EXPECT_TRUE(Walk(empty, first).empty());
  EXPECT_THAT(empty.end_reason(), HasSubstr("ends"));
}

TEST(WalReader, ASegmentSwitchLeadsToTheNextSegment) {
  WalBuilder wal(3);
  const Lsn first = wal.Add("first");
  wal.SwitchSegment();
  const Lsn second = wal.Add("second");
  EXPECT_EQ(second.value / kSegment, 4U);
  MapWalSource source;
  wal.PutInto(source, {1});
  WalReader reader = ReaderOf(source);
  EXPECT_THAT(Walk(reader, first), testing::ElementsAre("first", "", "second"));
  source.segments.erase({{1}, 4});
  WalReader shortened = ReaderOf(source);
  const auto seen = Walk(shortened, first);
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_THAT(seen.back(), HasSubstr("000000010000000000000004"));
}

TEST(WalReader, ARecycledSegmentIsTheEnd) {
  WalBuilder old(2);
  old.Add("old");
  WalBuilder wal(3);
  const Lsn first = wal.Add("first");
  wal.SwitchSegment();
  MapWalSource source;
  wal.PutInto(source, {1});
  MapWalSource olds;
  old.PutInto(olds, {1});
  source.segments[{{1}, 4}] = olds.segments.at({{1}, 2});
  WalReader reader = ReaderOf(source);
  EXPECT_THAT(Walk(reader, first), testing::ElementsAre("first", ""));
  EXPECT_EQ(reader.position(), Lsn{4 * kSegment});
  EXPECT_THAT(reader.end_reason(), HasSubstr("recycled"));
}

TEST(WalReader, AnOverwrittenContinuationIsFollowed) {
  WalBuilder wal(3);
  const Lsn first = wal.Add("first");
  wal.AddTorn(std::string(20000, 'x'));
  wal.OverwriteContinuation();
  wal.Add("after");
  MapWalSource source;
  wal.PutInto(source, {1});
  WalReader reader = ReaderOf(source);
  EXPECT_THAT(Walk(reader, first), testing::ElementsAre("first", "after"));
}

TEST(WalReader, AHistoryIsFollowedAcrossItsTimelines) {
  WalBuilder wal(3);
  const Lsn first = wal.Add("first");
  const Lsn fork = wal.Here();
  WalBuilder dead = wal;
  dead.Add("dead end");
  dead.SwitchSegment();
  dead.Add("deader");
  wal.SwitchTimeline({2});
  wal.Add("second");
  wal.SwitchSegment();
  wal.Add("third");
  MapWalSource source;
  dead.PutInto(source, {1});
  wal.PutInto(source, {2});
  const auto history = TimelineHistory::Parse({2}, "1\t" + fork.ToString() + "\twhy\n");
  WalReader reader = ReaderOf(source, *history);
  EXPECT_THAT(Walk(reader, first), testing::ElementsAre("first", "second", "", "third"));
  ASSERT_TRUE(reader.Seek(fork));
  const auto forked = reader.Next();
  ASSERT_TRUE(forked && *forked);
  EXPECT_EQ((*forked)->timeline, TimelineId{2});  // although the page still says 1
  WalReader old = ReaderOf(source);
  EXPECT_THAT(Walk(old, first), testing::ElementsAre("first", "dead end", "", "deader"));
}

TEST(WalReader, AnOlderTimelinesFileServesUpToItsForkOnly) {
  WalBuilder wal(3);
  const Lsn first = wal.Add("first");
  const Lsn fork = wal.Here();
  wal.Add("dead end");
  MapWalSource source;
  wal.PutInto(source, {1});
  const auto history = TimelineHistory::Parse({2}, "1\t" + fork.ToString() + "\twhy\n");
  WalReader reader = ReaderOf(source, *history);
  const auto seen = Walk(reader, first);
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0], "first");
  EXPECT_THAT(seen[1], HasSubstr("\"000000020000000000000003\" is missing"));
}

TEST(WalReader, WalOfAnotherClusterIsRefused) {
  WalBuilder wal(3);
  const Lsn first = wal.Add("first");
  MapWalSource source;
  wal.PutInto(source, {1});
  WalReader reader(source, TimelineHistory(TimelineId{1}), {15, *WalSegmentSize::FromBytes(kSegment), 43});
  EXPECT_EQ(reader.Seek(first).error().code(), ErrorCode::kCorrupt);
}

TEST(FindBackupEnd, ReturnsTheEndOfTheMatchingRecord) {
  WalBuilder wal(3);
  const Lsn redo = wal.Add("first");
  wal.Add(BytesOf({0x777}), kXlogResourceManager, 0x50);  // of another backup
  wal.Add(BytesOf(redo), kXlogResourceManager, 0x50);
  const Lsn stop = wal.Here();
  wal.Add("more");
  MapWalSource source;
  wal.PutInto(source, {1});
  WalReader reader = ReaderOf(source);
  const auto end = FindBackupEnd(reader, redo, redo);
  ASSERT_TRUE(end) << end.error().message();
  EXPECT_EQ(*end, stop);
}

TEST(FindBackupEnd, SaysWhichSegmentIsMissing) {
  WalBuilder wal(3);
  const Lsn redo = wal.Add("first");
  MapWalSource source;
  wal.PutInto(source, {1});
  WalReader reader = ReaderOf(source);
  const auto ended = FindBackupEnd(reader, redo, redo);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code(), ErrorCode::kMissingWal);
  EXPECT_THAT(ended.error().message(), HasSubstr("\"000000010000000000000003\", before the end of the backup"));

  source.segments.clear();
  WalReader nothing = ReaderOf(source);
  const auto missing = FindBackupEnd(nothing, redo, redo);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), ErrorCode::kMissingWal);
  EXPECT_THAT(missing.error().message(), HasSubstr("\"000000010000000000000003\""));
  EXPECT_THAT(missing.error().hint(), HasSubstr("--wal"));
}

}  // namespace
}  // namespace pgstrata::pgdata
