// What is read from the files of a real server is compared with what that server says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "foundation/io/file.h"
#include "postgres/pgdata/backup_label.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/catalog.h"
#include "postgres/pgdata/config_file.h"
#include "postgres/pgdata/control_file.h"
#include "postgres/pgdata/filenode_map.h"
#include "postgres/pgdata/page.h"
#include "postgres/pgdata/pg_version.h"
#include "postgres/pgdata/wal_reader.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::pgdata {
namespace {

std::string ReadIn(const std::string& directory, const std::string& name) {
  auto content = io::ReadWholeFile(directory + "/" + name);
  EXPECT_TRUE(content) << name;
  return std::move(content).value_or("");
}

// pg_wal of one directory.
class DirectoryWalSource : public WalSource {
 public:
  DirectoryWalSource(std::string directory, WalSegmentSize size) : directory_(std::move(directory)), size_(size) {}
  Result<size_t> Read(const WalSegment& segment, uint64_t offset, MutableBytes out) override {
    PGS_ASSIGN(const std::string content, io::ReadWholeFile(directory_ + "/" + SegmentName(segment, size_)));
    const std::string_view part =
        std::string_view(content).substr(std::min<uint64_t>(offset, content.size()), out.size());
    std::ranges::copy(AsBytes(part), out.begin());
    return part.size();
  }

 private:
  std::string directory_;
  WalSegmentSize size_;
};

// Offline catalogs of a data directory.
struct Catalogs {
  explicit Catalogs(const std::string& data)
      : version(*ParsePgVersion(ReadIn(data, "PG_VERSION"))),
        clog([data](std::string_view name) { return io::ReadWholeFile(data + "/pg_xact/" + std::string(name)); },
             ParseControlFile(AsBytes(ReadIn(data, "global/pg_control")))->shut_down()) {
    const auto map = ParseFilenodeMap(AsBytes(ReadIn(data, "global/pg_filenode.map")));
    roles = ReadIn(data, "global/" + std::to_string(map->at(kAuthidCatalog)));
    databases = ReadIn(data, "global/" + std::to_string(map->at(kDatabaseCatalog)));
  }
  TransactionStatusLookup Status() {
    return [this](uint32_t xid) { return clog.Status(xid); };
  }
  Role Bootstrap() { return ReadRoles(version, PagesOf(AsBytes(roles)), Status())->front(); }

  int version;
  ClogReader clog;
  std::string roles;
  std::string databases;
};

TEST(Server, CatalogsOfAStoppedClusterAreReadOffline) {
  test::PostgresCluster cluster({.initdb = {"--data-checksums"}});
  cluster.Start();
  cluster.Psql("create role boss superuser login");
  auto as_boss = cluster.ProgramEnvironment();
  as_boss["PGUSER"] = "boss";
  test::Run({"psql", "-qc", "alter role postgres rename to emperor", "-c", "alter role emperor nologin"}, as_boss);
  test::Run({"psql", "-qc", "create role lost", "-c", "begin; create role never; rollback"}, as_boss);
  test::Run({"psql", "-qc", "drop role lost", "-c", "create database shop", "-c", "vacuum full pg_database"}, as_boss);
  cluster.Stop();

  Catalogs catalogs(cluster.data_directory());
  const Role bootstrap = catalogs.Bootstrap();
  EXPECT_EQ(bootstrap.oid, kBootstrapSuperuser);
  EXPECT_EQ(bootstrap.name, "emperor");
  EXPECT_TRUE(bootstrap.superuser);
  EXPECT_FALSE(bootstrap.can_login);
  std::vector<std::string> logins;
  const auto roles = ReadRoles(catalogs.version, PagesOf(AsBytes(catalogs.roles)), catalogs.Status());
  ASSERT_TRUE(roles) << roles.error().message();
  for (const Role& role : *roles) {
    if (role.can_login) logins.push_back(role.name);
    EXPECT_NE(role.name, "lost");
    EXPECT_NE(role.name, "never");
  }
  EXPECT_THAT(logins, testing::ElementsAre("boss"));
  std::vector<std::string> names;
  const auto databases = ReadDatabases(catalogs.version, PagesOf(AsBytes(catalogs.databases)), catalogs.Status());
  ASSERT_TRUE(databases) << databases.error().message();
  for (const Database& database : *databases) {
    names.push_back(database.name);
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("template1", "template0", "postgres", "shop"));
}

TEST(Server, ARunningClustersNewestCheckpointedNamesAreRead) {
  test::PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create role boss superuser login; checkpoint");
  auto as_boss = cluster.ProgramEnvironment();
  as_boss["PGUSER"] = "boss";
  test::Run({"psql", "-qc", "alter role postgres rename to emperor", "-c", "checkpoint"}, as_boss);
  cluster.Kill();
  Catalogs catalogs(cluster.data_directory());
  EXPECT_EQ(catalogs.Bootstrap().name, "emperor");
  const auto control = ParseControlFile(AsBytes(ReadIn(cluster.data_directory(), "global/pg_control")));
  EXPECT_EQ(control->state, ClusterState::kInProduction);
}

TEST(Server, TheEndOfABaseBackupIsFoundInItsWal) {
  test::PostgresCluster cluster({.initdb = {"--wal-segsize=1"}});
  cluster.Start();
  cluster.Psql("create table t as select g, repeat('x', 500) from generate_series(1, 20000) g");
  const std::string backup = cluster.BaseBackup("backup", {"-X", "stream"});
  cluster.Stop();

  const auto label = ParseBackupLabel(ReadIn(backup, "backup_label"));
  ASSERT_TRUE(label) << label.error().message();
  const auto manifest = ParseBackupManifest(ReadIn(backup, "backup_manifest"));
  ASSERT_TRUE(manifest) << manifest.error().message();
  const auto control = ParseControlFile(AsBytes(ReadIn(backup, "global/pg_control")));
  ASSERT_TRUE(control) << control.error().message();
  ASSERT_EQ(manifest->wal_ranges.size(), 1U);
  EXPECT_EQ(manifest->wal_ranges[0].start, label->start);
  EXPECT_GT(manifest->files.size(), 900U);

  DirectoryWalSource source(backup + "/pg_wal", control->wal_segment_size);
  WalReader reader(source, TimelineHistory(label->start_timeline),
                   {*control->MajorVersion(), control->wal_segment_size, control->system_identifier});
  const auto end = FindBackupEnd(reader, label->start, label->start);
  ASSERT_TRUE(end) << end.error().message();
  EXPECT_EQ(*end, manifest->wal_ranges[0].end);
}

TEST(Server, EveryPageOfAStoppedClusterHasItsChecksum) {
  test::PostgresCluster cluster({.initdb = {"--data-checksums"}});
  cluster.Start();
  cluster.Psql("create table t(a int primary key, b text); insert into t select g, g from generate_series(1, 5000) g");
  const std::string path = cluster.Psql("select pg_relation_filepath('t')");
  cluster.Stop();
  const std::string relation = ReadIn(cluster.data_directory(), path);
  ASSERT_GE(relation.size(), 10 * kPageSize);
  for (uint32_t block = 0; block < relation.size() / kPageSize; ++block) {
    const ByteView page = AsBytes(relation).subspan(block * kPageSize, kPageSize);
    EXPECT_TRUE(VerifyPage(page, {block}, true)) << block;
  }
}

TEST(Server, ConfigurationIsReadAsTheServerReadsIt) {
  const std::string value = "it's \\ \t #x";
  test::PostgresCluster cluster(
      {.configuration = {"my.first = " + QuoteConfigValue(value), "MY.Second 'a''b\\n\\101'", "my.third = a-b.c:d/e"}});
  cluster.Start();
  const auto entries = ParseConfigFile(ReadIn(cluster.data_directory(), "postgresql.conf"));
  ASSERT_TRUE(entries) << entries.error().message();
  for (const char* name : {"my.first", "my.second", "my.third"}) {
    EXPECT_EQ(LastValue(*entries, name), cluster.Psql(std::string("show ") + name)) << name;
  }
  EXPECT_EQ(LastValue(*entries, "my.first"), value);
}

}  // namespace
}  // namespace pgstrata::pgdata
