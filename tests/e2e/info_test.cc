// `pgstrata info --json` says what pg_controldata and the backup's own files say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>

#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using codec::Json;
using ::testing::HasSubstr;

using Fields = std::map<std::string, std::string>;

// "name: value" of each line.
Fields ParseFields(const std::string& text) {
  Fields fields;
  for (const std::string_view line : SplitLines(text)) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    fields[std::string(line.substr(0, colon))] = TrimWhitespace(line.substr(colon + 1));
  }
  return fields;
}

Fields ControlData(const std::string& directory) {
  return ParseFields(test::Run({"pg_controldata", directory}, {{"LC_ALL", "C"}}));
}

// "0/2000028 (file 000000010000000000000002)" without what follows the first word.
std::string FirstWord(const std::string& text) { return text.substr(0, text.find(' ')); }

// The worker of an `open` that runs.
pid_t WorkerOf(pid_t open) {
  const std::string task = "/proc/" + std::to_string(open) + "/task/" + std::to_string(open);
  const auto children = io::ReadWholeFile(task + "/children");
  for (const std::string_view child : Split(*children, ' ')) {
    const auto pid = ParseDecimal(child);
    if (!pid) continue;
    const auto name = io::ReadWholeFile("/proc/" + std::to_string(*pid) + "/comm");
    if (name && TrimWhitespace(*name) == "pgstrata-worker") return static_cast<pid_t>(*pid);
  }
  return 0;
}

class Info : public ::testing::Test {
 protected:
  Json Describe(const std::string& source, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"info", source, "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto run = program_.Run(arguments);
    EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
    const auto json = codec::ParseJson(run.standard_output);
    EXPECT_TRUE(json.has_value()) << run.standard_output;
    return json.value_or(Json::object());
  }
  // What `info` says without --json.
  std::string Text(const std::string& source) { return program_.Run({"info", source}).standard_output; }

  static void ExpectWhatTheControlFileSays(const Json& info, const Fields& control) {
    EXPECT_EQ(info["system_identifier"], control.at("Database system identifier"));
    EXPECT_EQ(std::to_string(info["timeline"].get<int>()), control.at("Latest checkpoint's TimeLineID"));
    EXPECT_EQ(info["state"], control.at("Database cluster state"));
    EXPECT_EQ(info["data_checksums"].get<bool>(), control.at("Data page checksum version") != "0");
  }

  // Files below, followed links and all: their number and bytes.
  static std::pair<uint64_t, uint64_t> Measure(const std::string& directory) {
    uint64_t files = 0;
    uint64_t bytes = 0;
    for (const auto& entry :
         fs::recursive_directory_iterator(directory, fs::directory_options::follow_directory_symlink)) {
      if (!entry.is_regular_file()) continue;
      ++files;
      bytes += entry.file_size();
    }
    return {files, bytes};
  }

  TemporaryDirectory directory_;
  PgstrataProgram program_;
};

TEST_F(Info, StoppedClusterIsWhatPgControldataSays) {
  for (const bool checksums : {true, false}) {
    PostgresCluster cluster(
        {.initdb = checksums ? std::vector<std::string>{"--data-checksums"} : std::vector<std::string>{}});
    cluster.Start();
    cluster.Psql("create table t as select i from generate_series(1, 1000) i");
    cluster.Stop();
    const Json info = Describe(cluster.data_directory());
    const Fields control = ControlData(cluster.data_directory());
    ExpectWhatTheControlFileSays(info, control);
    EXPECT_EQ(info["data_checksums"], checksums);
    EXPECT_EQ(info["kind"], "cleanly stopped data directory");
    EXPECT_EQ(std::to_string(info["version"].get<int>()),
              TrimWhitespace(*io::ReadWholeFile(cluster.data_directory() + "/PG_VERSION")));
    EXPECT_EQ(info["start_lsn"], control.at("Latest checkpoint's REDO location"));
    EXPECT_EQ(info["wal_segments"][0], control.at("Latest checkpoint's REDO WAL file"));
    EXPECT_TRUE(info["stop_lsn"].is_null());
    EXPECT_TRUE(info["label"].is_null());
    const auto [files, bytes] = Measure(cluster.data_directory());
    EXPECT_EQ(info["files"], files);
    EXPECT_EQ(info["bytes"], bytes);
    EXPECT_TRUE(info["missing_wal_segment"].is_null());
    EXPECT_TRUE(info["can_be_opened"].get<bool>());
    EXPECT_TRUE(info["obstacle"].is_null());
  }
}

TEST_F(Info, BaseBackupIsWhatItsLabelAndHistoryFileSay) {
  const std::string archive = directory_.MakeDirectory("archive");
  PostgresCluster cluster(
      {.configuration = {"wal_level = replica", "archive_mode = on", "archive_command = 'cp %p " + archive + "/%f'"}});
  cluster.Start();
  const std::string space = directory_.MakeDirectory("space");
  cluster.Psql("create tablespace space location '" + space + "'");
  cluster.Psql("create table t tablespace space as select i from generate_series(1, 10000) i");
  const std::string oid = cluster.Psql("select oid from pg_tablespace where spcname = 'space'");
  const std::string copy = directory_.Path("space_copy");
  // Without WAL: pg_basebackup waits until all of it is archived, the history file too.
  const std::string backup = cluster.BaseBackup("backup", {"-X", "none", "--label=monday's", "-T", space + '=' + copy});
  const Fields label = ParseFields(*io::ReadWholeFile(backup + "/backup_label"));
  const std::string& start = label.at("START WAL LOCATION");  // "0/2000028 (file 000000010000000000000002)"
  constexpr size_t kSegmentNameSize = 24;
  const std::string first = start.substr(start.find("file ") + 5, kSegmentNameSize);
  std::string history_name;
  const auto archived = io::ListDirectory(archive).value();
  for (const auto& name : archived) {
    if (name.ends_with(".backup")) history_name = name;
  }
  ASSERT_NE(history_name, "");
  const Fields history = ParseFields(*io::ReadWholeFile(archive + '/' + history_name));

  Json info = Describe(backup, {"--wal", archive});
  ExpectWhatTheControlFileSays(info, ControlData(backup));
  EXPECT_EQ(info["kind"], "online backup");
  EXPECT_EQ(info["label"], label.at("LABEL"));
  EXPECT_EQ(info["start_lsn"], FirstWord(label.at("START WAL LOCATION")));
  EXPECT_EQ(info["start_time"], label.at("START TIME"));
  EXPECT_EQ(std::to_string(info["timeline"].get<int>()), label.at("START TIMELINE"));
  EXPECT_EQ(info["stop_lsn"], FirstWord(history.at("STOP WAL LOCATION")));
  EXPECT_EQ(info["stop_time"], history.at("STOP TIME"));
  EXPECT_EQ(info["wal_segments"], Json::array({first}));
  EXPECT_TRUE(info["can_be_opened"].get<bool>()) << info["obstacle"];
  ASSERT_EQ(info["tablespaces"].size(), 1U);
  EXPECT_EQ(info["tablespaces"][0]["oid"], oid);
  EXPECT_EQ(info["tablespaces"][0]["bytes"], Measure(copy).second);
  EXPECT_EQ(info["bytes"], Measure(backup).second);

  // The history file alone says it too.
  ASSERT_TRUE(io::RemoveFile(backup + "/backup_manifest").has_value());
  info = Describe(backup, {"--wal", archive});
  EXPECT_EQ(info["stop_lsn"], FirstWord(history.at("STOP WAL LOCATION")));

  ASSERT_TRUE(io::RemoveFile(archive + '/' + first).has_value());
  info = Describe(backup, {"--wal", archive});
  EXPECT_EQ(info["missing_wal_segment"], first);
  EXPECT_FALSE(info["can_be_opened"].get<bool>());
  EXPECT_THAT(info["obstacle"].get<std::string>(), HasSubstr(first));
  EXPECT_THAT(info["hint"].get<std::string>(), HasSubstr("--wal"));
  EXPECT_THAT(Text(backup), HasSubstr("missing from " + first + " on"));

  fs::remove_all(copy);
  info = Describe(backup, {"--wal", archive});
  EXPECT_FALSE(info["can_be_opened"].get<bool>());
  EXPECT_THAT(info["obstacle"].get<std::string>(), HasSubstr("tablespace " + oid));
}

// A manifest that an earlier backup into the same directory left tells nothing of this one.
TEST_F(Info, ManifestOfAnEarlierBackupDoesNotHideThatWalIsMissing) {
  PostgresCluster cluster;
  cluster.Start();
  const std::string earlier = cluster.BaseBackup("earlier");
  cluster.Psql("select pg_switch_wal()");
  const std::string backup = cluster.BaseBackup("backup", {"-X", "none", "--no-manifest"});
  CopyTree(earlier + "/backup_manifest", backup + "/backup_manifest");
  const Json info = Describe(backup);
  EXPECT_FALSE(info["can_be_opened"].get<bool>());
  EXPECT_THAT(*io::ReadWholeFile(backup + "/backup_label"), HasSubstr(info["missing_wal_segment"].get<std::string>()));
  EXPECT_THAT(Text(backup), HasSubstr("missing from "));
}

TEST_F(Info, WhatARunningServerUsesIsDescribedAndCannotBeOpened) {
  PostgresCluster cluster;
  cluster.Start();
  const std::string space = directory_.MakeDirectory("space");
  cluster.Psql("create tablespace space location '" + space + "'");
  const std::string copy = directory_.Path("copy");
  CopyTree(cluster.data_directory(), copy);
  for (const auto& source : {cluster.data_directory(), copy}) {
    const Json info = Describe(source);
    EXPECT_FALSE(info["can_be_opened"].get<bool>());
    EXPECT_THAT(info["obstacle"].get<std::string>(), HasSubstr("a running server (process "));
    EXPECT_THAT(info["hint"].get<std::string>(), HasSubstr("pg_basebackup"));
  }
  EXPECT_THAT(Describe(copy)["obstacle"].get<std::string>(), HasSubstr(space));
}

// The search for servers that use the source's tablespaces meets the server of a branch, whose mount may be stuck.
TEST_F(Info, BranchWhoseMountAnswersNobodyHoldsNothingUp) {
  PostgresCluster cluster;
  cluster.Start();
  const std::string space = directory_.MakeDirectory("space");
  cluster.Psql("create tablespace space location '" + space + "'");
  const std::string backup = cluster.BaseBackup("backup", {"-T", space + '=' + directory_.Path("space_copy")});
  io::Process open = program_.StartWaiting(backup);
  const pid_t worker = WorkerOf(open.pid());
  ASSERT_GT(worker, 0);
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  io::Process info = program_.Start({"info", backup, "--json"});
  const auto ended = info.Wait(20s);
  ASSERT_EQ(::kill(worker, SIGCONT), 0);
  EXPECT_TRUE(ended.has_value() && ended->has_value()) << "info waits for the mount of a branch";
  EXPECT_THAT(io::ReadWholeFile(program_.directory().Path("out")).value(), HasSubstr("\"can_be_opened\": true"));
  ASSERT_TRUE(open.Signal(SIGTERM).has_value());
  ASSERT_TRUE(open.Wait().has_value());
  EXPECT_EQ(program_.Leftovers(), "");
}

}  // namespace
}  // namespace pgstrata::test
