// Every layout that differs between versions, on bytes that each version wrote.
#include "golden.h"

#include <gmock/gmock.h>

#include "postgres/pgdata/catalog.h"
#include "postgres/pgdata/clog_reader.h"
#include "postgres/pgdata/control_file.h"
#include "postgres/pgdata/filenode_map.h"
#include "postgres/pgdata/heap.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::pgdata {
namespace {

using testing::ElementsAre;

class GoldenTest : public testing::TestWithParam<Golden> {
 protected:
  // The cluster was stopped cleanly, so pg_xact is the last word.
  TransactionStatusLookup Status() {
    return [this](uint32_t xid) { return clog_.Status(xid); };
  }

 private:
  ClogReader clog_{[](std::string_view name) -> Result<std::string> {
                     if (name != "0000") return Fail(ErrorCode::kNotFound, "no such segment");
                     return GetParam().Read("pg_xact");
                   },
                   true};
};
INSTANTIATE_TEST_SUITE_P(Versions, GoldenTest, testing::ValuesIn(kGoldens),
                         [](const auto& info) { return std::to_string(info.param.version); });

TEST_P(GoldenTest, ControlFileIsRead) {
  const std::string bytes = GetParam().Read("pg_control");
  const auto control = ParseControlFile(AsBytes(bytes));
  ASSERT_TRUE(control) << control.error().message();
  EXPECT_EQ(control->MajorVersion(), GetParam().version);
  EXPECT_TRUE(control->CheckAgainst(GetParam().version));
  EXPECT_EQ(control->CheckAgainst(13).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(control->catalog_version, GetParam().catalog_version);
  EXPECT_EQ(control->state, ClusterState::kShutDown);
  EXPECT_TRUE(control->shut_down());
  EXPECT_EQ(control->checkpoint_lsn, control->checkpoint.redo);
  EXPECT_GE(control->checkpoint_lsn.value, GetParam().end);
  EXPECT_EQ(control->checkpoint.timeline, TimelineId{1});
  EXPECT_TRUE(control->checkpoint.full_page_writes);
  EXPECT_GT(control->checkpoint.next_full_xid, 700U);
  EXPECT_EQ(control->wal_level, WalLevel::kReplica);
  EXPECT_EQ(control->max_connections, 100U);
  EXPECT_EQ(control->max_prepared_transactions, 5U);
  EXPECT_EQ(control->max_locks_per_transaction, 64U);
  EXPECT_EQ(control->wal_segment_size, OneMegabyteSegments());
  EXPECT_EQ(control->name_data_length, 64U);
  EXPECT_EQ(control->toast_max_chunk_size, 1996U);
  EXPECT_TRUE(control->float8_by_value);
  EXPECT_TRUE(control->data_checksums());
  EXPECT_EQ(control->default_char_signed.has_value(), GetParam().version >= 18);
  EXPECT_LE(control->checkpoint.time, control->time);
}

TEST_P(GoldenTest, EveryDamagedByteOfTheControlFileIsNoticed) {
  const std::string bytes = GetParam().Read("pg_control");
  const size_t end = GetParam().version >= 18 ? 296 : 292;
  for (size_t i = 0; i < end; ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_FALSE(ParseControlFile(AsBytes(damaged))) << i;
  }
}

TEST_P(GoldenTest, FilenodeMapNamesTheSharedCatalogs) {
  const std::string bytes = GetParam().Read("pg_filenode.map");
  const auto map = ParseFilenodeMap(AsBytes(bytes));
  ASSERT_TRUE(map) << map.error().message();
  for (const Oid catalog : {kAuthidCatalog, kDatabaseCatalog, kSubscriptionCatalog}) {
    EXPECT_TRUE(map->contains(catalog)) << catalog.value;
  }
  std::string damaged = bytes;
  damaged[20] ^= 1;
  EXPECT_EQ(ParseFilenodeMap(AsBytes(damaged)).error().code(), ErrorCode::kCorrupt);
  EXPECT_FALSE(ParseFilenodeMap(AsBytes(std::string_view(bytes).substr(0, 500))));
}

TEST_P(GoldenTest, RolesAreReadWithTheirNewestNames) {
  const std::string bytes = GetParam().Read("pg_authid");
  const auto roles = ReadRoles(GetParam().version, PagesOf(AsBytes(bytes)), Status());
  ASSERT_TRUE(roles) << roles.error().message();
  ASSERT_FALSE(roles->empty());
  EXPECT_EQ(roles->front().oid, kBootstrapSuperuser);
  EXPECT_EQ(roles->front().name, "admiral");
  EXPECT_TRUE(roles->front().superuser);
  EXPECT_TRUE(roles->front().can_login);
  const auto named = [&](std::string_view name) { return std::ranges::find(*roles, name, &Role::name); };
  ASSERT_NE(named("sailor"), roles->end());
  EXPECT_TRUE(named("sailor")->superuser);
  ASSERT_NE(named("pg_monitor"), roles->end());
  EXPECT_FALSE(named("pg_monitor")->can_login);
  for (const char* gone : {"captain", "ghost", "boss"}) EXPECT_EQ(named(gone), roles->end()) << gone;
}

TEST_P(GoldenTest, DatabasesAreRead) {
  const std::string bytes = GetParam().Read("pg_database");
  const auto databases = ReadDatabases(GetParam().version, PagesOf(AsBytes(bytes)), Status());
  ASSERT_TRUE(databases) << databases.error().message();
  std::vector<std::string> lines;
  for (const Database& database : *databases) {
    lines.push_back(database.name + (database.allows_connections ? " open" : " closed") +
                    (database.is_template ? " template" : ""));
  }
  EXPECT_THAT(lines, testing::UnorderedElementsAre("template1 open template", "template0 closed template",
                                                   "postgres open", "extra closed"));
}

TEST_P(GoldenTest, SubscriptionsAreCounted) {
  const std::string bytes = GetParam().Read("pg_subscription");
  EXPECT_EQ(CountSubscriptions(PagesOf(AsBytes(bytes)), Status()), 1U);
}

TEST_P(GoldenTest, PageChecksumsMatch) {
  for (const char* name : {"pg_authid", "pg_database"}) {
    std::string page = GetParam().Read(name).substr(0, kPageSize);
    EXPECT_TRUE(VerifyPage(AsBytes(page), {0}, true)) << name;
    EXPECT_FALSE(VerifyPage(AsBytes(page), {1}, true)) << name;
    page[5000] ^= 1;
    EXPECT_EQ(VerifyPage(AsBytes(page), {0}, true).error().code(), ErrorCode::kCorrupt);
    EXPECT_TRUE(VerifyPage(AsBytes(page), {0}, false));
  }
}

class GoldenWalTest : public GoldenTest {
 protected:
  BytesWalSource source_{GetParam().wal_begin, GetParam().Read("wal"), OneMegabyteSegments()};
  WalReader reader_{source_, TimelineHistory(TimelineId{1}), {GetParam().version, OneMegabyteSegments(), std::nullopt}};
};
INSTANTIATE_TEST_SUITE_P(Versions, GoldenWalTest, testing::ValuesIn(kGoldens),
                         [](const auto& info) { return std::to_string(info.param.version); });

TEST_P(GoldenWalTest, EveryEndOfATransactionIsRead) {
  ASSERT_TRUE(reader_.Seek({GetParam().first}));
  EXPECT_EQ(reader_.position(), Lsn{GetParam().first});
  std::vector<std::string> seen;
  uint32_t first_xid = 0;
  Timestamp last;
  while (reader_.position().value < GetParam().end) {
    const auto record = reader_.Next();
    ASSERT_TRUE(record) << record.error().message();
    ASSERT_TRUE(*record) << reader_.end_reason();
    if (const auto point = ParseRestorePoint(**record)) seen.push_back("restore point " + point->name);
    const auto end = ParseTransactionEnd(**record, GetParam().version);
    ASSERT_TRUE(end) << end.error().message();
    if (!*end) continue;
    if (first_xid == 0) first_xid = (*end)->xid;
    std::string line = (*end)->committed ? "commit" : "abort";
    if ((*end)->prepared) line += " prepared";
    line += " +" + std::to_string((*end)->xid - first_xid);
    for (const uint32_t xid : (*end)->subtransactions) line += " sub +" + std::to_string(xid - first_xid);
    seen.push_back(line);
    EXPECT_GE((*end)->time, last);
    last = (*end)->time;
  }
  EXPECT_THAT(seen, ElementsAre("commit +0", "commit +1 sub +2 sub +3", "abort +4", "commit prepared +5",
                                "abort prepared +6", "abort +7", "commit +8", "restore point before lunch"));
  const auto control = ParseControlFile(AsBytes(GetParam().Read("pg_control")));
  EXPECT_LE(last, Timestamp{control->time.unix_ns + 1'000'000'000});
  EXPECT_GT(last.unix_ns, control->time.unix_ns - 60'000'000'000);
}

TEST_P(GoldenWalTest, SeekingIntoARecordFindsTheNextOne) {
  ASSERT_TRUE(reader_.Seek({GetParam().first}));
  const auto first = reader_.Next();
  ASSERT_TRUE(first && *first);
  const Lsn second = (*first)->end;
  ASSERT_TRUE(reader_.Seek({GetParam().first + 8}));
  EXPECT_EQ(reader_.position(), second);
  const auto record = reader_.Next();
  ASSERT_TRUE(record && *record);
  EXPECT_EQ((*record)->previous, Lsn{GetParam().first});
}

TEST_P(GoldenWalTest, ADamagedRecordEndsTheWal) {
  ASSERT_TRUE(reader_.Seek({GetParam().first}));
  const auto first = reader_.Next();
  ASSERT_TRUE(first && *first);
  std::string bytes = GetParam().Read("wal");
  bytes[(*first)->end.value - GetParam().wal_begin + 26] ^= 1;
  BytesWalSource damaged(GetParam().wal_begin, bytes, OneMegabyteSegments());
  WalReader reader(damaged, TimelineHistory(TimelineId{1}), reader_.options());
  ASSERT_TRUE(reader.Seek({GetParam().first}));
  ASSERT_TRUE(*reader.Next());
  const auto next = reader.Next();
  ASSERT_TRUE(next);
  EXPECT_FALSE(*next);
  EXPECT_EQ(reader.position(), (*first)->end);
  EXPECT_THAT(reader.end_reason(), testing::HasSubstr("checksum"));
}

TEST_P(GoldenWalTest, WalOfAnotherVersionIsRefused) {
  const int other = GetParam().version == 14 ? 15 : 14;
  WalReader reader(source_, TimelineHistory(TimelineId{1}), {other, OneMegabyteSegments(), std::nullopt});
  const auto status = reader.Seek({GetParam().first});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace pgstrata::pgdata
