// Kept branches on every kind of source: each lives the same life, and its source stays as it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/sqlite.h"
#include "tests/e2e/kept_branches.h"
#include "tests/pgbackrest/repository_writer.h"
#include "tests/probackup/catalog_builder.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kLabel = "20261120-210437F";
constexpr const char* kPassphrase = "open-sesame";
constexpr uint64_t kTime = 1'795'208'863;

// A base backup with its WAL, of 5,000 rows in 3 MB.
const std::string& BaseBackup() {
  static const std::string backup =
      BackupOfClusterWith("create table t as select i, repeat('x', 500) as filler from generate_series(1, 5000) as i");
  return backup;
}

std::string Content(const fs::path& path) {
  const auto content = io::ReadWholeFile(path.string());
  EXPECT_TRUE(content.has_value()) << path;
  return content.value_or("");
}

void GiveAll(const std::string& root) {
  GiveToPostgres(root);
  for (const auto& entry : fs::recursive_directory_iterator(root)) GiveToPostgres(entry.path().string());
}

// The backup as pgBackRest would store it: WAL only in the archive.
void WriteRepository(const std::string& root, const WriterOptions& options) {
  fs::create_directories(root);
  RepositoryWriter writer(root, options);
  for (const auto& entry : fs::recursive_directory_iterator(BaseBackup())) {
    const std::string path = fs::relative(entry.path(), BaseBackup()).string();
    if (entry.is_directory()) writer.AddDirectory(path, 0700);
    if (!entry.is_regular_file()) continue;
    if (path.starts_with("pg_wal/")) {
      writer.AddWal(path.substr(path.find('/') + 1), Content(entry.path()));
    } else {
      writer.AddFile(path, Content(entry.path()), 0600);
    }
  }
  writer.Finish();
  GiveAll(root);
}

bool IsRelation(const std::string& path) {
  return path.starts_with("base/") && ParseDecimal(fs::path(path).filename().string()).has_value();
}

BuiltFile Built(const fs::path& native, const std::string& path) {
  BuiltFile file{.path = path};
  const std::string content = Content(native);
  if (!IsRelation(path)) {
    file.content = content;
    return file;
  }
  file.has_pages = true;
  file.blocks = static_cast<uint32_t>(content.size() / 8192);
  for (uint32_t block = 0; block < *file.blocks; ++block) file.pages[block] = content.substr(block * 8192UL, 8192);
  return file;
}

// The backup as pg_probackup would store it: a full one, and a DELTA one in which nothing had changed; WAL in the
// archive. The directory of the newer one.
std::string WriteCatalog(const std::string& root) {
  fs::create_directories(root);
  CatalogBuilder builder(root, "main");
  BuiltBackup full{.start_time = kTime, .data_checksums = false, .stream = false};
  BuiltBackup delta{
      .start_time = kTime + 60, .mode = "DELTA", .parent = full.Id(), .data_checksums = false, .stream = false};
  for (const auto& entry : fs::recursive_directory_iterator(BaseBackup())) {
    const std::string path = fs::relative(entry.path(), BaseBackup()).string();
    if (path.starts_with("pg_wal/") && entry.is_regular_file()) {
      fs::copy(entry.path(), root + "/wal/main/" + path.substr(path.find('/') + 1));
      continue;
    }
    BuiltFile file = entry.is_directory() ? BuiltFile{.path = path, .mode = 040700} : Built(entry.path(), path);
    full.files.push_back(file);
    file.unchanged = file.has_pages;
    if (file.unchanged) file.pages.clear();
    delta.files.push_back(std::move(file));
  }
  builder.Add(full);
  const std::string directory = builder.Add(delta);
  GiveAll(root);
  return directory;
}

class BranchSources : public KeptBranches {
 protected:
  [[nodiscard]] std::string Path(const std::string& name) const { return program_.directory().Path(name); }

  [[nodiscard]] std::string TarBackup(const std::vector<std::string>& options) const {
    PostgresCluster cluster;
    cluster.Start();
    cluster.Psql("create table t as select i, repeat('x', 500) as filler from generate_series(1, 5000) as i");
    std::vector<std::string> arguments = {"-Ft", "-X", "fetch"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return cluster.BaseBackup(Path("tars"), arguments);
  }

  // Everything that a branch does, on a source that holds 5,000 rows; the source is `tree` and stays as it is.
  void ExpectALife(const std::string& source, const std::string& tree, const std::vector<std::string>& options = {}) {
    const std::string before = TreeState(tree);
    std::vector<std::string> create = {"create", "test", "--from", source, "--start"};
    create.insert(create.end(), options.begin(), options.end());
    Do(create);
    EXPECT_EQ(Sql("test", "select count(*), sum(i) from t"), "5000|12502500");
    Sql("test", "update t set filler = 'mine' where i <= 10; insert into t values (0, 'mine')");
    Do({"stop", "test"});
    EXPECT_EQ(TreeState(tree), before);
    Do({"start", "test"});
    EXPECT_EQ(Sql("test", "select count(*) from t where filler = 'mine'"), "11");
    Do({"restart", "test"});
    EXPECT_THAT(Do({"show", "test"}), HasSubstr("from        " + source));
    EXPECT_THAT(Do({"list"}), HasSubstr(source));
    Do({"stop", "test"});
    Do({"create", "child", "--from", "test", "--start"});
    EXPECT_EQ(Sql("child", "delete from t where filler = 'mine'; select count(*) from t"), "4990");
    Do({"compact", "child"});
    Do({"rename", "child", "other"});
    Do({"reset", "test", "--force"});
    Do({"start", "test"});
    EXPECT_EQ(Sql("test", "select count(*) from t where filler = 'mine'"), "0");
    EXPECT_EQ(Sql("test", "select count(*), sum(i) from t"), "5000|12502500");
    EXPECT_EQ(Sql("other", "select count(*) from t"), "4990");
    Do({"drop", "test", "--force"});
    Do({"drop", "other", "--force"});
    EXPECT_EQ(TreeState(tree), before);
    EXPECT_EQ(LeftBehind(), "");
  }
};

INSTANTIATE_TEST_SUITE_P(Branch, BranchSources, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithoutRoot" : "AsUs"; });

TEST_P(BranchSources, TarIsOne) {
  const std::string tars = TarBackup({});
  ExpectALife(tars, tars);
}

TEST_P(BranchSources, CompressedTarIsDecodedOnceForAllBranches) {
  const std::string tars = TarBackup({"-z"});
  ExpectALife("tar:" + tars, tars);
  EXPECT_EQ(io::ListDirectory(program_.home() + "/cache/decoded")->empty(), false);
}

TEST_P(BranchSources, ProbackupChainIsOne) {
  const std::string directory = WriteCatalog(Path("catalog"));
  ExpectALife("pg_probackup:" + Path("catalog") + "/main/" + fs::path(directory).filename().string(),
              directory + "/database");
}

// Takes long where the program is sanitized: what decrypts and decompresses is, too.
class PackedSources : public BranchSources {};
INSTANTIATE_TEST_SUITE_P(Branch, PackedSources, ::testing::Values(true),
                         [](const auto&) { return std::string("WithoutRoot"); });

TEST_P(PackedSources, EncryptedRepositoryIsOneAndItsPassphraseIsNotKept) {
  WriteRepository(Path("repo"), {.compress_type = "lz4", .passphrase = kPassphrase, .bundle = true, .block_units = 1});
  const std::string file = program_.directory().WriteFile("passphrase", std::string(kPassphrase) + '\n');
  Do({"create", "test", "--from", "pgbackrest:" + Path("repo") + "/main", "--cipher-pass-file", file, "--start"});
  Sql("test", "delete from t where i > 10");
  Do({"restart", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "10");
  Do({"stop", "test"});
  for (const auto& entry : fs::recursive_directory_iterator(program_.home())) {
    if (!entry.is_regular_file() || entry.path().string().contains("/cache/")) continue;
    EXPECT_THAT(Content(entry.path()), Not(HasSubstr(kPassphrase))) << entry.path();
  }
  ASSERT_TRUE(io::RemoveFile(file).has_value());
  EXPECT_NE(Branch({"start", "test"}).status.AsShell(), 0);
}

TEST_P(PackedSources, CompressedStreamsAreDecodedOnceForAllBranches) {
  WriteRepository(Path("repo"), {.compress_type = "gz"});
  ExpectALife(Path("repo") + "/backup/main/" + kLabel, Path("repo"));
  EXPECT_EQ(io::ListDirectory(program_.home() + "/cache/decoded")->empty(), false);
}

TEST_P(BranchSources, OpenKeepsThem) {
  WriteRepository(Path("repo"), {.bundle = true});
  const auto run =
      Pgstrata({"open", "pgbackrest:" + Path("repo") + "/main", "--keep", "test", "-c", "delete from t where i > 10"});
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_THAT(run.standard_error, HasSubstr("changes are kept in branch test"));
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "10");
}

TEST_P(BranchSources, ScriptRunsBeforeAnybodyOnACatalogToo) {
  const std::string directory = WriteCatalog(Path("catalog"));
  const std::string mask = program_.directory().WriteFile("mask.sql", "update t set filler = 'masked';\n");
  Do({"create", "test", "--from", directory, "--run", mask, "--start"});
  EXPECT_EQ(Sql("test", "select distinct filler from t"), "masked");
}

TEST_P(BranchSources, ReaderOfACatalogIsRegisteredForAsLongAsTheBranchRuns) {
  const std::string directory = WriteCatalog(Path("catalog"));
  const std::string readers = directory + "/backup_ro.pid";
  Do({"create", "test", "--from", directory, "--start"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "5000");
  EXPECT_THAT(Content(readers), HasSubstr(std::to_string(Worker("test")) + '\n'));
  Do({"stop", "test"});
  EXPECT_FALSE(io::Exists(readers));
}

TEST_P(BranchSources, MovedCatalogIsTakenFromWhereItLies) {
  const std::string directory = WriteCatalog(Path("catalog"));
  const std::string id = fs::path(directory).filename().string();
  Do({"create", "test", "--from", "pg_probackup:" + Path("catalog") + "/main/" + id, "--start"});
  Sql("test", "insert into t values (0, 'mine')");
  Do({"stop", "test"});
  CopyTree(Path("catalog"), Path("moved"));
  test::Run({"/bin/rm", "-r", Path("catalog")});
  EXPECT_THAT(Refused(66, {"start", "test"}), HasSubstr("branch relocate test"));
  const std::string full = BuiltBackup{.start_time = kTime}.Id();
  EXPECT_THAT(Refused(65, {"relocate", "test", "pg_probackup:" + Path("moved") + "/main/" + full}),
              HasSubstr("not the same backup"));
  Do({"relocate", "test", "pg_probackup:" + Path("moved") + "/main/" + id});
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "5001");
}

TEST_P(BranchSources, CatalogThatChangedIsRefusedByName) {
  const std::string directory = WriteCatalog(Path("catalog"));
  Do({"create", "test", "--from", directory, "--start"});
  Do({"stop", "test"});
  const std::string version = directory + "/database/PG_VERSION";
  ASSERT_TRUE(io::WriteWholeFile(version, Content(version)).has_value());
  const std::string said = Refused(65, {"start", "test"});
  EXPECT_THAT(said, HasSubstr("the source changed"));
  EXPECT_THAT(said, HasSubstr("database/PG_VERSION"));
}

TEST_P(BranchSources, BackupThatIsReplacedWhileItRunsIsAnErrorAndNoMixture) {
  const std::string directory = WriteCatalog(Path("catalog"));
  Do({"create", "test", "--from", directory, "--start"});
  const std::string control = directory + "/backup.control";
  const std::string text = Content(control);
  ASSERT_TRUE(io::WriteWholeFile(control, text + "merge-time = '2026-11-20 22:00:00+00'\n").has_value());
  const auto read = Branch({"psql", "test", "--", "-XAtq", "-c", "select count(*) from t"});
  EXPECT_NE(read.status.AsShell(), 0) << read.standard_output;
  EXPECT_THAT(read.standard_error, HasSubstr("could not read"));
  Do({"stop", "test"});
  EXPECT_THAT(Refused(65, {"start", "test"}), HasSubstr("the source changed"));
  ASSERT_TRUE(io::WriteWholeFile(control, text).has_value());
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "5000");
}

TEST_P(BranchSources, ExpiredBackupIsNamed) {
  WriteRepository(Path("repo"), {});
  Do({"create", "test", "--from", "pgbackrest:" + Path("repo") + "/main"});
  fs::remove_all(Path("repo") + "/backup/main/" + kLabel);
  EXPECT_THAT(Branch({"start", "test"}).standard_error, HasSubstr(kLabel));
}

TEST_P(BranchSources, NewBackupsInARepositoryAreNoChange) {
  WriteRepository(Path("repo"), {});
  Do({"create", "test", "--from", "pgbackrest:" + Path("repo") + "/main"});
  // As the next backup does it, with repo-hardlink.
  const std::string backups = Path("repo") + "/backup/main/";
  fs::create_directories(backups + "20261121-210437F/pg_data");
  fs::create_hard_link(backups + kLabel + "/pg_data/PG_VERSION", backups + "20261121-210437F/pg_data/PG_VERSION");
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "5000");
}

TEST_P(BranchSources, CatalogueOfAnOlderProgramIsBroughtUpToDate) {
  Do({"create", "test", "--from", BaseBackup()});
  {
    auto database = io::Database::Open(program_.home() + "/catalogue.sqlite");
    ASSERT_TRUE(database.has_value());
    ASSERT_TRUE(database
                    ->Execute("DROP TABLE source_paths; ALTER TABLE branches DROP COLUMN source_kind;"
                              "ALTER TABLE branches DROP COLUMN source_force;"
                              "ALTER TABLE branches DROP COLUMN passphrase_file; PRAGMA user_version = 1")
                    .has_value());
  }
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from t"), "5000");
  EXPECT_EQ(Shown("test", "source_kind"), "dir");
  EXPECT_EQ(Shown("test", "source"), BaseBackup());
}

TEST_P(BranchSources, OptionsOfBackupsAreRefusedForBranches) {
  Do({"create", "test", "--from", BaseBackup()});
  EXPECT_THAT(Refused(64, {"create", "more", "--from", "test", "--force"}), HasSubstr("--force"));
  EXPECT_THAT(Refused(64, {"create", "more", "--empty", "--chain", "/x"}), HasSubstr("--from"));
}

// Backups of PostgreSQL 17, with a server of 17.
class BranchChains : public BranchSources {
 protected:
  void SetUp() override {
    ASSERT_TRUE(io::Exists(kBin + "/postgres")) << "run ./dev setup: it fetches the servers of other versions";
    test::Run({"tar", "--zstd", "-xf", PGSTRATA_SOURCE_DIR "/tests/data/incremental/chain3.tar.zst", "-C",
               directory_.path(), "--no-same-owner"});
  }
  const std::string kBin = PGSTRATA_SERVERS_DIR "/17/bin";
  TemporaryDirectory directory_;
};

INSTANTIATE_TEST_SUITE_P(Branch, BranchChains, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithoutRoot" : "AsUs"; });

TEST_P(BranchChains, IncrementalChainIsOne) {
  const std::string chain = directory_.Path("chain3");
  const std::string before = TreeState(chain);
  Do({"create", "test", "--from", chain + "/incr2", "--chain", chain + "/full," + chain + "/incr1", "--pg-bin", kBin,
      "--start"});
  EXPECT_EQ(Sql("test", "select count(*) from toasty"), "40");
  Sql("test", "delete from toasty");
  Do({"stop", "test"});
  EXPECT_EQ(TreeState(chain), before);
  // The chain is what it was made with, whatever lies beside the newest backup by now.
  CopyTree(chain + "/full", chain + "/another");
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from toasty"), "0");
  EXPECT_THAT(Do({"show", "test"}), HasSubstr("stands on   " + chain + "/incr1"));
  Do({"reset", "test", "--force"});
  EXPECT_EQ(Sql("test", "select count(*) from toasty"), "40");
  Do({"stop", "test"});
  test::Run({"/bin/touch", chain + "/full/PG_VERSION"});
  EXPECT_THAT(Refused(65, {"start", "test"}), HasSubstr("\"0/PG_VERSION\""));
}

TEST_P(BranchChains, MovedChainIsTakenFromWhereItLies) {
  const std::string chain = directory_.Path("chain3");
  Do({"create", "test", "--from", chain + "/incr2", "--pg-bin", kBin, "--start"});
  Sql("test", "delete from toasty");
  Do({"stop", "test"});
  fs::rename(chain, directory_.Path("moved"));
  EXPECT_THAT(Refused(66, {"start", "test"}), HasSubstr("branch relocate test"));
  EXPECT_THAT(Refused(65, {"relocate", "test", directory_.Path("moved/incr1")}), HasSubstr("not the same backup"));
  Do({"relocate", "test", directory_.Path("moved/incr2")});
  Do({"start", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from toasty"), "0");
}

}  // namespace
}  // namespace pgstrata::test
