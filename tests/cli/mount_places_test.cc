#include "app/cli/mount_places.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/cli/exit_status.h"
#include "tests/cli/run_program.h"

namespace pgstrata::cli {
namespace {

using ::testing::HasSubstr;

std::optional<branch::DiffRecord> MadeFor(const std::string& path) {
  branch::DiffRecord record;
  record.origin.path = path;
  record.origin.name = path;
  return record;
}
const std::string kBackup = "/cat/backups/main/SBOL94";

std::string SourceOf(const MountPlaces& places, const std::optional<branch::DiffRecord>& remembered = std::nullopt) {
  const auto resolved = ResolvePlaces(places, remembered);
  return resolved ? resolved->source : "error: " + resolved.error().message();
}

TEST(MountPlaces, FlagsMakeASourceAndAMountpoint) {
  const auto made =
      ResolvePlaces({.catalog = "/cat/", .instance = "main", .backup_id = "SBOL94", .mnt_path = "/mnt"}, std::nullopt);
  ASSERT_TRUE(made.has_value());
  EXPECT_EQ(made->source, "pg_probackup:/cat/main/SBOL94");
  EXPECT_EQ(made->mountpoint, "/mnt");
  EXPECT_EQ(SourceOf({.catalog = "/cat", .mnt_path = "/mnt"}), "pg_probackup:/cat");
}

TEST(MountPlaces, ADiffDirectorySaysWhatIsLeftOut) {
  EXPECT_EQ(SourceOf({.mnt_path = "/mnt"}, MadeFor(kBackup)), kBackup);
  EXPECT_EQ(SourceOf({.mnt_path = "/mnt"}, MadeFor("/backups/monday")), "/backups/monday");
  EXPECT_EQ(SourceOf({.catalog = "/cat", .mnt_path = "/mnt"}, MadeFor(kBackup)), "pg_probackup:/cat/main/SBOL94");
  EXPECT_EQ(SourceOf({.instance = "main", .backup_id = "SBOL94", .mnt_path = "/mnt"}, MadeFor(kBackup)), kBackup);
}

TEST(MountPlaces, WhatIsGivenAgainMustMatch) {
  EXPECT_THAT(SourceOf({.backup_id = "SBOL95", .mnt_path = "/mnt"}, MadeFor(kBackup)),
              HasSubstr("made for backup SBOL94 of instance main, not for backup SBOL95"));
  EXPECT_THAT(SourceOf({.instance = "other", .mnt_path = "/mnt"}, MadeFor(kBackup)),
              HasSubstr("not for instance other"));
  EXPECT_THAT(SourceOf({.catalog = "/cat", .mnt_path = "/mnt"}, MadeFor("/backups/monday")),
              HasSubstr("not in a pg_probackup catalog"));
}

TEST(MountPlaces, FlagsAndArgumentsAreNotMixed) {
  const std::vector<std::vector<std::string>> mixed = {
      {"mount", "/backup", "/mnt", "-d", "/diff", "-I", "main"},
      {"mount", "/backup", "-D", "/mnt", "-d", "/diff"},
      {"mount", "/backup", "/mnt", "--diff-dir", "/diff", "--pbk-store", "/cat"},
      {"unmount", "/mnt", "-D", "/mnt"},
      {"unmount", "/mnt", "--diff-dir", "/diff"},
      {"stat", "/mnt", "--mnt-path", "/mnt"},
      {"cleanup", "/diff", "-d", "/diff"},
  };
  for (const auto& arguments : mixed) {
    const auto run = RunCommand(arguments);
    EXPECT_EQ(run.status, kExitUsage) << arguments[0];
    EXPECT_THAT(run.err, HasSubstr("not both")) << arguments[0];
  }
}

TEST(MountPlaces, WhatIsMissingIsNamed) {
  const auto error_of = [](const std::vector<std::string>& arguments) {
    const auto run = RunCommand(arguments);
    EXPECT_EQ(run.status, kExitUsage);
    return run.err;
  };
  EXPECT_THAT(error_of({"mount", "-d", "/absent"}), HasSubstr("SOURCE and MNT"));
  EXPECT_THAT(error_of({"mount", "/backup", "-d", "/absent"}), HasSubstr("SOURCE and MNT"));
  EXPECT_THAT(error_of({"mount", "-B", "/cat", "-d", "/absent"}), HasSubstr("-D/--mnt-path"));
  EXPECT_THAT(error_of({"mount", "-B", "/cat", "-D", "/mnt"}), HasSubstr("--diff-dir"));
  EXPECT_THAT(error_of({"mount", "-D", "/mnt", "-d", "/absent"}), HasSubstr("-B/--pbk-store"));
  EXPECT_THAT(error_of({"mount", "-B", "/cat", "-i", "X", "-D", "/mnt", "-d", "/absent"}), HasSubstr("-I/--instance"));
  EXPECT_THAT(error_of({"mount", "-B", "/cat", "-I", "a/b", "-D", "/mnt", "-d", "/absent"}), HasSubstr("a/b"));
  EXPECT_THAT(error_of({"unmount"}), HasSubstr("is missing"));
  EXPECT_THAT(error_of({"stat"}), HasSubstr("is missing"));
  EXPECT_THAT(error_of({"cleanup", "--force"}), HasSubstr("is missing"));
}

TEST(MountPlaces, ValuesThatAreNoneAreRefused) {
  const std::vector<std::string> mount = {"mount", "-B", "/absent", "-D", "/mnt", "-d", "/absent"};
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{
           {"--log-format", "xml"}, {"--log-sink", "syslog"}, {"--timeout", "soon"}}) {
    auto arguments = mount;
    arguments.insert(arguments.end(), {option, value});
    const auto run = RunCommand(arguments);
    EXPECT_EQ(run.status, kExitUsage);
    EXPECT_THAT(run.err, HasSubstr(value));
  }
  EXPECT_EQ(RunCommand({"stat", "-D", "/mnt", "--format", "yaml"}).status, kExitUsage);
  EXPECT_EQ(RunCommand({"stat", "/mnt", "--format", "text", "--json"}).status, kExitUsage);
  EXPECT_EQ(RunCommand({"mount", "/b", "/m", "--read-only", "--no-wal"}).status, kExitUsage);
  EXPECT_EQ(RunCommand({"mount", "/b", "/m", "--read-only", "--perf-unsafe"}).status, kExitUsage);
}

TEST(MountPlaces, WaitIsAFlagAndMayHaveSecondsToo) {
  for (const std::vector<std::string>& wait : {std::vector<std::string>{"--wait"}, {"--wait", "5"}, {"--wait=5"}}) {
    std::vector<std::string> arguments = {"mount"};
    arguments.insert(arguments.end(), wait.begin(), wait.end());
    arguments.insert(arguments.end(), {"-B", "/absent", "-I", "main", "-i", "X", "-D", "/mnt", "-d", "/absent"});
    const auto run = RunCommand(arguments);
    EXPECT_EQ(run.status, kExitNoInput) << run.err;
  }
}

}  // namespace
}  // namespace pgstrata::cli
