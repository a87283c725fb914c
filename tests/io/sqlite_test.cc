#include "foundation/io/sqlite.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::io {
namespace {

Database OpenOrDie(const std::string& path) {
  auto database = Database::Open(path);
  EXPECT_TRUE(database.has_value()) << database.error().message();
  return *std::move(database);
}

int64_t CountRows(Database& database) { return IntegerOf((*database.Query("SELECT count(*) FROM t"))[0][0]); }

TEST(Sqlite, ValuesComeBackAsTheyWere) {
  const test::ScratchDirectory directory;
  Database database = OpenOrDie(directory.path() + "/db");
  ASSERT_TRUE(database.Execute("CREATE TABLE t (a, b, c)").has_value());
  const std::string text("with a \0 byte, a quote ' and \xc3\xa4", 30);
  ASSERT_TRUE(database.Query("INSERT INTO t VALUES (?, ?, ?)", {int64_t{-5}, text, nullptr}).has_value());
  const auto rows = database.Query("SELECT * FROM t");
  ASSERT_TRUE(rows.has_value());
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ((*rows)[0], (SqlRow{int64_t{-5}, text, nullptr}));
}

TEST(Sqlite, FileIsClosedToOthers) {
  const test::ScratchDirectory directory;
  OpenOrDie(directory.path() + "/db");
  struct stat status{};
  ASSERT_EQ(::stat((directory.path() + "/db").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(Sqlite, TransactionThatDoesNotCommitLeavesNothing) {
  const test::ScratchDirectory directory;
  Database database = OpenOrDie(directory.path() + "/db");
  ASSERT_TRUE(database.Execute("CREATE TABLE t (a UNIQUE)").has_value());
  {
    auto transaction = SqlTransaction::Begin(database);
    ASSERT_TRUE(transaction.has_value());
    ASSERT_TRUE(database.Execute("INSERT INTO t VALUES (1)").has_value());
  }
  EXPECT_EQ(CountRows(database), 0);
  auto transaction = SqlTransaction::Begin(database);
  ASSERT_TRUE(database.Execute("INSERT INTO t VALUES (1)").has_value());
  ASSERT_TRUE(transaction->Commit().has_value());
  EXPECT_EQ(CountRows(database), 1);
  EXPECT_EQ(database.Execute("INSERT INTO t VALUES (1)").error().code(), ErrorCode::kAlreadyExists);
}

TEST(Sqlite, ProcessesWaitForEachOther) {
  const test::ScratchDirectory directory;
  const std::string path = directory.path() + "/db";
  {
    ASSERT_TRUE(OpenOrDie(path).Execute("CREATE TABLE t (a)").has_value());
  }
  constexpr int kProcesses = 4;
  constexpr int kRounds = 10;
  for (int i = 0; i < kProcesses; ++i) {
    if (::fork() != 0) continue;
    auto database = Database::Open(path);
    bool ok = database.has_value();
    for (int round = 0; ok && round < kRounds; ++round) {
      auto transaction = SqlTransaction::Begin(*database);
      ok = transaction && database->Execute("INSERT INTO t VALUES (1)") && transaction->Commit();
    }
    ::_exit(ok ? 0 : 1);
  }
  for (int i = 0; i < kProcesses; ++i) {
    int status = 0;
    ASSERT_GT(::wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  Database database = OpenOrDie(path);
  EXPECT_EQ(CountRows(database), kProcesses * kRounds);
}

TEST(Sqlite, LogOfShortProgramsDoesNotGrow) {
  const test::ScratchDirectory directory;
  const std::string path = directory.path() + "/db";
  ASSERT_TRUE(OpenOrDie(path).Execute("CREATE TABLE t (a)").has_value());
  constexpr int kPrograms = 300;
  for (int i = 0; i < kPrograms; ++i) {
    ASSERT_TRUE(OpenOrDie(path).Execute("INSERT INTO t VALUES (1)").has_value());
    ASSERT_LT(StatLink(path + "-wal")->st_size, 512 << 10);
  }
  Database database = OpenOrDie(path);
  EXPECT_EQ(CountRows(database), kPrograms);
}

TEST(Sqlite, ProgramThatIsKilledLeavesWhatItCommitted) {
  const test::ScratchDirectory directory;
  const std::string path = directory.path() + "/db";
  ASSERT_TRUE(OpenOrDie(path).Execute("CREATE TABLE t (a)").has_value());
  if (::fork() == 0) {
    auto database = Database::Open(path);
    bool ok = database && database->Execute("INSERT INTO t VALUES (1)");
    const auto transaction = SqlTransaction::Begin(*database);
    ok = ok && transaction && database->Execute("INSERT INTO t VALUES (2)");
    ::_exit(ok ? 0 : 1);
  }
  int status = 0;
  ASSERT_GT(::wait(&status), 0);
  ASSERT_EQ(status, 0);
  Database database = OpenOrDie(path);
  EXPECT_EQ(CountRows(database), 1);
}

TEST(Sqlite, WhatIsNoDatabaseIsCorruptAndNamed) {
  const test::ScratchDirectory directory;
  const std::string path = directory.path() + "/db";
  ASSERT_TRUE(WriteWholeFile(path, std::string(4096, 'x')).has_value());
  auto database = Database::Open(path);
  const auto error = database ? database->Execute("SELECT * FROM sqlite_master").error() : database.error();
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.message();
  EXPECT_TRUE(error.message().contains(path)) << error.message();
}

}  // namespace
}  // namespace pgstrata::io
