// A chain of incremental backups that PostgreSQL 17 made (tests/data/incremental), opened with a server of 17.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {
namespace {

using ::testing::HasSubstr;

class Incremental : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(io::Exists(kBin + "/postgres")) << "run ./dev setup: it fetches the servers of other versions";
    test::Run({"tar", "--zstd", "-xf", PGSTRATA_SOURCE_DIR "/tests/data/incremental/chain3.tar.zst", "-C",
               directory_.path(), "--no-same-owner"});
  }
  [[nodiscard]] std::string Backup(const std::string& name) const { return directory_.Path("chain3/" + name); }

  // "database table count sum" for each line of the answers that a server on the combined backup gave.
  void ExpectAnswers(const std::string& source, const std::string& name) const {
    const auto text = io::ReadWholeFile(directory_.Path("chain3.oracle/" + name + ".queries.tsv"));
    ASSERT_TRUE(text.has_value());
    std::map<std::string, std::pair<std::string, std::string>> by_database;  // statement, answer
    for (const auto line : SplitLines(*text)) {
      const auto fields = Split(line, '\t');
      ASSERT_EQ(fields.size(), 4U) << line;
      auto& [statement, answer] = by_database[std::string(fields[0])];
      const std::string sum = fields[3] == "-" ? "'-'" : "coalesce(sum(hashtextextended(x::text, 0)), 0)";
      statement += statement.empty() ? "select concat_ws(' '" : "";
      statement += ", (select count(*) || ':' || " + sum + " from " + std::string(fields[1]) + " x)";
      answer += (answer.empty() ? "" : " ") + std::string(fields[2]) + ':' + std::string(fields[3]);
    }
    ASSERT_FALSE(by_database.empty());
    for (const auto& [database, asked] : by_database) {
      EXPECT_EQ(program_.Query(source, asked.first + ')', {"--pg-bin", kBin, "-d", database}), asked.second)
          << database;
    }
  }

  const std::string kBin = PGSTRATA_SERVERS_DIR "/17/bin";
  TemporaryDirectory directory_;
  PgstrataProgram program_;
};

TEST_F(Incremental, NewestOfAChainAnswersAsTheCombinedBackup) {
  const std::string before = TreeState(directory_.Path("chain3"));
  ExpectAnswers(directory_.Path("chain3"), "incr2");
  ExpectAnswers(Backup("incr1"), "incr1");
  ExpectAnswers(Backup("full"), "full");
  EXPECT_EQ(TreeState(directory_.Path("chain3")), before);
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(Incremental, CompressedTarsOfAChainAreFoundAndDecodedOnce) {
  for (const char* name : {"full", "incr1", "incr2"}) {
    const std::string packed = directory_.MakeDirectory(std::string("packed-") + name);
    const std::string script =
        "cd \"$1\" && tar -czf \"$2/base.tar.gz\" backup_label $(ls -A | grep -v '^backup_') && "
        "cp backup_manifest \"$2\"";
    test::Run({"sh", "-c", script, "sh", Backup(name), packed});
  }
  test::Run({"rm", "-r", directory_.Path("chain3")});
  ExpectAnswers(directory_.path(), "incr2");
  const auto cached = io::ListDirectory(program_.home() + "/cache/decoded");
  ASSERT_TRUE(cached.has_value()) << cached.error().message();
  EXPECT_EQ(cached->size(), 3U);
  const auto info = program_.Run({"info", directory_.Path("packed-incr1")});
  EXPECT_THAT(info.standard_output, HasSubstr("in 2 files is decoded"));
}

TEST_F(Incremental, LostFileOfAnOlderBackupFailsOnlyWhatNeedsIt) {
  // Unchanged since incr1, where VACUUM had truncated it: what the full backup holds under the name is longer and
  // older.
  const auto path = program_.Query(Backup("incr2"), "select pg_relation_filepath('trunc_me')", {"--pg-bin", kBin});
  ASSERT_TRUE(io::RemoveFile(Backup("incr1/" + path)).has_value());
  const auto failed =
      program_.Run({"open", Backup("incr2"), "-q", "--pg-bin", kBin, "-c", "select count(*) from trunc_me"});
  EXPECT_NE(failed.status.AsShell(), 0);
  EXPECT_THAT(failed.standard_error, HasSubstr("could not read block"));
  EXPECT_EQ(program_.Query(Backup("incr2"), "select count(*) from toasty", {"--pg-bin", kBin}), "40");
  const auto copied = program_.Run({"cat", Backup("incr2"), path});
  EXPECT_NE(copied.status.AsShell(), 0);
  EXPECT_THAT(copied.standard_error,
              HasSubstr("block 0 of \"" + path + "\": the backup \"" + Backup("incr1") + "\" lacks"));
}

TEST_F(Incremental, AMountRemembersTheChainThatWasNamed) {
  const std::string mnt = directory_.MakeDirectory("mnt");
  const std::string elsewhere = directory_.MakeDirectory("with,comma");
  for (const char* name : {"full", "incr1"}) {
    ASSERT_TRUE(io::Rename(Backup(name), elsewhere + '/' + name).has_value());
  }
  const std::string diff = directory_.Path("diff");
  const auto pgstrata = [&](const std::vector<std::string>& arguments) {
    const auto run = program_.Run(arguments);
    EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  };
  const auto version = [&] { return io::RunAndCapture({.argv = {"/bin/cat", mnt + "/PG_VERSION"}})->standard_output; };
  pgstrata({"mount", Backup("incr2"), mnt, "--diff-dir", diff, "--chain", elsewhere});
  pgstrata({"unmount", mnt});
  pgstrata({"mount", Backup("incr2"), mnt, "--diff-dir", diff});
  EXPECT_EQ(version(), "17\n");
  pgstrata({"unmount", mnt});
  pgstrata({"mount", "-D", mnt, "-d", diff});
  EXPECT_EQ(version(), "17\n");
  pgstrata({"unmount", mnt});
}

}  // namespace
}  // namespace pgstrata::test
