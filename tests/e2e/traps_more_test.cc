// Traps 34, 35 and 37: what recovery brings along; 24 and 40: what later versions added.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/base/types.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/traps.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kWhoAndWhere =
    "select current_user, current_database(), rolsuper from pg_roles where rolname = current_user";

TEST_F(Traps, Trap34PreparedTransactionsAreNamed) {
  PostgresCluster cluster({.configuration = {"max_prepared_transactions = 3"}});
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Psql("create database shop");
  cluster.Psql("begin; alter table t add column j int; prepare transaction 'it''s stuck'");
  cluster.Psql("begin; create table s (i int); prepare transaction 'other'", "shop");
  cluster.Stop();
  const std::string& stopped = cluster.data_directory();
  fs::remove(stopped + "/postgresql.conf");
  const auto run =
      Open(stopped, "select count(*), current_setting('max_prepared_transactions') from pg_prepared_xacts");
  EXPECT_EQ(run.standard_output, "2|3\n");
  EXPECT_THAT(run.standard_error, AllOf(HasSubstr("ROLLBACK PREPARED 'it''s stuck'"),
                                        HasSubstr("ROLLBACK PREPARED 'other'"), HasSubstr("\"shop\"")));
  EXPECT_EQ(Script(stopped,
                   "sql \"set lock_timeout = '100ms'; select count(*) from t\" 2>&1 | grep -c 'lock timeout'; "
                   "sql \"rollback prepared 'it''s stuck'\"; sql 'select count(*) from t'"),
            "1\n1000");
}

TEST_F(Traps, Trap35BootstrapSuperuserMayHaveAnotherName) {
  PostgresCluster cluster({.superuser = "Big Boss"});
  cluster.Start();
  cluster.Psql(kThousandRows);
  const std::string backup = cluster.BaseBackup("backup");
  EXPECT_EQ(Query(backup, kWhoAndWhere), "Big Boss|postgres|t");
  // Renamed a moment before the crash: the files still say otherwise.
  cluster.Psql("create role temporary superuser login");
  cluster.Psql("checkpoint");
  auto temporary = client::Connection::Connect(
      {.socket_directory = cluster.socket_directory(), .port = cluster.port(), .user = "temporary"});
  ASSERT_TRUE(temporary);
  ASSERT_TRUE(temporary->Execute("alter role \"Big Boss\" rename to \"late name\""));
  ASSERT_TRUE(temporary->Execute("drop role if exists nobody_at_all"));
  cluster.Kill();
  EXPECT_EQ(Query(cluster.data_directory(), kWhoAndWhere), "late name|postgres|t");
}

TEST_F(Traps, Trap35BootstrapSuperuserMayBeUnableToLogIn) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create role plain login; create role second superuser login; alter role postgres nologin");
  cluster.Stop();
  EXPECT_EQ(Query(cluster.data_directory(), kWhoAndWhere), "second|postgres|t");
}

TEST_F(Traps, Trap35DatabasePostgresMayBeGone) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create database shop");
  cluster.Psql("drop database postgres", "shop");
  cluster.Psql("checkpoint", "shop");
  const std::string backup = cluster.BaseBackup("backup");
  EXPECT_EQ(Query(backup, kWhoAndWhere), "postgres|template1|t");
  EXPECT_EQ(Query(backup, kWhoAndWhere, {"-d", "shop"}), "postgres|shop|t");
  cluster.Psql("alter database template1 allow_connections false", "shop");
  cluster.Psql("checkpoint", "shop");
  cluster.Kill();
  EXPECT_EQ(Query(cluster.data_directory(), kWhoAndWhere), "postgres|shop|t");
}

class StandbyPair {
 public:
  StandbyPair() {
    primary_.Start();
    primary_.Psql(kThousandRows);
    primary_.BaseBackup("standby");
    standby_ = std::make_unique<PostgresCluster>(ClusterOptions{.copy_of = primary_.directory().Path("standby")});
    std::ofstream(standby_->data_directory() + "/standby.signal") << "";
    Append(standby_->data_directory() + "/postgresql.conf",
           "primary_conninfo = 'host=" + primary_.socket_directory() + " port=5432 user=postgres'");
    standby_->Start();
  }
  void CatchUp() {
    const std::string end = primary_.Psql("select pg_current_wal_lsn()");
    while (standby_->Psql("select pg_last_wal_replay_lsn() >= '" + end + "'") != "t") std::this_thread::sleep_for(5ms);
  }
  PostgresCluster& primary() { return primary_; }
  PostgresCluster& standby() { return *standby_; }

 private:
  PostgresCluster primary_;
  std::unique_ptr<PostgresCluster> standby_;
};

TEST_F(Traps, Trap37BackupOfAStandbyIsRecoveredToItsMinimum) {
  StandbyPair pair;
  pair.primary().Psql("insert into t select generate_series(1001, 2000)");
  pair.CatchUp();
  const std::string backup = pair.standby().BaseBackup("backup");
  ASSERT_THAT(*io::ReadWholeFile(backup + "/backup_label"), HasSubstr("BACKUP FROM: standby"));
  pair.primary().Psql("insert into t select generate_series(2001, 3000)");
  pair.CatchUp();
  pair.standby().Stop();
  EXPECT_EQ(Query(backup, "insert into t values (0); select count(*) >= 2001, pg_is_in_recovery() from t"), "t|f");
  EXPECT_EQ(Query(pair.standby().data_directory(), "insert into t values (0); select count(*) from t"), "3001");
}

TEST_F(Traps, Trap37ConsistencyOfAStandbysBackupIsNotAssumed) {
  StandbyPair pair;
  pair.CatchUp();
  // Pages reach the disk, and so the minimum recovery point moves on, while WAL of it is left out of the copy.
  auto& standby = pair.standby();
  pair.primary().Psql("select pg_switch_wal()");
  pair.primary().Psql("insert into t select generate_series(1, 10000)");
  pair.CatchUp();
  standby.Stop();
  const std::string& source = standby.data_directory();
  EXPECT_EQ(Query(source, "select count(*) from t"), "11000");
  const std::string last = SegmentsIn(source + "/pg_wal").back();
  fs::create_directories(Path("archive"));
  fs::rename(source + "/pg_wal/" + last, Path("archive/") + last);
  EXPECT_THAT(Failure(source, 78), AllOf(HasSubstr(last), HasSubstr("--wal")));
  EXPECT_EQ(Query(source, "select count(*) from t", {"--wal", Path("archive")}), "11000");
  // The segment is there, but its end was not written: a recovery as after a crash would stop there and be content.
  const std::string control = test::Run({"pg_controldata", source});
  const std::string name = "Minimum recovery ending location:";
  const size_t at = control.find(name) + name.size();
  const auto minimum = Lsn::Parse(TrimWhitespace(std::string_view(control).substr(at, control.find('\n', at) - at)));
  ASSERT_TRUE(minimum) << control;
  constexpr uint64_t kSegment = 16 << 20;
  auto segment = io::File::Open(Path("archive/") + last, O_WRONLY);
  const uint64_t cut = (minimum->value % kSegment - (64 << 10)) / 8192 * 8192;
  ASSERT_TRUE(segment && segment->WriteAt(cut, AsBytes(std::string(kSegment - cut, '\0'))));
  EXPECT_THAT(Failure(source, 78, {"--wal", Path("archive")}), HasSubstr(last));
}

// Clusters of another version, while it lives.
class ServerVersion {
 public:
  explicit ServerVersion(const std::string& major) {
    const std::string bin = std::string(PGSTRATA_SERVERS_DIR) + '/' + major + "/bin";
    if (!io::Exists(bin + "/postgres")) throw std::runtime_error("run ./dev setup: it fetches PostgreSQL " + major);
    ::setenv("PGSTRATA_TEST_PG_BIN", bin.c_str(), 1);
  }
  ServerVersion(const ServerVersion&) = delete;
  ServerVersion& operator=(const ServerVersion&) = delete;
  ~ServerVersion() {
    if (before_) {
      ::setenv("PGSTRATA_TEST_PG_BIN", before_->c_str(), 1);
    } else {
      ::unsetenv("PGSTRATA_TEST_PG_BIN");
    }
  }

 private:
  std::optional<std::string> before_ = std::getenv("PGSTRATA_TEST_PG_BIN") != nullptr
                                           ? std::optional<std::string>(std::getenv("PGSTRATA_TEST_PG_BIN"))
                                           : std::nullopt;
};

TEST_F(Traps, Trap24LoginTriggersDoNotFire) {
  const ServerVersion version("17");
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Psql(
      "create function refuse() returns event_trigger language plpgsql as $$ begin raise 'not at this hour'; end $$; "
      "create event trigger refuse on login execute function refuse(); alter event trigger refuse enable always");
  cluster.Stop();
  EXPECT_EQ(Query(cluster.data_directory(), "select count(*) from t"), "1000");
}

TEST_F(Traps, Trap40NoSummariesAreWritten) {
  const ServerVersion version("17");
  PostgresCluster cluster({.configuration = {"summarize_wal = on"}});
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Stop();
  EXPECT_EQ(Query(cluster.data_directory(),
                  "checkpoint; select current_setting('summarize_wal'), count(*) from pg_stat_activity "
                  "where backend_type = 'walsummarizer'"),
            "off|0");
}

TEST_F(Traps, Trap40NoProcessesAreStartedForReading) {
  const ServerVersion version("18");
  PostgresCluster cluster({.configuration = {"io_method = worker", "io_workers = 8"}});
  cluster.Start();
  cluster.Psql(kThousandRows);
  cluster.Stop();
  EXPECT_EQ(Query(cluster.data_directory(),
                  "select current_setting('io_method'), (select count(*) from pg_stat_activity "
                  "where backend_type = 'io worker'), count(*) from t"),
            "sync|0|1000");
}

}  // namespace
}  // namespace pgstrata::test
