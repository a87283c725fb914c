// `pgstrata open` on a pgBackRest repository, made here of a real base backup and its WAL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"
#include "tests/pgbackrest/repository_writer.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// The base backup as pgBackRest would store it: WAL only in the archive.
void WriteRepository(const std::string& backup, const std::string& root, const WriterOptions& options) {
  fs::create_directories(root);
  RepositoryWriter writer(root, options);
  for (const auto& entry : fs::recursive_directory_iterator(backup)) {
    const std::string path = fs::relative(entry.path(), backup).string();
    if (entry.is_directory()) writer.AddDirectory(path, 0700);
    if (!entry.is_regular_file()) continue;
    const auto content = io::ReadWholeFile(entry.path().string());
    ASSERT_TRUE(content.has_value()) << path;
    if (path.starts_with("pg_wal/")) {
      writer.AddWal(path.substr(path.find('/') + 1), *content);
    } else {
      writer.AddFile(path, *content, 0600);
    }
  }
  writer.Finish();
  GiveToPostgres(root);
  for (const auto& entry : fs::recursive_directory_iterator(root)) GiveToPostgres(entry.path().string());
}

class OpenPgbackrest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.Start();
    cluster_.Psql("create table t as select i, repeat('x', 500) as filler from generate_series(1, 5000) as i");
    backup_ = cluster_.BaseBackup("backup", {"-X", "stream"});
    cluster_.Psql("drop table t");
    cluster_.Stop();
  }
  [[nodiscard]] std::string Repository() const { return program_.directory().Path("repo"); }

  PostgresCluster cluster_;
  std::string backup_;
  const PgstrataProgram program_;
};

TEST_F(OpenPgbackrest, BlockIncrementalBundlesAreADatabase) {
  WriteRepository(backup_, Repository(), {.bundle = true, .block_units = 1});
  const std::string before = TreeState(Repository());
  const std::string source = "pgbackrest:" + Repository() + "/main";
  EXPECT_EQ(program_.Query(source, "select count(*), sum(i) from t"), "5000|12502500");
  EXPECT_THAT(program_.Query(source, "insert into t values (0); select count(*) from t"), HasSubstr("5001"));
  EXPECT_EQ(TreeState(Repository()), before);
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(OpenPgbackrest, CompressedFilesAreDecodedOnceForAllWhoOpenThem) {
  WriteRepository(backup_, Repository(), {.compress_type = "lz4"});
  const std::string source = "pgbackrest:" + Repository() + "/main";
  const auto info = program_.Run({"info", source});
  EXPECT_THAT(info.standard_output, HasSubstr("is decoded when it is first read"));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(program_.Query(source, "select count(*) from t"), "5000");
  const auto cached = io::ListDirectory(program_.home() + "/cache/decoded");
  ASSERT_TRUE(cached.has_value()) << cached.error().message();
  EXPECT_FALSE(cached->empty());
  for (const auto& name : *cached) EXPECT_FALSE(name.ends_with(".part")) << name;
}

TEST_F(OpenPgbackrest, PrefetchDecodesWhatInfoHasTold) {
  WriteRepository(backup_, Repository(), {.compress_type = "gz"});
  const std::string source = "pgbackrest:" + Repository() + "/main";
  const auto first_read = [&] {
    return codec::ParseJson(program_.Run({"info", "--json", source}).standard_output)->at("first_read");
  };
  const auto before = first_read();
  EXPECT_GT(before.at("files").get<int>(), 0);
  EXPECT_EQ(before.at("files_decoded_already").get<int>(), 0);
  const auto run = program_.Run({"open", source, "--prefetch", "-q", "-c", "select count(*) from t"});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_EQ(run.standard_error, "") << "nobody sees a progress bar in a pipe";
  EXPECT_EQ(first_read().at("files_decoded_already"), before.at("files"));
  EXPECT_EQ(program_.Leftovers(), "");
}

}  // namespace
}  // namespace pgstrata::test
