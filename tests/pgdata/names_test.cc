// Names of WAL files and relations, and small arithmetic.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "golden.h"
#include "postgres/pgdata/clog_reader.h"
#include "postgres/pgdata/control_file.h"
#include "postgres/pgdata/crc32c.h"
#include "postgres/pgdata/heap.h"
#include "postgres/pgdata/pg_time.h"
#include "postgres/pgdata/relation_path.h"
#include "postgres/pgdata/wal_name.h"

namespace pgstrata::pgdata {
namespace {

TEST(Crc32c, MatchesTheKnownValue) {
  EXPECT_EQ(Crc32c(AsBytes("123456789")), 0xE3069283U);
  EXPECT_EQ(Crc32c(AsBytes("56789"), Crc32c(AsBytes("1234"))), 0xE3069283U);
  EXPECT_EQ(Crc32c({}), 0U);
}

TEST(PgTime, IsClampedInsteadOfOverflowing) {
  EXPECT_EQ(FromPgTime(1), Timestamp{1'000'000'000});
  EXPECT_EQ(FromTimestampTz(0).ToString(), "2000-01-01 00:00:00+00");
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  EXPECT_GT(FromPgTime(kMax).unix_ns, kMax / 2);
  EXPECT_GT(FromTimestampTz(kMax).unix_ns, kMax / 2);
  EXPECT_LT(FromPgTime(kMin).unix_ns, kMin / 2);
  EXPECT_LT(FromTimestampTz(kMin).unix_ns, kMin / 2);
}

TEST(WalName, SegmentsOfEverySizeAreNamedAsPostgresNamesThem) {
  const Lsn lsn = *Lsn::Parse("2/40000028");
  const auto name = [&](uint64_t size) {
    const auto segment_size = *WalSegmentSize::FromBytes(size);
    return SegmentName({{10}, SegmentNumber(lsn, segment_size)}, segment_size);
  };
  EXPECT_EQ(name(1 << 20), "0000000A0000000200000400");
  EXPECT_EQ(name(16 << 20), "0000000A0000000200000040");
  EXPECT_EQ(name(1 << 30), "0000000A0000000200000001");
  for (uint64_t size : {1ULL << 20, 16ULL << 20, 64ULL << 20, 1ULL << 30}) {
    const auto segment_size = *WalSegmentSize::FromBytes(size);
    const WalSegment segment{{10}, SegmentNumber(lsn, segment_size)};
    EXPECT_EQ(ParseSegmentName(SegmentName(segment, segment_size), segment_size), segment);
    EXPECT_LE(SegmentStart(segment.number, segment_size), lsn);
  }
  for (uint64_t size : {0ULL, 1ULL << 19, 3ULL << 20, 1ULL << 31})
    EXPECT_FALSE(WalSegmentSize::FromBytes(size)) << size;
}

TEST(WalName, ABoundaryBelongsToTheNextSegmentButNeedsOnlyTheOneBefore) {
  const WalSegmentSize size;
  EXPECT_EQ(SegmentNumber({0x3000000}, size), 3U);
  EXPECT_EQ(SegmentNumberBefore({0x3000000}, size), 2U);
  EXPECT_EQ(SegmentNumberBefore({0x3000001}, size), 3U);
  EXPECT_EQ(SegmentNumberBefore({0}, size), 0U);
}

TEST(WalName, EveryKindIsRecognised) {
  const WalSegmentSize size;
  EXPECT_EQ(ParseWalFileName("000000020000000100000003", size)->kind, WalFileKind::kSegment);
  EXPECT_EQ(ParseWalFileName("000000020000000100000003", size)->segment, 0x103U);
  EXPECT_EQ(ParseWalFileName("000000020000000100000003.partial", size)->kind, WalFileKind::kPartialSegment);
  EXPECT_EQ(ParseWalFileName("00000002.history", size)->kind, WalFileKind::kHistory);
  EXPECT_EQ(ParseWalFileName(HistoryName({2}), size)->timeline, TimelineId{2});
  const auto backup = ParseWalFileName("000000020000000100000003.00000028.backup", size);
  ASSERT_TRUE(backup);
  EXPECT_EQ(backup->kind, WalFileKind::kBackupHistory);
  EXPECT_EQ(backup->offset, 0x28U);
  for (const char* name :
       {"", "00000002", "00000002.histor", "00000000.history", "000000020000000100000100", "00000002000000010000000a",
        "0000000200000001000000030", "000000020000000100000003.gz", "000000020000000100000003.0000028.backup",
        "000000020000000100000003.01000000.backup", "000000000000000100000003"}) {
    EXPECT_FALSE(ParseWalFileName(name, size)) << name;
  }
  EXPECT_TRUE(LooksLikeSegmentName("000000020000000100000FFF"));
  EXPECT_FALSE(LooksLikeSegmentName("00000002.history"));
}

TEST(RelationPath, RoundTrips) {
  for (const char* text : {"base/5/1259", "base/5/1259.1", "base/5/1259_fsm", "base/5/1259_vm.12", "base/5/16384_init",
                           "global/1262", "pg_tblspc/16384/PG_15_202209061/5/16385_fsm.2", "base/5/t3_16384",
                           "base/5/t0_16384_vm", "base/5/4294967295"}) {
    const auto path = ParseRelationPath(text);
    ASSERT_TRUE(path) << text;
    EXPECT_EQ(FormatRelationPath(*path), text);
  }
  const auto path = ParseRelationPath("pg_tblspc/16384/PG_15_202209061/5/16385_fsm.2");
  EXPECT_EQ(path->tablespace, Oid{16384});
  EXPECT_EQ(path->database, Oid{5});
  EXPECT_EQ(path->relfilenode, 16385U);
  EXPECT_EQ(path->fork, Fork::kFreeSpaceMap);
  EXPECT_EQ(path->FirstBlock(131072), 262144U);
}

TEST(RelationPath, OtherFilesAreNoRelations) {
  for (const char* text : {"",
                           "base",
                           "base/5",
                           "base/5/",
                           "base/5/PG_VERSION",
                           "base/5/pg_filenode.map",
                           "base/05/1259",
                           "base/5/01259",
                           "base/5/1259_main",
                           "base/5/1259.0",
                           "base/5/1259.",
                           "base/5/1259_",
                           "base/5/4294967296",
                           "global/pg_control",
                           "global/5/1262",
                           "pg_tblspc/16384/5/16385",
                           "pg_tblspc/16384/other/5/16385",
                           "base/5/t_16384",
                           "base/5/t3",
                           "base/pgsql_tmp/1",
                           "/base/5/1259"}) {
    EXPECT_FALSE(ParseRelationPath(text)) << text;
  }
}

TEST(Clog, FindsTheTwoBitsOfATransaction) {
  EXPECT_EQ(ClogSegmentName(0), "0000");
  EXPECT_EQ(ClogSegmentName(1'048'576), "0001");
  EXPECT_EQ(ClogSegmentName(4'294'967'295), "0FFF");
  const std::string segment = {0x04, static_cast<char>(0xE4)};  // xid 1 committed; 4 to 7: 0, 1, 2, 3
  EXPECT_EQ(StatusInClogSegment(AsBytes(segment), 1), TransactionStatus::kCommitted);
  EXPECT_EQ(StatusInClogSegment(AsBytes(segment), 4), TransactionStatus::kInProgress);
  EXPECT_EQ(StatusInClogSegment(AsBytes(segment), 6), TransactionStatus::kAborted);
  EXPECT_EQ(StatusInClogSegment(AsBytes(segment), 7), TransactionStatus::kSubCommitted);
  EXPECT_EQ(StatusInClogSegment(AsBytes(segment), 8), TransactionStatus::kInProgress);
}

TEST(Visibility, FollowsHintsThenTransactions) {
  const TransactionStatusLookup status = [](uint32_t xid) -> Result<TransactionStatus> {
    if (xid == 100) return TransactionStatus::kCommitted;
    if (xid == 200) return TransactionStatus::kAborted;
    return TransactionStatus::kInProgress;
  };
  const auto visibility = [&](uint32_t xmin, uint32_t xmax, uint16_t infomask) {
    HeapTuple tuple;
    tuple.xmin = xmin;
    tuple.xmax = xmax;
    tuple.infomask = infomask;
    return *TupleVisibility(tuple, status);
  };
  EXPECT_EQ(visibility(100, 0, 0), Visibility::kLive);
  EXPECT_EQ(visibility(200, 0, 0), Visibility::kDead);
  EXPECT_EQ(visibility(300, 0, 0), Visibility::kUnknown);
  EXPECT_EQ(visibility(200, 0, 0x0100), Visibility::kLive);
  EXPECT_EQ(visibility(100, 0, 0x0200), Visibility::kDead);
  EXPECT_EQ(visibility(100, 100, 0), Visibility::kDead);
  EXPECT_EQ(visibility(100, 200, 0), Visibility::kLive);
  EXPECT_EQ(visibility(100, 300, 0), Visibility::kUnknown);
  EXPECT_EQ(visibility(100, 300, 0x0080), Visibility::kLive);  // only locked
  EXPECT_EQ(visibility(100, 300, 0x0400), Visibility::kDead);
  EXPECT_EQ(visibility(100, 100, 0x0800), Visibility::kLive);
  EXPECT_EQ(visibility(300, 300, 0), Visibility::kDead);  // deleted by what inserted it
  EXPECT_EQ(visibility(100, 300, 0x1000), Visibility::kUnknown);
}

std::string WithChecksum(std::string bytes, size_t position) {
  const uint32_t crc = Crc32c(AsBytes(bytes).first(position));
  std::memcpy(bytes.data() + position, &crc, sizeof crc);
  return bytes;
}

Error ControlError(const std::string& bytes) { return ParseControlFile(AsBytes(bytes)).error(); }

TEST(ControlFile, EachKindOfForeignClusterIsNamed) {
  const std::string good = kGoldens[1].Read("pg_control");
  const auto with = [&](size_t position, uint32_t value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + position, &value, sizeof value);
    return WithChecksum(bytes, 288);
  };
  struct Case {
    size_t position;
    uint32_t value;
    const char* says;
  };
  for (const Case& foreign : {Case{216, 32768, "block size 32768"}, Case{228, 12345, "12345 bytes"},
                              Case{224, 4096, "4096"}, Case{220, 64, "64"}, Case{204, 4, "alignment 4"},
                              Case{212, 0, "floating point"}, Case{8, 1201, "1201"}, Case{8, 1900, "1900"}}) {
    const Error error = ControlError(with(foreign.position, foreign.value));
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.message();
    EXPECT_NE(error.message().find(foreign.says), std::string::npos) << error.message();
    EXPECT_FALSE(error.hint().empty()) << error.message();
  }
  const Error swapped = ControlError(with(8, 0x14050000));
  EXPECT_EQ(swapped.code(), ErrorCode::kUnsupported);
  EXPECT_NE(swapped.message().find("byte order"), std::string::npos) << swapped.message();
  const Error shifted = ControlError(WithChecksum(good, 276));  // as a 32-bit machine lays it out
  EXPECT_EQ(shifted.code(), ErrorCode::kUnsupported);
  EXPECT_NE(shifted.message().find("architecture"), std::string::npos) << shifted.message();
}

TEST(ControlFile, DamageIsCorruption) {
  const std::string good = kGoldens[1].Read("pg_control");
  EXPECT_EQ(ControlError("").code(), ErrorCode::kCorrupt);
  EXPECT_EQ(ControlError(good.substr(0, 200)).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(ControlError(std::string(8192, '\0')).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(ControlError(std::string(8192, 'x')).code(), ErrorCode::kCorrupt);
}

TEST(ControlFile, ACatalogThatNoReleaseHasIsUnsupported) {
  auto control = ParseControlFile(AsBytes(kGoldens[1].Read("pg_control")));
  control->catalog_version = 202305211;
  EXPECT_EQ(control->MajorVersion().error().code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pgstrata::pgdata
