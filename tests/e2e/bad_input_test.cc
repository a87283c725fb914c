// Bad input: a clear message, a documented exit status, nothing left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <filesystem>
#include <fstream>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"
#include "tests/support/private_mounts.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class BadInput : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<PostgresCluster>();
    cluster_->Start();
    cluster_->Psql("create table t as select i from generate_series(1, 1000) i");
    backup_ = std::make_unique<std::string>(cluster_->BaseBackup("backup"));
  }
  static void TearDownTestSuite() {
    backup_.reset();
    cluster_.reset();
  }

  // A copy of the backup that a test may damage.
  [[nodiscard]] std::string Damaged(const std::string& name) const {
    const std::string copy = program_.directory().Path(name);
    CopyTree(*backup_, copy);
    return copy;
  }

  io::Captured ExpectFailure(const std::string& source, int status, const std::string& message,
                             const std::vector<std::string>& more = {}, const io::Environment& environment = {}) {
    std::vector<std::string> arguments = {"open", source, "-c", "select 1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = program_.Run(arguments, environment);
    EXPECT_EQ(run.status.AsShell(), status) << run.standard_error;
    EXPECT_THAT(run.standard_error, HasSubstr(message));
    EXPECT_EQ(run.standard_output, "");
    EXPECT_EQ(program_.Leftovers(), "");
    return run;
  }

  // A script in a mount namespace of its own: $0 is the program, $1 the backup.
  io::Captured TryRunAsRoot(const std::string& script) {
    EXPECT_TRUE(EnterPrivateMounts()) << "this test mounts: run as root";
    const auto run = io::RunAndCapture({.argv = {"unshare", "--mount", "--propagation", "unchanged", "/bin/sh", "-c",
                                                 script, PgstrataProgram::Path(), *backup_},
                                        .environment = program_.Environment()});
    return run.value();
  }

  static void Overwrite(const std::string& path, uint64_t offset, const std::string& bytes) {
    auto file = io::File::Open(path, O_WRONLY);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->WriteAt(offset, AsBytes(bytes)));
  }

  static inline std::unique_ptr<PostgresCluster> cluster_;
  static inline std::unique_ptr<std::string> backup_;
  PgstrataProgram program_;
};

TEST_F(BadInput, NoSuchPath) { ExpectFailure("/no/such/path", 66, "/no/such/path"); }

TEST_F(BadInput, NotABackup) {
  ExpectFailure(program_.directory().MakeDirectory("empty"), 65, "is not a PostgreSQL backup");
  ExpectFailure(program_.directory().WriteFile("file", "text"), 65, "file");
}

TEST_F(BadInput, WrongArguments) {
  EXPECT_EQ(program_.Run({"open"}).status.AsShell(), 64);
  EXPECT_EQ(program_.Run({"open", *backup_, "--no-such-flag"}).status.AsShell(), 64);
  EXPECT_EQ(program_.Run({"open", *backup_, "--exec"}).status.AsShell(), 64);
  EXPECT_EQ(program_.Run({"nonsense"}).status.AsShell(), 64);
}

TEST_F(BadInput, MissingTablespaceIsNamed) {
  const std::string copy = Damaged("tablespace");
  fs::create_symlink("/no/such/tablespace", copy + "/pg_tblspc/16999");
  ExpectFailure(copy, 66, "/no/such/tablespace");
  fs::remove(copy + "/pg_tblspc/16999");
  std::ofstream(copy + "/tablespace_map") << "16999 /srv/elsewhere\n";
  ExpectFailure(copy, 66, "16999");
}

TEST_F(BadInput, DamagedControlFile) {
  const std::string copy = Damaged("control");
  Overwrite(copy + "/global/pg_control", 40, std::string(8, '\x7f'));
  ExpectFailure(copy, 65, "pg_control");
}

TEST_F(BadInput, ControlFileOfAnotherByteOrder) {
  const std::string copy = Damaged("endian");
  Overwrite(copy + "/global/pg_control", 8, std::string("\x00\x00\x05\x14", 4));
  ExpectFailure(copy, 69, "byte order");
}

TEST_F(BadInput, VersionThatIsNotSupported) {
  const std::string copy = Damaged("version");
  std::ofstream(copy + "/PG_VERSION") << "11\n";
  ExpectFailure(copy, 69, "11");
}

TEST_F(BadInput, LabelOfALaterFormat) {
  const std::string copy = Damaged("label");
  std::ofstream(copy + "/backup_label", std::ios::app) << "SOMETHING NEW: 1\n";
  ExpectFailure(copy, 69, "SOMETHING NEW");
}

TEST_F(BadInput, MissingWalIsNamedAndWalOptionSuggested) {
  const std::string copy = Damaged("wal");
  std::string segment;
  for (const auto& entry : fs::directory_iterator(copy + "/pg_wal")) {
    if (entry.is_regular_file()) segment = entry.path().filename();
  }
  const std::string archive = program_.directory().MakeDirectory("archive");
  fs::rename(copy + "/pg_wal/" + segment, archive + '/' + segment);
  const auto run = ExpectFailure(copy, 78, segment);
  EXPECT_THAT(run.standard_error, HasSubstr("--wal"));
  EXPECT_EQ(program_.Query(copy, "select count(*) from t", {"--wal", archive}), "1000");
}

TEST_F(BadInput, WalThatEndsTooEarlyIsNamed) {
  const std::string copy = Damaged("short-wal");
  std::ofstream(copy + "/backup_manifest") << "";
  for (const auto& entry : fs::directory_iterator(copy + "/pg_wal")) {
    if (entry.is_regular_file()) Overwrite(entry.path(), 8192, std::string(1 << 20, '\0'));
  }
  // What begins the backup is still there, what ends it is zeros.
  const auto run = program_.Run({"open", copy, "-c", "select 1"});
  EXPECT_TRUE(run.status.AsShell() == 78 || run.status.AsShell() == 0) << run.standard_error;
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(BadInput, RunningServersDirectoryIsRefused) {
  const auto run = ExpectFailure(cluster_->data_directory(), 75, "running server");
  EXPECT_THAT(run.standard_error, HasSubstr("pg_basebackup"));
}

TEST_F(BadInput, NoServerOfThatVersion) {
  const auto run = ExpectFailure(*backup_, 65, "--pg-bin", {"--pg-bin", program_.directory().MakeDirectory("bin")});
}

TEST_F(BadInput, ServerThatFailsToStartShowsItsLog) {
  const std::string copy = Damaged("relation-map");
  fs::remove(copy + "/global/pg_filenode.map");
  const auto run = program_.Run({"open", copy, "-c", "select 1"});
  EXPECT_NE(run.status.AsShell(), 0);
  EXPECT_THAT(run.standard_error, HasSubstr("pg_filenode.map"));
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(BadInput, FullDiskIsSaidAndNothingStays) {
  const std::string small = program_.directory().MakeDirectory("small");
  ASSERT_EQ(::mount("tmpfs", small.c_str(), "tmpfs", 0, "size=1m,mode=755"), 0)
      << "this test mounts a tmpfs: run as root";
  const auto run = program_.Run(
      {"open", *backup_, "-c", "create table big as select repeat('x', 1000) from generate_series(1, 100000)"},
      {{"PGSTRATA_HOME", small}});
  EXPECT_NE(run.status.AsShell(), 0);
  EXPECT_THAT(run.standard_error, HasSubstr("No space left"));
  EXPECT_FALSE(io::Exists(small + "/run"));
  ASSERT_EQ(::umount(small.c_str()), 0);
}

TEST_F(BadInput, MissingFuseDeviceIsSaid) {
  const auto run =
      TryRunAsRoot("mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; exec \"$0\" open \"$1\" -c 'select 1'");
  EXPECT_EQ(run.status.AsShell(), 69) << run.standard_error;
  EXPECT_THAT(run.standard_error, HasSubstr("/dev/fuse"));
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(BadInput, SourceThatDisappearsIsAnErrorNotZeros) {
  const std::string copy = Damaged("gone");
  const std::string moved = program_.directory().Path("moved");
  const auto run = program_.Run({"open", copy, "--exec", "--", "/bin/sh", "-c",
                                 "mv '" + copy + "' '" + moved + "'; psql -XAtc 'select sum(i) from t'"});
  EXPECT_NE(run.standard_output, "0\n");
  EXPECT_NE(run.status.AsShell(), 0);
  EXPECT_EQ(program_.Leftovers(), "");
}

TEST_F(BadInput, SourceThatChangesIsAnErrorNotAMixture) {
  const std::string copy = Damaged("changed");
  const auto path = program_.Query(copy, "select pg_relation_filepath('t')");
  const auto run = program_.Run({"open", copy, "--exec", "--", "/bin/sh", "-c",
                                 "psql -XAtc \"select pg_stat_file('" + path + "')\" > /dev/null; echo changed >> '" +
                                     copy + '/' + path + "'; psql -XAtc 'select sum(i) from t'"});
  EXPECT_NE(run.status.AsShell(), 0);
  EXPECT_THAT(run.standard_error, HasSubstr("could not read"));
  EXPECT_EQ(program_.Leftovers(), "");
}

}  // namespace
}  // namespace pgstrata::test
