#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "catalog/probackup/backup_control.h"
#include "catalog/probackup/content_list.h"
#include "catalog/probackup/recorded_time.h"

namespace pgstrata::probackup {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kControl = R"(#Configuration
backup-mode = DELTA
stream = true
compress-alg = zlib
compress-level = 1
from-replica = false

#Compatibility
block-size = 8192
xlog-block-size = 8192
checksum-version = 1
program-version = 2.5.16
server-version = 15

#Result backup info
timelineid = 1
start-lsn = 0/D00028
stop-lsn = 0/D00168
start-time = '2026-11-20 21:07:43+00'
end-time = '2026-11-20 21:07:54+00'
recovery-xid = 733
recovery-time = '2026-11-20 21:07:45+00'
data-bytes = 149875
wal-bytes = 1048576
uncompressed-bytes = 251674
pgdata-bytes = 15926298
status = OK
parent-backup-id = 'TOTK0H'
primary_conninfo = 'user=postgres host=/tmp'
external-dirs = '/srv/b:/srv/a/'
note = 'it''s # mine'
content-crc = 4024965063
)";

std::string With(std::string_view from, std::string_view to) {
  std::string text(kControl);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(BackupControl, IsReadAsWritten) {
  const auto control = ParseBackupControl(kControl);
  ASSERT_TRUE(control.has_value()) << control.error().message();
  EXPECT_EQ(control->id, "TOTK0V");
  EXPECT_EQ(control->mode, BackupMode::kDelta);
  EXPECT_EQ(control->parent, "TOTK0H");
  EXPECT_EQ(control->status, "OK");
  EXPECT_EQ(control->version, (ProgramVersion{2, 5, 16}));
  EXPECT_TRUE(control->stream);
  EXPECT_TRUE(control->data_checksums);
  EXPECT_EQ(control->start.ToString(), "0/D00028");
  EXPECT_EQ(control->stop.ToString(), "0/D00168");
  EXPECT_THAT(control->external_directories, ElementsAre("/srv/a", "/srv/b"));
  EXPECT_EQ(control->note, "it's # mine");
  EXPECT_EQ(control->content_crc, 4024965063U);
  EXPECT_EQ(control->pgdata_bytes, 15926298U);
  EXPECT_TRUE(CheckUsable(*control, false).has_value());
}

TEST(BackupControl, DamageIsNamed) {
  const auto message = [](const std::string& text) {
    const auto control = ParseBackupControl(text);
    return control ? std::string("no error") : control.error().message();
  };
  EXPECT_THAT(message("PK\x03\x04"), HasSubstr("is not \"key = value\""));
  EXPECT_THAT(message(""), HasSubstr("backup-mode"));
  EXPECT_THAT(message(With("DELTA", "WEEKLY")), HasSubstr("\"WEEKLY\" is no backup-mode"));
  EXPECT_THAT(message(With("2.5.16", "two")), HasSubstr("program-version"));
  EXPECT_THAT(message(With("start-time = '2026", "start-time = '20x6")), HasSubstr("start-time"));
  EXPECT_THAT(message(With("0/D00028", "zero")), HasSubstr("start-lsn"));
  EXPECT_THAT(message(With("4024965063", "99999999999")), HasSubstr("content-crc"));
  EXPECT_THAT(message(With("'TOTK0H'", "'../TOTK0H'")), HasSubstr("parent-backup-id"));
  EXPECT_THAT(message(With("status = OK\n", "")), HasSubstr("status"));
  EXPECT_THAT(message(With("stream = true", "stream = maybe")), HasSubstr("stream"));
  EXPECT_THAT(message(With("'TOTK0H'", "'TOTK0H")), HasSubstr("is no value"));
  EXPECT_EQ(message(With("status = OK\n", "status = OK\nnew-key = 'of a later version'\n")), "no error");
}

TEST(BackupControl, VersionsAndStatusesDecideWhatIsOpened) {
  const auto check = [](std::string_view from, std::string_view to, bool force) {
    const auto control = ParseBackupControl(With(from, to));
    EXPECT_TRUE(control.has_value()) << to;
    const auto usable = CheckUsable(*control, force);
    return usable ? std::string("usable") : usable.error().message() + " / " + usable.error().hint();
  };
  EXPECT_EQ(check("2.5.16", "2.0.25", false), "usable");
  EXPECT_THAT(check("2.5.16", "2.0.24", true), HasSubstr("was made by pg_probackup 2.0.24: from 2.0.25 on"));
  EXPECT_THAT(check("2.5.16", "2.5.17", false), HasSubstr("newer than the newest one known here, 2.5.16"));
  EXPECT_THAT(check("2.5.16", "2.5.17", false), HasSubstr("--force"));
  EXPECT_EQ(check("2.5.16", "2.5.17", true), "usable");
  EXPECT_EQ(check("status = OK", "status = DONE", false), "usable");
  EXPECT_THAT(check("status = OK", "status = MERGING", true), HasSubstr("status MERGING"));
  EXPECT_THAT(check("status = OK", "status = RUNNING", true), HasSubstr("it is not whole"));
  EXPECT_THAT(check("status = OK", "status = ERROR", true), HasSubstr("it is not whole"));
  EXPECT_THAT(check("status = OK", "status = CORRUPT", false), HasSubstr("--force"));
  EXPECT_EQ(check("status = OK", "status = ORPHAN", true), "usable");
  EXPECT_THAT(check("\nblock-size = 8192", "\nblock-size = 16384", true), HasSubstr("16384 bytes"));
}

TEST(RecordedTime, KnowsZones) {
  EXPECT_EQ(ParseRecordedTime("2026-11-20 21:07:43+00"), 1795208863U);
  EXPECT_EQ(ParseRecordedTime("2026-11-21 00:07:43+03"), 1795208863U);
  EXPECT_EQ(ParseRecordedTime("2026-11-20 15:37:43-0530"), 1795208863U);
  EXPECT_EQ(ParseRecordedTime("2026-11-21 02:37:43.123456+05:30"), 1795208863U);
  EXPECT_TRUE(ParseRecordedTime("2026-11-20 21:07:43").has_value());
  for (const char* text : {"", "2026-11-20", "2026-11-20T21:07:43+00", "2026-13-20 21:07:43+00", "2026-11-20 21:07:43Z",
                           "2026-11-20 21:07:43+", "2026-11-20 21:07:43+0", "2026-11-20 21:07:43+99",
                           "1969-11-20 21:07:43+00", "2026-11-20 21:07:43+00:0x"}) {
    EXPECT_FALSE(ParseRecordedTime(text).has_value()) << text;
  }
  EXPECT_EQ(ToBase36(1795208863), "TOTK0V");
}

Result<std::vector<ContentEntry>> Entries(std::string_view text) {
  std::vector<ContentEntry> entries;
  PGS_TRY(ParseContentList(text, [&](ContentEntry&& entry) -> Status {
    entries.push_back(std::move(entry));
    return {};
  }));
  return entries;
}

TEST(ContentList, EntriesOfEveryKind) {
  const auto entries = Entries(
      R"({"path":"base", "size":"0", "mode":"16832", "is_datafile":"0", "is_cfs":"0", "crc":"0", "compress_alg":"none", "external_dir_num":"0", "dbOid":"0"}
{"path":"base/5/16498", "size":"246000", "mode":"33152", "is_datafile":"1", "is_cfs":"0", "crc":"2416336789", "compress_alg":"pglz", "external_dir_num":"0", "dbOid":"5","full_size":"245760","segno":"0","n_blocks":"31","n_headers":"30","hdr_crc":"4092793253","hdr_off":"1075","hdr_size":"386"}
{"path":"base/5/2691", "size":"-1", "mode":"33152", "is_datafile":"1", "is_cfs":"0", "crc":"0", "compress_alg":"none", "external_dir_num":"0", "dbOid":"5","segno":"0","n_blocks":"31"}
{"path":"lnk", "size":"20", "mode":"33188", "is_datafile":"0", "is_cfs":"0", "crc":"7", "compress_alg":"none", "external_dir_num":"2", "dbOid":"0","kind":"13"}
)");
  ASSERT_TRUE(entries.has_value()) << entries.error().message();
  ASSERT_EQ(entries->size(), 4U);
  EXPECT_TRUE((*entries)[0].IsDirectory());
  const ContentEntry& stored = (*entries)[1];
  EXPECT_EQ(stored.path, "base/5/16498");
  EXPECT_EQ(stored.size, 246000U);
  EXPECT_EQ(stored.compression, PageCompression::kPglz);
  EXPECT_TRUE(stored.HasPages());
  EXPECT_EQ(stored.blocks, 31U);
  EXPECT_EQ(stored.header_map, (HeaderMapPlace{.offset = 1075, .size = 386, .entries = 30, .crc = 4092793253U}));
  const ContentEntry& unchanged = (*entries)[2];
  EXPECT_FALSE(unchanged.size.has_value());
  EXPECT_FALSE(unchanged.header_map.has_value());
  EXPECT_EQ((*entries)[3].external, 2U);
  EXPECT_EQ((*entries)[3].crc, 7U);
}

std::string Entry(std::string_view path) {
  return "{\"path\":\"" + std::string(path) +
         "\", \"size\":\"3\", \"mode\":\"33188\", \"is_datafile\":\"0\", \"is_cfs\":\"0\", \"crc\":\"0\", "
         "\"compress_alg\":\"none\", \"external_dir_num\":\"0\", \"dbOid\":\"0\"}\n";
}

TEST(ContentList, NothingInPathsIsEscaped) {
  for (const std::string path :
       {"a\\nb", "a\\", "back\\\\slash", "a\"b", "\"", "a\", \"b", "line\nbreak", "\xFF\x80", "a:b{}"}) {
    const auto entries = Entries(Entry("before") + Entry(path) + Entry("after"));
    ASSERT_TRUE(entries.has_value()) << path << ": " << entries.error().message();
    ASSERT_EQ(entries->size(), 3U) << path;
    EXPECT_EQ((*entries)[1].path, path);
    EXPECT_EQ((*entries)[2].path, "after");
  }
}

TEST(ContentList, DamageIsAnErrorWithItsNumber) {
  const auto message = [](const std::string& text) {
    const auto entries = Entries(text);
    return entries ? std::string("no error") : entries.error().message();
  };
  EXPECT_THAT(message(Entry("a") + "junk\n"), HasSubstr("entry 2 of backup_content.control"));
  EXPECT_THAT(message(Entry("a").substr(0, 40)), HasSubstr("entry 1"));
  for (const char* path : {"../etc/passwd", "/etc/passwd", "a/../../b", "", "a//b", "./a", "a/"}) {
    EXPECT_THAT(message(Entry(path)), HasSubstr("damaged")) << path;
  }
  const auto with = [](std::string_view from, std::string_view to) {
    std::string text = Entry("a");
    return text.replace(text.find(from), from.size(), to);
  };
  EXPECT_THAT(message(with("\"3\"", "\"-2\"")), HasSubstr("damaged"));
  EXPECT_THAT(message(with("\"3\"", "\"99999999999999999999\"")), HasSubstr("damaged"));
  EXPECT_THAT(message(with("33188", "")), HasSubstr("damaged"));
  EXPECT_THAT(message(with("33188", "8612")), HasSubstr("damaged")) << "a device";
  EXPECT_EQ(message(""), "no error");
}

}  // namespace
}  // namespace pgstrata::probackup
