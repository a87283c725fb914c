// What users of pbkfs type, on a pg_probackup catalog made here of a real base backup: two backups, of which the newer
// one has everything but the relations.
#include <filesystem>
#include <regex>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/mounts.h"
#include "tests/probackup/catalog_builder.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kTime = 1'795'208'863;
constexpr size_t kPage = 8192;

// A main fork; the others are whole files in a catalog.
bool HasPages(const std::string& path) {
  static const std::regex kMainFork(R"((global|base/\d+)/\d+(\.\d+)?)");
  return std::regex_match(path, kMainFork);
}

BuiltFile FileOf(const fs::directory_entry& entry, const std::string& path) {
  BuiltFile file{.path = path};
  if (entry.is_directory()) {
    file.mode = 040700;
    return file;
  }
  const std::string content = io::ReadWholeFile(entry.path().string()).value();
  if (!HasPages(path)) {
    file.content = content;
    return file;
  }
  file.has_pages = true;
  file.blocks = content.size() / kPage;
  for (uint32_t block = 0; block < *file.blocks; ++block) file.pages[block] = content.substr(block * kPage, kPage);
  return file;
}

class Pbkfs : public MountsAs {
 protected:
  void SetUp() override {
    BuiltBackup full{.start_time = kTime, .data_checksums = false};
    for (const auto& entry : fs::recursive_directory_iterator(Backup())) {
      full.files.push_back(FileOf(entry, fs::relative(entry.path(), Backup()).string()));
    }
    BuiltBackup delta = full;
    delta.start_time = kTime + 10;
    delta.mode = "DELTA";
    delta.parent = full.Id();
    for (auto& file : delta.files) {
      if (!file.has_pages || file.pages.empty()) continue;
      file.unchanged = true;
      file.pages.clear();
    }
    const std::string root = program_.directory().MakeDirectory("catalog");
    CatalogBuilder catalog(root, "main");
    directories_ = {catalog.Add(full), catalog.Add(delta)};
    delta_ = delta;
    id_ = delta.Id();
    GiveToPostgres(root);
    for (const auto& entry : fs::recursive_directory_iterator(root)) GiveToPostgres(entry.path().string());
    fs::create_symlink(PgstrataProgram::Path(), Path("pbkfs"));
  }

  // As a shell runs the link named pbkfs.
  [[nodiscard]] io::Captured Link(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), Path("pbkfs"));
    if (as_user_) return TryRun(arguments, {{"PGSTRATA_HOME", program_.home()}});
    return *io::RunAndCapture({.argv = arguments, .environment = program_.Environment()});
  }
  std::string Linked(int status, const std::vector<std::string>& arguments) const {
    const auto run = Link(arguments);
    EXPECT_EQ(run.status.AsShell(), status) << arguments[0] << ": " << run.standard_output << run.standard_error;
    return run.standard_output + run.standard_error;
  }
  // A first mount, as pbkfs wants it, with `more` added.
  std::string MountFirst(const std::vector<std::string>& more = {}, int status = 0) const {
    std::vector<std::string> arguments = {"mount", "-B", Path("catalog"), "-I", "main", "-i",
                                          id_,     "-D", mnt(),           "-d", diff()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Linked(status, arguments);
  }
  std::string MountAgain(const std::vector<std::string>& more = {}, int status = 0) const {
    std::vector<std::string> arguments = {"mount", "-D", mnt(), "-d", diff()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Linked(status, arguments);
  }
  // The lines of backup_ro.pid of both backups: none where it is not there.
  [[nodiscard]] std::string Readers() const {
    std::string readers;
    for (const auto& directory : directories_) {
      EXPECT_FALSE(io::Exists(directory + "/backup.pid"));
      readers += io::ReadWholeFile(directory + "/backup_ro.pid").value_or("none\n");
    }
    return readers;
  }
  static constexpr const char* kNobody = "none\nnone\n";

  std::vector<std::string> directories_;
  BuiltBackup delta_;
  std::string id_;
};
INSTANTIATE_TEST_SUITE_P(Users, Pbkfs, ::testing::Values(false, true), UserName);

TEST_P(Pbkfs, ItsCommandLinesMountADatabaseWhoseChangesStay) {
  MountFirst({"--wait"});
  {
    HandStartedServer server(mnt(), "s1", program_.directory());
    EXPECT_EQ(server.Sql("select count(*), sum(i) from t"), "1000|500500");
    server.Sql("delete from t where i > 10");
    const auto json = codec::ParseJson(Linked(0, {"stat", "-D", mnt(), "--format", "json", "--counters-reset"}));
    ASSERT_TRUE(json.has_value());
    EXPECT_GT((*json)["requests"]["read"]["count"], 0);
    EXPECT_THAT(Linked(75, {"unmount", "--mnt-path", mnt()}), HasSubstr("postgres"));
    server.Stop();
  }
  Linked(0, {"unmount", "-D", mnt(), "-d", diff()});
  EXPECT_FALSE(IsMounted());
  // The diff directory says the rest.
  Linked(0,
         {"mount", "--pbk-store", Path("catalog") + "/", "--mnt-path", mnt(), "--diff-dir", diff(), "--timeout", "60"});
  {
    HandStartedServer server(mnt(), "s2", program_.directory());
    EXPECT_EQ(server.Sql("select count(*) from t"), "10");
    server.Stop();
  }
  Linked(0, {"unmount", "-D", mnt()});
  EXPECT_THAT(MountAgain(), HasSubstr("changes go on in"));
  Unmount();
  Linked(0, {"cleanup", "-d", diff()});
  EXPECT_FALSE(io::Exists(diff()));
}

TEST_P(Pbkfs, ADiffDirectoryIsOfOneBackup) {
  MountFirst();
  Linked(0, {"unmount", "-D", mnt()});
  EXPECT_THAT(MountAgain({"-i", delta_.parent}, 65), AllOf(HasSubstr("backup " + id_), HasSubstr(delta_.parent)));
  EXPECT_THAT(MountAgain({"-B", Path("catalog"), "-I", "other"}, 65), HasSubstr("instance other"));
  EXPECT_THAT(Linked(65, {"mount", "pg_probackup:" + Path("catalog") + "/main/" + delta_.parent, mnt(), "-d", diff()}),
              HasSubstr("another source"));
  EXPECT_FALSE(IsMounted());
  MountAgain({"-I", "main", "-i", id_});
  Unmount();
}

TEST_P(Pbkfs, EachBackupOfTheChainIsRegisteredAsBeingReadWhileItIs) {
  MountFirst();
  const std::string worker = std::to_string(WorkerPid()) + '\n';
  EXPECT_EQ(Readers(), worker + worker);
  Unmount();
  EXPECT_EQ(Readers(), kNobody);
  Linked(0, {"mount", "-B", Path("catalog"), "-I", "main", "-i", id_, "-D", mnt(), "--read-only"});
  EXPECT_THAT(Readers(), Not(HasSubstr("none")));
  Unmount();
  EXPECT_EQ(Readers(), kNobody);
  const auto opened = Link({"open", directories_[1], "-q", "-c", "select 1"});
  EXPECT_EQ(opened.status.AsShell(), 0) << opened.standard_error;
  EXPECT_EQ(Readers(), kNobody);
  MountAgain();
  KillWorker();
  EXPECT_THAT(Readers(), Not(HasSubstr("none")));
  Linked(0, {"unmount", "-D", mnt(), "--force"});
  MountAgain();
  const std::string next = std::to_string(WorkerPid()) + '\n';
  EXPECT_EQ(Readers(), next + next);
  Unmount();
  EXPECT_EQ(Readers(), kNobody);
}

TEST_P(Pbkfs, AnUnsafeMountMarksItsDiffDirectoryUntilItEndedInOrder) {
  MountFirst({"--perf-unsafe"});
  EXPECT_TRUE(io::Exists(diff() + "/dirty"));
  {
    HandStartedServer server(mnt(), "s1", program_.directory());
    server.Sql("create table u as select 1 as one; checkpoint");
    server.Stop();
  }
  Unmount();
  EXPECT_FALSE(io::Exists(diff() + "/dirty"));
  MountAgain({"--perf-unsafe"});
  {
    HandStartedServer server(mnt(), "s2", program_.directory());
    EXPECT_EQ(server.Sql("select one from u"), "1");
    server.Stop();
  }
  KillWorker();
  Linked(0, {"unmount", "-D", mnt(), "--force"});
  EXPECT_TRUE(io::Exists(diff() + "/dirty"));
  EXPECT_THAT(MountAgain({}, 65), AllOf(HasSubstr("--perf-unsafe"), HasSubstr("--force")));
  MountAgain({"--force"});
  EXPECT_FALSE(io::Exists(diff() + "/dirty"));
  Unmount();
  MountAgain();
}

TEST_P(Pbkfs, WithoutWalAServerWorksAndNothingOfItsWalStays) {
  MountFirst({"--no-wal"});
  {
    HandStartedServer server(mnt(), "s1", program_.directory());
    server.Sql("create table u as select i from generate_series(1, 1000) i");
    // Old segments are renamed to be used again, and read by those who start after a crash.
    for (int i = 0; i < 4; ++i) server.Sql("insert into u values (0); select pg_switch_wal(); checkpoint");
    server.Kill();
    HandStartedServer recovered(mnt(), "s2", program_.directory());
    EXPECT_EQ(recovered.Sql("select count(*) from u"), "1004");
    EXPECT_THAT(test::Run({"/bin/ls", "-A", mnt()}), HasSubstr("pg_wal\n"));
    recovered.Stop();
  }
  const uint64_t layer = Stat(mnt())["layers"][0]["bytes"];
  EXPECT_LT(layer, 16 << 20) << "WAL is in the layer";
  Unmount();
  EXPECT_FALSE(io::Exists(diff() + "/wal.tmp"));
  EXPECT_THAT(MountAgain({}, 65), AllOf(HasSubstr("--no-wal"), HasSubstr("cannot be mounted again")));
  EXPECT_THAT(MountAgain({"--force"}, 65), HasSubstr("--no-wal"));
  Linked(0, {"cleanup", "-d", diff()});
}

TEST_P(Pbkfs, AMountShowsItsProcessWhereLsDoesNotLook) {
  MountFirst();
  EXPECT_THAT(test::Run({"/bin/ls", "-A", mnt()}), AllOf(HasSubstr("PG_VERSION"), Not(HasSubstr(".pgstrata"))));
  EXPECT_EQ(Read(".pgstrata/worker.pid"), std::to_string(WorkerPid()) + '\n');
  EXPECT_THAT(Read(".pgstrata/stat"), AllOf(HasSubstr("mounted   " + mnt()), HasSubstr(directories_[1])));
  EXPECT_THAT(Read(".pgstrata/worker.log"), HasSubstr("is mounted at"));
  EXPECT_NE(TryRun({"/bin/rm", mnt() + "/.pgstrata/stat"}).status.AsShell(), 0);
  Unmount();
}

TEST_P(Pbkfs, CleanupLeavesAnActiveDiffDirectoryUnlessForced) {
  MountFirst();
  EXPECT_THAT(Linked(75, {"cleanup", "-d", diff()}), HasSubstr("mounted at"));
  EXPECT_TRUE(IsMounted());
  Linked(0, {"cleanup", "--diff-dir", diff(), "--force"});
  EXPECT_FALSE(IsMounted());
  EXPECT_FALSE(io::Exists(diff()));
  MountFirst();
  KillWorker();
  EXPECT_THAT(Linked(75, {"cleanup", "-d", diff()}), HasSubstr("has died"));
  Linked(0, {"cleanup", "-d", diff(), "--force"});
  EXPECT_FALSE(io::Exists(diff()));
}

TEST_P(Pbkfs, ACorruptChainWantsForce) {
  const std::string control = directories_[0] + "/backup.control";
  std::string text = io::ReadWholeFile(control).value();
  text.replace(text.find("status = OK"), 11, "status = CORRUPT");
  ASSERT_TRUE(io::WriteWholeFile(control, text).has_value());
  EXPECT_THAT(MountFirst({}, 65), HasSubstr("--force"));
  EXPECT_FALSE(io::Exists(diff()));
  MountFirst({"--force"});
  Unmount();
}

TEST_P(Pbkfs, TheLogGoesWhereAndLooksAsItIsWanted) {
  MountFirst({"--log-file", Path("own.log"), "--log-format", "json", "--debug"});
  Linked(0, {"unmount", "-D", mnt()});
  const std::string log = io::ReadWholeFile(Path("own.log")).value_or("");
  EXPECT_THAT(log, AllOf(HasSubstr(R"("level":"debug")"), HasSubstr("is unmounted")));
  EXPECT_THAT(MountAgain({"--log-file", mnt() + "/own.log"}, 65), HasSubstr("would lie in the mount"));
  EXPECT_THAT(MountAgain({"--log-sink", "journald", "--log-file", Path("own.log")}, 64), HasSubstr("not both"));
  if (io::Exists("/run/systemd/journal/socket")) {
    MountAgain({"--log-sink", "journald"});
    Unmount();
  } else {
    EXPECT_THAT(MountAgain({"--log-sink", "journald"}, 69), AllOf(HasSubstr("journal"), HasSubstr("--log-sink file")));
    EXPECT_FALSE(IsMounted());
  }
  MountAgain();
  Unmount();
}

}  // namespace
}  // namespace pgstrata::test
