// Traps 13, 14, 16, 17, 38, 39 and 41: what is read, written and expected on disk.
#include <filesystem>
#include <fstream>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "tests/e2e/traps.h"
#include "tests/support/compress.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

// 20 MB in 2,858 pages; every page has seven rows of 1 kB.
constexpr const char* kWideTable =
    "create table wide as select i, repeat(md5(i::text), 32) as text from generate_series(1, 20000) i";
// How many requests the process that serves the mount has read: a read(2) each.
constexpr const char* kCountRequests =
    "for pid in $(cat /proc/$PPID/task/*/children); do "
    "  case $(cat /proc/$pid/comm) in *worker*) sed -n 's/syscr: //p' /proc/$pid/io;; esac; "
    "done";

// Relation files that no catalog knows, as many as a large database has.
void MakeRelationFiles(const std::string& data_directory, int count) {
  constexpr int kFirst = 5000000;
  const std::string database = data_directory + "/base/1/";
  for (int i = 0; i < count; ++i) std::ofstream(database + std::to_string(kFirst + i)) << "";
}

TEST_F(Traps, Trap13NothingIsSyncedAtTheStart) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Kill();
  const std::string& crashed = cluster.data_directory();
  EXPECT_EQ(Settings(crashed, {"fsync", "recovery_init_sync_method"}), "fsync=off recovery_init_sync_method=syncfs");
  constexpr int kFiles = 5000;
  const auto requests_before = ParseDecimal(Script(crashed, kCountRequests));
  MakeRelationFiles(crashed, kFiles);
  const auto requests = ParseDecimal(Script(crashed, kCountRequests));
  ASSERT_TRUE(requests && requests_before);
  // The sync pass would look up and open each.
  EXPECT_LT(*requests, *requests_before + kFiles / 2);
  EXPECT_THAT(Script(crashed, "cat \"$PGHOST/server.log\""), Not(HasSubstr("syncing data directory")));
}

TEST_F(Traps, Trap14ReadingCopiesNothing) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kWideTable);
  cluster.Psql("vacuum freeze");
  cluster.Stop();
  const uint64_t nothing = LayerBytesAfter(cluster.data_directory(), "select 1");
  const uint64_t all = LayerBytesAfter(cluster.data_directory(), "select sum(length(text)) from wide");
  EXPECT_GT(nothing, 0U);
  EXPECT_LT(nothing, 2U << 20);
  EXPECT_LT(all, nothing + (64 << 10));
}

TEST_F(Traps, Trap16WalTakesOnlyWhatIsWritten) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Stop();
  const std::string& source = cluster.data_directory();
  EXPECT_EQ(Settings(source, {"wal_init_zero", "wal_recycle", "wal_compression", "full_page_writes"}),
            "wal_init_zero=off wal_recycle=off wal_compression=pglz full_page_writes=off");
  const uint64_t nothing = LayerBytesAfter(source, "select 1");
  // Four segments are begun, 64 MB if they were filled with zeros.
  std::string four_segments;
  for (int i = 0; i < 4; ++i) four_segments += "insert into t values (0); select pg_switch_wal(); ";
  EXPECT_LT(LayerBytesAfter(source, four_segments), nothing + (4 << 20));
}

TEST_F(Traps, Trap17HintBitsTakeOnlyTheBlocksTheyAreIn) {
  PostgresCluster cluster({.initdb = {"--data-checksums"}, .configuration = {"autovacuum = off"}});
  cluster.Start();
  // Frozen catalogs, and a table whose rows nobody has looked at.
  cluster.Psql("vacuum freeze");
  cluster.Psql(kWideTable);
  cluster.Stop();
  const std::string& source = cluster.data_directory();
  const uint64_t nothing = LayerBytesAfter(source, "select 1");
  const uint64_t ten_pages =
      LayerBytesAfter(source, "select count(text) from wide where ctid >= '(0,0)' and ctid < '(10,0)'");
  constexpr uint64_t kPage = 8192;
  EXPECT_LT(ten_pages, nothing + 10 * kPage + (128 << 10));
  // The whole table: its own size and no more, although a checksum would want full pages in the WAL.
  constexpr uint64_t kTable = 2858 * kPage;
  const uint64_t all = LayerBytesAfter(source, "select count(text) from wide");
  EXPECT_GT(all, nothing + kTable / 4) << "the rows had hint bits already: this proves nothing";
  EXPECT_LT(all, nothing + kTable + (1 << 20));
}

TEST_F(Traps, Trap38LostEmptyDirectoriesAreMade) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = cluster.BaseBackup("backup");
  test::Run({"find", backup, "-type", "d", "-empty", "-delete"});
  for (const char* name : {"/pg_notify", "/pg_snapshots", "/pg_replslot", "/pg_tblspc", "/pg_twophase"}) {
    ASSERT_FALSE(fs::exists(backup + name));
  }
  const std::string before = TreeState(backup);
  EXPECT_EQ(Query(backup,
                  "create index on t (i); notify c; select pg_export_snapshot() is null; "
                  "select count(*) from t"),
            "f\n1000");
  EXPECT_EQ(TreeState(backup), before);
  cluster.Stop();
  test::Run({"find", cluster.data_directory(), "-type", "d", "-empty", "-delete"});
  EXPECT_EQ(Query(cluster.data_directory(), "select count(*) from t"), "1000");
}

TEST_F(Traps, Trap39SmallSegmentsInEveryForm) {
  PostgresCluster cluster({.initdb = {"--wal-segsize=1"}, .configuration = {"checkpoint_timeout = 1d"}});
  cluster.Start();
  cluster.Psql("create table t (i int, text text); checkpoint");
  for (int i = 0; i < 6; ++i) {
    cluster.Psql("insert into t select i, repeat('x', 100) from generate_series(1, 5000) i");
  }
  cluster.Kill();
  // From the segment with the redo point on; each goes to the archive in another form.
  const std::string& source = cluster.data_directory();
  const std::string archive = program_.directory().MakeDirectory("archive");
  const std::vector<std::string> segments = SegmentsIn(source + "/pg_wal");
  ASSERT_GE(segments.size(), 5U);
  const std::vector<std::string> tools = {"gzip", "lz4", "zstd", ""};
  const std::vector<std::string> endings = {".gz", ".lz4", ".zst", ""};
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::string path = source + "/pg_wal/" + segments[i];
    const std::string bytes = *io::ReadWholeFile(path);
    EXPECT_EQ(bytes.size(), 1U << 20);
    const bool last = i + 1 == segments.size();
    const size_t form = i % tools.size();
    const std::string target = archive + '/' + segments[i] + (last ? ".partial" : endings[form]);
    ASSERT_TRUE(io::WriteWholeFile(target, last || tools[form].empty() ? bytes : Compressed(tools[form], bytes), 0644));
    fs::remove(path);
  }
  std::ofstream(archive + "/00000002.history") << "1\t0/FFFFFFF0\tno recovery target specified\n";
  EXPECT_EQ(Query(source, "select count(*) from t", {"--wal", archive}), "30000");
  EXPECT_EQ(Settings(source, {"wal_segment_size"}, {"--wal", archive}), "wal_segment_size=1MB");
  EXPECT_THAT(Failure(source, 78), HasSubstr(segments.front().substr(0, 16)));
}

TEST_F(Traps, Trap39LargeSegments) {
  PostgresCluster cluster({.initdb = {"--wal-segsize=64"}});
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = cluster.BaseBackup("backup");
  EXPECT_EQ(Query(backup, "select count(*) from t"), "1000");
  EXPECT_EQ(Settings(backup, {"wal_segment_size"}), "wal_segment_size=64MB");
}

TEST_F(Traps, Trap41DirectoriesAreListedWithTypes) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Kill();
  const std::string& crashed = cluster.data_directory();
  constexpr int kFiles = 10000;
  // What the server itself does when it starts (temporary files, unlogged relations), then a walk over all.
  const std::string walk = std::string("find \"$MNT\" -type f > /dev/null; ") + kCountRequests;
  const auto requests_before = ParseDecimal(Script(crashed, walk));
  MakeRelationFiles(crashed, kFiles);
  const auto requests = ParseDecimal(Script(crashed, walk));
  ASSERT_TRUE(requests && requests_before);
  EXPECT_LT(*requests, *requests_before + kFiles / 4) << "each file was looked at";
  EXPECT_EQ(Query(crashed, "select count(*) from pg_ls_dir('base/1') name where name ~ '^50.....$'"),
            std::to_string(kFiles));
}

}  // namespace
}  // namespace pgstrata::test
