#include "postgres/instance/installation.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::instance {
namespace {

using testing::HasSubstr;

// Directories with programs that say they are some version, and a search that sees nothing else.
class InstallationTest : public testing::Test {
 protected:
  InstallationTest() {
    search_.environment = {};
    search_.debian_root = directory_.Path("debian");
    search_.rpm_root = directory_.Path("pgsql-");
  }
  // `says` empty: a program that must not be run.
  std::string Install(const std::string& bin, const std::string& says, bool with_psql = true) {
    const std::string path = directory_.Path(bin);
    EXPECT_TRUE(io::MakeDirectories(path, 0755).has_value());
    const std::string script =
        says.empty() ? "#!/bin/sh\ntouch \"$0.was-run\"\n" : "#!/bin/sh\necho 'postgres (PostgreSQL) " + says + "'\n";
    EXPECT_TRUE(io::WriteWholeFile(path + "/postgres", script, 0755).has_value());
    if (with_psql) {
      EXPECT_TRUE(io::WriteWholeFile(path + "/psql", script, 0755).has_value());
    }
    return path;
  }

  test::TemporaryDirectory directory_;
  InstallationSearch search_;
};

TEST_F(InstallationTest, DistributionsPathTellsTheVersionWithoutRunningAnything) {
  const std::string bin = Install("debian/15/bin", "");
  const std::string rpm = Install("pgsql-17/bin", "");
  const auto found = FindInstallation(15, search_);
  ASSERT_TRUE(found.has_value()) << found.error().message();
  EXPECT_EQ(found->bin_directory, bin);
  EXPECT_EQ(found->version, (ServerVersion{15, std::nullopt}));
  EXPECT_EQ(found->psql, bin + "/psql");
  EXPECT_EQ(FindInstallation(17, search_)->bin_directory, rpm);
  EXPECT_FALSE(io::Exists(bin + "/postgres.was-run"));
}

TEST_F(InstallationTest, MinorVersionIsAskedFor14) {
  Install("debian/14/bin", "14.9 (Debian 14.9-1)");
  EXPECT_EQ(FindInstallation(14, search_)->version, (ServerVersion{14, 9}));
}

TEST_F(InstallationTest, PgBinComesBeforePathComesBeforeTheSystem) {
  const std::string system = Install("debian/16/bin", "16.1");
  const std::string in_path = Install("in-path", "16.2");
  const std::string pg_bin = Install("pg-bin", "16.3");
  EXPECT_EQ(FindInstallation(16, search_)->bin_directory, system);
  search_.environment["PATH"] = "relative:/no/such:" + in_path;
  EXPECT_EQ(FindInstallation(16, search_)->bin_directory, in_path);
  search_.environment["PG_BIN"] = pg_bin;
  EXPECT_EQ(FindInstallation(16, search_)->bin_directory, pg_bin);
  EXPECT_EQ(FindInstallation(16, search_)->version.ToString(), "16.3");
  search_.pg_bin = system;
  EXPECT_EQ(FindInstallation(16, search_)->bin_directory, system);
}

TEST_F(InstallationTest, PlacesWithAnotherVersionArePassedOver) {
  search_.environment["PG_BIN"] = Install("pg-bin", "13.1");
  search_.environment["PATH"] = Install("in-path", "no version at all");
  const std::string system = Install("debian/18/bin", "18.0");
  EXPECT_EQ(FindInstallation(18, search_)->bin_directory, system);
}

TEST_F(InstallationTest, ExplicitDirectoryOfAnotherVersionIsAnError) {
  search_.pg_bin = Install("own", "14.2");
  Install("debian/15/bin", "15.1");
  const auto found = FindInstallation(15, search_);
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(found.error().message(), HasSubstr("holds PostgreSQL 14.2, and PostgreSQL 15 is needed"));
  search_.pg_bin = directory_.path();
  EXPECT_THAT(FindInstallation(15, search_).error().message(), HasSubstr("there is no program \"postgres\""));
}

TEST_F(InstallationTest, MissingVersionNamesThePackageAndWhatWasFound) {
  const std::string other = Install("debian/15/bin", "15.1");
  const auto found = FindInstallation(16, search_);
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(found.error().message(), HasSubstr("PostgreSQL 16"));
  EXPECT_THAT(found.error().message(), HasSubstr("found 15 in \"" + other + '"'));
  EXPECT_THAT(found.error().hint(), HasSubstr("apt-get install postgresql-16"));
}

TEST_F(InstallationTest, LinksAreResolvedAndCountOnce) {
  const std::string real = Install("debian/15/bin", "15.3");
  ASSERT_TRUE(io::MakeDirectories(directory_.Path("links"), 0755).has_value());
  ASSERT_EQ(::symlink((real + "/postgres").c_str(), directory_.Path("links/postgres").c_str()), 0);
  search_.environment["PATH"] = directory_.Path("links");
  EXPECT_EQ(FindInstallation(15, search_)->bin_directory, real);
  EXPECT_EQ(ListInstallations(search_).size(), 1U);
}

TEST_F(InstallationTest, PsqlIsTakenFromElsewhereIfThereIsNoneBeside) {
  Install("debian/14/bin", "14.1");
  const std::string newest = Install("debian/16/bin", "16.1");
  Install("own", "17.1", /*with_psql=*/false);
  search_.pg_bin = directory_.Path("own");
  EXPECT_EQ(FindInstallation(17, search_)->psql, newest + "/psql");
}

TEST_F(InstallationTest, TheNewestPsqlIsTakenAlsoWhereItsServerIsMissing) {
  search_.pg_bin = Install("own", "14.1", /*with_psql=*/false);
  const auto install_client = [this](const std::string& bin) {
    const std::string path = directory_.Path(bin);
    EXPECT_TRUE(io::MakeDirectories(path, 0755).has_value());
    EXPECT_TRUE(io::WriteWholeFile(path + "/psql", "#!/bin/sh\n", 0755).has_value());
    return path + "/psql";
  };
  install_client("debian/common/bin");
  EXPECT_EQ(FindInstallation(14, search_)->psql, "");
  const std::string nine = install_client("debian/9/bin");
  EXPECT_EQ(FindInstallation(14, search_)->psql, nine);
  const std::string sixteen = install_client("debian/16/bin");
  EXPECT_EQ(FindInstallation(14, search_)->psql, sixteen);
  const std::string of_rpm = install_client("pgsql-17/bin");
  EXPECT_EQ(FindInstallation(14, search_)->psql, of_rpm);
}

TEST_F(InstallationTest, ListIsNewestFirstWithMinorVersions) {
  Install("debian/9/bin", "9.6.1");
  Install("debian/15/bin", "15.3");
  Install("pgsql-17/bin", "17.2");
  search_.environment["PG_BIN"] = Install("own", "15.4");
  std::vector<std::string> versions;
  for (const auto& each : ListInstallations(search_)) versions.push_back(each.version.ToString());
  EXPECT_EQ(versions, (std::vector<std::string>{"17.2", "15.4", "15.3", "9.6"}));
}

TEST(Installation, ThisMachinesPostgresIsFound) {
  const auto found = FindInstallation(15);
  ASSERT_TRUE(found.has_value()) << found.error().message() << found.error().hint();
  EXPECT_TRUE(io::Exists(found->Program("postgres")));
  EXPECT_TRUE(io::Exists(found->psql));
  EXPECT_FALSE(ListInstallations().empty());
}

TEST(ServerVersion, IsReadFromWhatPostgresPrints) {
  EXPECT_EQ(ParseVersionOutput("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), (ServerVersion{15, 20}));
  EXPECT_EQ(ParseVersionOutput("postgres (PostgreSQL) 18beta1\n"), (ServerVersion{18, 0}));
  EXPECT_EQ(ParseVersionOutput("postgres (PostgreSQL) 17.2\n"), (ServerVersion{17, 2}));
  EXPECT_EQ(ParseVersionOutput("postgres (PostgreSQL) x"), std::nullopt);
  EXPECT_EQ(ParseVersionOutput("postgres (PostgreSQL) 99999999999999999999"), std::nullopt);
  EXPECT_EQ(ParseVersionOutput(""), std::nullopt);
}

}  // namespace
}  // namespace pgstrata::instance
