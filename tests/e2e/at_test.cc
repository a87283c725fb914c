// `--at`: real WAL, and what PostgreSQL makes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"
#include "tests/pgbackrest/repository_writer.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A cluster with ten rows when it was backed up, and one more for each step after that.
class At : public ::testing::Test {
 protected:
  struct Step {
    std::string time;
    std::string lsn;
    std::string xid;
  };

  At()
      : archive_(program_.directory().MakeDirectory("archive")),
        cluster_({.initdb = {"--wal-segsize=1"},
                  .configuration = {"archive_mode = on", "archive_command = 'cp %p " + archive_ + "/%f'",
                                    "timezone = 'Asia/Kathmandu'", "max_prepared_transactions = 5"}}) {
    cluster_.Start();
    cluster_.Psql("create table t as select generate_series(1, 10) as i");
    backup_ = cluster_.BaseBackup("backup", {"-X", "stream"});
    for (int i = 0; i < 3; ++i) steps_.push_back(TakeStep());
    cluster_.Psql("select pg_create_restore_point('here')");
    cluster_.Psql("begin; insert into t values (1000); prepare transaction 'pending'");
    cluster_.Psql("insert into t values (0)");
    const std::string last = cluster_.Psql("select pg_walfile_name(pg_switch_wal())");
    EXPECT_TRUE(Eventually([&] { return fs::exists(archive_ + '/' + last); }));
    cluster_.Stop();
  }

  Step TakeStep() {
    Step step;
    step.xid = cluster_.Psql("begin; insert into t values (0); select pg_current_xact_id(); commit");
    step.time = cluster_.Psql("select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')");
    step.lsn = cluster_.Psql("select pg_current_wal_lsn()");
    return step;
  }

  [[nodiscard]] std::string Rows(const std::string& at) const {
    return program_.Query(backup_, "select count(*) from t", {"--wal", archive_, "--at", at});
  }
  [[nodiscard]] io::Captured Branch(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "branch");
    return program_.Run(arguments);
  }
  [[nodiscard]] std::string BranchRows(const std::string& name) const {
    const auto run = Branch({"psql", name, "--", "-XAtc", "select count(*) from t"});
    return run.status.AsShell() == 0 ? std::string(TrimWhitespace(run.standard_output)) : run.standard_error;
  }

  const PgstrataProgram program_;
  std::string archive_;
  PostgresCluster cluster_;
  std::string backup_;
  std::vector<Step> steps_;
};

TEST_F(At, TimesPlacesTransactionsAndRestorePointsOpenTheirMoment) {
  for (size_t i = 0; i < steps_.size(); ++i) {
    const std::string rows = std::to_string(11 + i);
    EXPECT_EQ(Rows(steps_[i].time + "+00"), rows);
    EXPECT_EQ(Rows("lsn:" + steps_[i].lsn), rows);
    EXPECT_EQ(Rows("xid:" + steps_[i].xid), rows);
  }
  EXPECT_EQ(Rows("name:here"), "13");
  EXPECT_EQ(Rows("latest"), "14");
  EXPECT_EQ(Rows("0min ago"), "14");
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(At, ATimeWithoutAZoneIsOfTheClustersZone) {
  // 5:45 east of Greenwich: the same digits are hours before the backup.
  const auto run = program_.Run({"open", backup_, "--wal", archive_, "--at", steps_[0].time, "--", "-c", "select 1"});
  EXPECT_NE(run.status.AsShell(), 0);
  EXPECT_THAT(run.standard_error, HasSubstr("its earliest moment is"));
}

TEST_F(At, AMomentBeforeTheBackupEndedNamesTheEarliest) {
  const auto run = program_.Run({"open", backup_, "--wal", archive_, "--at", "1999-12-31", "--", "-c", "select 1"});
  EXPECT_EQ(run.status.AsShell(), 65);
  EXPECT_THAT(run.standard_error, HasSubstr("its earliest moment is 20"));
}

TEST_F(At, WhatIsOpenedIsWritableAndToldAndItsPreparedTransactionsAreNamed) {
  const auto run = program_.Run({"open", backup_, "--wal", archive_, "--at", "latest", "--", "-XAtc",
                                 "insert into t values (1); select count(*) from t"});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_THAT(run.standard_output, HasSubstr("15"));
  EXPECT_THAT(run.standard_error, HasSubstr("at the end of the WAL (timeline 1"));
  EXPECT_THAT(run.standard_error, HasSubstr("transaction 'pending'"));
}

TEST_F(At, AMissingSegmentIsNamed) {
  std::vector<std::string> segments;
  for (const auto& entry : fs::directory_iterator(archive_)) segments.push_back(entry.path().string());
  std::ranges::sort(segments);
  const std::string last = fs::path(segments.back()).filename().string();
  fs::copy_file(segments.back(), archive_ + "/0000000100000000000000FF");
  fs::remove(segments.back());
  const auto run = program_.Run({"open", backup_, "--wal", archive_, "--at", "0min ago", "--", "-c", "select 1"});
  EXPECT_NE(run.status.AsShell(), 0);
  EXPECT_THAT(run.standard_error, HasSubstr(last));
}

TEST_F(At, ABranchNeedsNoArchiveOnceItIsMade) {
  const auto made = Branch({"create", "then", "--from", backup_, "--wal", archive_, "--at", "xid:" + steps_[1].xid});
  ASSERT_EQ(made.status.AsShell(), 0) << made.standard_error;
  EXPECT_THAT(made.standard_error, HasSubstr("at xid:" + steps_[1].xid));
  fs::remove_all(archive_);
  ASSERT_EQ(Branch({"start", "then"}).status.AsShell(), 0);
  EXPECT_EQ(BranchRows("then"), "12");
  EXPECT_EQ(Branch({"psql", "then", "--", "-c", "delete from t"}).status.AsShell(), 0);
  EXPECT_EQ(BranchRows("then"), "0");
  ASSERT_EQ(Branch({"reset", "then", "--force"}).status.AsShell(), 0);
  EXPECT_EQ(BranchRows("then"), "12");
  ASSERT_EQ(Branch({"stop", "then"}).status.AsShell(), 0);
  ASSERT_EQ(Branch({"create", "child", "--from", "then", "--start"}).status.AsShell(), 0);
  EXPECT_EQ(BranchRows("child"), "12");
  for (const char* name : {"child", "then"}) EXPECT_EQ(Branch({"drop", name, "--force"}).status.AsShell(), 0);
}

TEST_F(At, AMountTellsTheServerWhereToStop) {
  const std::string mountpoint = program_.directory().MakeDirectory("mnt");
  const std::vector<std::string> mount = {
      "mount", backup_,  mountpoint, "--diff-dir",          program_.directory().Path("diff"),
      "--wal", archive_, "--at",     "xid:" + steps_[0].xid};
  const auto mounted = program_.Run(mount);
  ASSERT_EQ(mounted.status.AsShell(), 0) << mounted.standard_error;
  EXPECT_TRUE(fs::exists(mountpoint + "/recovery.signal"));
  const std::string settings = io::ReadWholeFile(mountpoint + "/postgresql.auto.conf").value_or("");
  EXPECT_THAT(settings, HasSubstr("recovery_target_inclusive = 'off'"));
  EXPECT_THAT(settings, HasSubstr("recovery_target_action = 'promote'"));
  EXPECT_EQ(program_.Run({"unmount", mountpoint}).status.AsShell(), 0);
  EXPECT_EQ(program_.Run(mount).status.AsShell(), 0);  // the same command goes on
  EXPECT_EQ(program_.Run({"unmount", mountpoint}).status.AsShell(), 0);
  auto other = mount;
  other.back() = "latest";
  EXPECT_THAT(program_.Run(other).standard_error, HasSubstr("was made with --at \"xid:"));
}

// The base backup as pgBackRest would store it, encrypted, with all WAL in the archive.
TEST_F(At, TheArchiveOfAnEncryptedCatalogIsRead) {
  const std::string root = program_.directory().MakeDirectory("repo");
  RepositoryWriter writer(root, {.compress_type = "zst", .passphrase = "open-sesame"});
  for (const auto& entry : fs::recursive_directory_iterator(backup_)) {
    const std::string path = fs::relative(entry.path(), backup_).string();
    if (entry.is_directory()) writer.AddDirectory(path, 0700);
    if (!entry.is_regular_file() || path.starts_with("pg_wal/")) continue;
    writer.AddFile(path, io::ReadWholeFile(entry.path().string()).value(), 0600);
  }
  for (const auto& entry : fs::directory_iterator(archive_)) {
    if (entry.path().extension() == ".backup") continue;
    writer.AddWal(entry.path().filename().string(), io::ReadWholeFile(entry.path().string()).value());
  }
  writer.Finish();
  const std::string secret = program_.directory().WriteFile("secret", "open-sesame\n");
  const auto rows = [&](const std::string& at) {
    return program_.Query("pgbackrest:" + root + "/main", "select count(*) from t",
                          {"--cipher-pass-file", secret, "--at", at});
  };
  EXPECT_EQ(rows(steps_[1].time + "+00"), "12");
  EXPECT_EQ(rows("latest"), "14");
}

TEST_F(At, InfoTellsTheMoment) {
  const auto info = program_.Run({"info", backup_, "--wal", archive_, "--at", "name:here"});
  EXPECT_EQ(info.status.AsShell(), 0) << info.standard_error;
  EXPECT_THAT(info.standard_output, HasSubstr("name:here (timeline 1, "));
  const auto missing = program_.Run({"info", backup_, "--wal", archive_, "--at", "name:there"});
  EXPECT_THAT(missing.standard_output, HasSubstr("there is no restore point \"there\""));
}

}  // namespace
}  // namespace pgstrata::test
