// The small text files that say what a backup is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "foundation/codec/sha256.h"
#include "postgres/pgdata/backup_history.h"
#include "postgres/pgdata/backup_label.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/pg_version.h"
#include "postgres/pgdata/tablespace_map.h"
#include "postgres/pgdata/timeline_history.h"

namespace pgstrata::pgdata {
namespace {

using testing::HasSubstr;

constexpr std::string_view kLabel =
    "START WAL LOCATION: 1/2000028 (file 000000030000000100000002)\n"
    "CHECKPOINT LOCATION: 1/2000060\n"
    "BACKUP METHOD: streamed\n"
    "BACKUP FROM: standby\n"
    "START TIME: 2026-11-20 21:05:39 UTC\n"
    "LABEL: pg_basebackup base backup\n"
    "START TIMELINE: 3\n";

TEST(PgVersion, IsReadFrom14To18) {
  EXPECT_EQ(ParsePgVersion("14\n"), 14);
  EXPECT_EQ(ParsePgVersion("18\n"), 18);
  for (const char* text : {"13\n", "19\n", "9.6\n"}) {
    EXPECT_EQ(ParsePgVersion(text).error().code(), ErrorCode::kUnsupported) << text;
  }
  for (const char* text : {"", "\n", "fifteen\n", "15 devel", "9.x", "-15", "150000000000000000000000"}) {
    EXPECT_EQ(ParsePgVersion(text).error().code(), ErrorCode::kCorrupt) << text;
  }
}

TEST(BackupLabel, EveryLineIsRead) {
  const auto label = ParseBackupLabel(kLabel);
  ASSERT_TRUE(label) << label.error().message();
  EXPECT_EQ(label->start, *Lsn::Parse("1/2000028"));
  EXPECT_EQ(label->start_wal_file, "000000030000000100000002");
  EXPECT_EQ(label->checkpoint, *Lsn::Parse("1/2000060"));
  EXPECT_EQ(label->method, "streamed");
  EXPECT_TRUE(label->from_standby);
  EXPECT_EQ(label->start_time, "2026-11-20 21:05:39 UTC");
  EXPECT_EQ(label->label, "pg_basebackup base backup");
  EXPECT_EQ(label->start_timeline, TimelineId{3});
  EXPECT_FALSE(label->incremental_base);
}

TEST(BackupLabel, NewlinesThatAScriptLeftAtTheEndDoNotMatter) {
  const auto label = ParseBackupLabel(std::string(kLabel) + "\n \n\n");
  ASSERT_TRUE(label) << label.error().message();
  EXPECT_EQ(label->start_timeline, TimelineId{3});
}

TEST(BackupLabel, AnIncrementalBackupNamesItsBase) {
  const auto label =
      ParseBackupLabel(std::string(kLabel) + "INCREMENTAL FROM LSN: 0/7000028\nINCREMENTAL FROM TLI: 2\n");
  ASSERT_TRUE(label) << label.error().message();
  ASSERT_TRUE(label->incremental_base);
  EXPECT_EQ(label->incremental_base->lsn, Lsn{0x7000028});
  EXPECT_EQ(label->incremental_base->timeline, TimelineId{2});
  EXPECT_FALSE(ParseBackupLabel(std::string(kLabel) + "INCREMENTAL FROM LSN: 0/7000028\n"));
}

TEST(BackupLabel, LinesOfALaterFormatAreRefusedAsSuch) {
  const auto label = ParseBackupLabel(std::string(kLabel) + "FROBNICATED BY: moonlight\n");
  ASSERT_FALSE(label);
  EXPECT_EQ(label.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(label.error().message(), HasSubstr("FROBNICATED BY: moonlight"));
}

TEST(BackupLabel, ALabelMayHoldNewlines) {
  std::string text(kLabel);
  text.replace(text.find("pg_basebackup base"), 18, "one\ntwo: three\nLABEL: four");
  const auto label = ParseBackupLabel(text);
  ASSERT_TRUE(label) << label.error().message();
  EXPECT_EQ(label->label, "one\ntwo: three\nLABEL: four backup");
  EXPECT_EQ(label->start_timeline, TimelineId{3});
}

TEST(BackupLabel, WithoutOptionalLinesTheSegmentGivesTheTimeline) {
  const auto label = ParseBackupLabel(kLabel.substr(0, kLabel.find("BACKUP METHOD")));
  ASSERT_TRUE(label) << label.error().message();
  EXPECT_EQ(label->start_timeline, TimelineId{3});
  EXPECT_FALSE(label->from_standby);
}

TEST(BackupLabel, DamageIsCorruption) {
  std::vector<std::string> damaged = {"", "hello\n", std::string(kLabel.substr(0, 40))};
  const auto replaced = [&](std::string_view what, std::string_view with) {
    std::string text(kLabel);
    text.replace(text.find(what), what.size(), with);
    damaged.push_back(text);
  };
  replaced("1/2000028", "nowhere");
  replaced("CHECKPOINT LOCATION: 1/2000060\n", "");
  replaced("CHECKPOINT LOCATION: 1/2000060", "CHECKPOINT LOCATION: 1");
  replaced("START TIMELINE: 3", "START TIMELINE: 4");
  replaced("000000030000000100000002", "00000003000000010000000");
  replaced("BACKUP METHOD: streamed", "CHECKPOINT LOCATION: 1/2000060");
  for (const std::string& text : damaged) {
    const auto label = ParseBackupLabel(text);
    ASSERT_FALSE(label) << text;
    EXPECT_EQ(label.error().code(), ErrorCode::kCorrupt) << text;
  }
}

TEST(BackupHistory, SaysWhereTheBackupEnded) {
  std::string text(kLabel);
  text.insert(text.find("CHECKPOINT"), "STOP WAL LOCATION: 1/2000138 (file 000000030000000100000002)\n");
  text += "STOP TIME: 2026-11-20 21:05:41 UTC\nSTOP TIMELINE: 3\n";
  const auto history = ParseBackupHistory(text);
  ASSERT_TRUE(history) << history.error().message();
  EXPECT_EQ(history->label.start, *Lsn::Parse("1/2000028"));
  EXPECT_EQ(history->stop, *Lsn::Parse("1/2000138"));
  EXPECT_EQ(history->stop_time, "2026-11-20 21:05:41 UTC");
  EXPECT_EQ(history->stop_timeline, TimelineId{3});
  EXPECT_EQ(ParseBackupHistory(kLabel).error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(ParseBackupLabel(text).error().code(), ErrorCode::kUnsupported);
}

TEST(TablespaceMap, PathsKeepTheirOddCharacters) {
  const auto map = ParseTablespaceMap("16384 /srv/space\n16385 /srv/a b\\\nc\\\\d\\\r\n");
  ASSERT_TRUE(map) << map.error().message();
  const std::vector<TablespaceMapping> expected = {{{16384}, "/srv/space"}, {{16385}, "/srv/a b\nc\\d\r"}};
  EXPECT_EQ(*map, expected);
  EXPECT_EQ(ParseTablespaceMap(FormatTablespaceMap(expected)), expected);
  EXPECT_TRUE(ParseTablespaceMap("")->empty());
  for (const char* text : {"16384\n", "x /srv\n", "16384 \n", "0 /srv\n", "99999999999 /srv\n"}) {
    EXPECT_EQ(ParseTablespaceMap(text).error().code(), ErrorCode::kCorrupt) << text;
  }
}

TEST(TimelineHistory, SaysWhichTimelineHoldsAnLsn) {
  const auto history = TimelineHistory::Parse(
      {5}, "1\t0/3000000\tno recovery target specified\n\n# a remark\n3\t0/5000000\tbefore 2026\n");
  ASSERT_TRUE(history) << history.error().message();
  EXPECT_EQ(history->timeline(), TimelineId{5});
  ASSERT_EQ(history->spans().size(), 3U);
  EXPECT_EQ(history->spans()[1].reason, "before 2026");
  EXPECT_EQ(history->TimelineAt({0x2FFFFFF}), TimelineId{1});
  EXPECT_EQ(history->TimelineAt({0x3000000}), TimelineId{3});
  EXPECT_EQ(history->TimelineAt({0x5000000}), TimelineId{5});
  EXPECT_TRUE(history->Contains({3}));
  EXPECT_FALSE(history->Contains({2}));
  EXPECT_TRUE(history->Contains({1}, {0x3000000}));
  EXPECT_FALSE(history->Contains({1}, {0x3000001}));
  EXPECT_FALSE(history->Contains({3}, {0x2000000}));
}

TEST(TimelineHistory, DamageIsCorruption) {
  for (const char* text : {"1\n", "x\t0/3000000\tr\n", "1\t3000000\tr\n", "2\t0/1\tr\n1\t0/2\tr\n",
                           "1\t0/2\tr\n2\t0/1\tr\n", "5\t0/1\tr\n", "0\t0/1\tr\n"}) {
    EXPECT_EQ(TimelineHistory::Parse({5}, text).error().code(), ErrorCode::kCorrupt) << text;
  }
}

std::string Sealed(std::string body) {
  body += ",\n";
  return body + "\"Manifest-Checksum\": \"" + codec::ToHex(codec::Sha256::Of(AsBytes(body))) + "\"}\n";
}

constexpr std::string_view kManifestBody =
    "{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n"
    "\"System-Identifier\": 7710554976892243165,\n"
    "\"Files\": [\n"
    "{ \"Path\": \"backup_label\", \"Size\": 225, \"Last-Modified\": \"2026-11-20 21:05:39 GMT\", "
    "\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"C0FFEE01\" },\n"
    "{ \"Encoded-Path\": \"6120ff\", \"Size\": 0, \"Last-Modified\": \"2026-11-20 21:05:39 GMT\" }\n"
    "],\n"
    "\"WAL-Ranges\": [\n"
    "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n"
    "]";

TEST(BackupManifest, EveryFieldIsRead) {
  const auto manifest = ParseBackupManifest(Sealed(std::string(kManifestBody)));
  ASSERT_TRUE(manifest) << manifest.error().message();
  EXPECT_EQ(manifest->version, 2);
  EXPECT_EQ(manifest->system_identifier, 7710554976892243165U);
  ASSERT_EQ(manifest->files.size(), 2U);
  EXPECT_EQ(manifest->files[0].path, "backup_label");
  EXPECT_EQ(manifest->files[0].size, 225U);
  EXPECT_EQ(manifest->files[0].algorithm, ManifestChecksum::kCrc32c);
  EXPECT_EQ(manifest->files[0].checksum, "c0ffee01");
  EXPECT_EQ(manifest->files[1].path, "a \xff");
  EXPECT_EQ(manifest->files[1].algorithm, ManifestChecksum::kNone);
  ASSERT_EQ(manifest->wal_ranges.size(), 1U);
  EXPECT_EQ(manifest->wal_ranges[0].end, Lsn{0x2000100});
}

TEST(BackupManifest, AnyOtherByteIsNoticed) {
  const std::string text = Sealed(std::string(kManifestBody));
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(ParseBackupManifest(damaged)) << i;
  }
}

TEST(BackupManifest, WhatDoesNotBelongThereIsRefused) {
  const auto refused = [](std::string_view what, std::string_view with, ErrorCode code) {
    std::string body(kManifestBody);
    body.replace(body.find(what), what.size(), with);
    const auto manifest = ParseBackupManifest(Sealed(body));
    ASSERT_FALSE(manifest) << with;
    EXPECT_EQ(manifest.error().code(), code) << with;
  };
  refused("Version\": 2", "Version\": 3", ErrorCode::kUnsupported);
  refused("\"Path\"", "\"Way\"", ErrorCode::kCorrupt);
  refused("\"Size\": 225", "\"Size\": -1", ErrorCode::kCorrupt);
  refused("\"Size\": 225, ", "", ErrorCode::kCorrupt);
  refused("6120ff", "6120f", ErrorCode::kCorrupt);
  refused("CRC32C", "CRC32", ErrorCode::kCorrupt);
  refused("C0FFEE01", "C0FFEE0", ErrorCode::kCorrupt);
  refused("\"Size\": 0", "\"Size\": [0]", ErrorCode::kCorrupt);
  refused("0/2000100", "2000100", ErrorCode::kCorrupt);
  refused("\"Timeline\": 1", "\"Timeline\": 1, \"Timeline\": 1", ErrorCode::kCorrupt);
  refused("\"System-Identifier\": 7710554976892243165,\n", "", ErrorCode::kCorrupt);
  EXPECT_FALSE(ParseBackupManifest(""));
  EXPECT_FALSE(ParseBackupManifest("[]"));
  EXPECT_FALSE(ParseBackupManifest(std::string(100'000, '[')));
}

}  // namespace
}  // namespace pgstrata::pgdata
