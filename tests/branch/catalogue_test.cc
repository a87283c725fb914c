#include "branch/branch/catalogue.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "foundation/io/directory.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::branch {
namespace {

BranchRecord Sample(const std::string& id, const std::string& name, std::vector<LayerRecord> layers) {
  BranchRecord record;
  record.id = id;
  record.name = name;
  record.state = BranchState::kStarting;
  record.created = 1'763'700'000;
  record.source = {.kind = "pgbackrest",
                   .path = "/repo/backup/main/20261120-210437F",
                   .chain = {"/b/full", "/b/incr1"},
                   .wal_directories = {"/wal"},
                   .force = true,
                   .passphrase_file = "/etc/secret"};
  record.source_typed = "./monday";
  record.kind = "online backup of 2026-11-20 21:05:39 UTC";
  record.major_version = 15;
  record.system_identifier = 0xFFFFFFFFFFFFFFFF;
  record.server_user = "postgres";
  record.max_size = 1ULL << 40;
  record.layers = std::move(layers);
  record.parameters = {{"work_mem", "64MB"}};
  return record;
}

class Catalogues : public testing::Test {
 protected:
  Catalogue Open() {
    auto catalogue = Catalogue::Open(home_.path());
    EXPECT_TRUE(catalogue.has_value()) << catalogue.error().message();
    return *std::move(catalogue);
  }
  test::ScratchDirectory home_;
};

TEST_F(Catalogues, BranchComesBackAsItWasPut) {
  const auto record = Sample("a", "test", {{"a-1", true, true}, {"a-2", false, false}});
  ASSERT_TRUE(Open().Change({record}).has_value());
  const auto found = Open().Find("test");
  ASSERT_TRUE(found.has_value()) << found.error().message();
  EXPECT_EQ(*found, record);
  EXPECT_EQ(Open().FindById("a")->value(), record);
  EXPECT_FALSE(Open().FindById("b")->has_value());
}

TEST_F(Catalogues, LookingMakesNoFiles) {
  EXPECT_FALSE(Catalogue::OpenIfThere(home_.path())->has_value());
  EXPECT_TRUE(io::ListDirectory(home_.path())->empty());
}

TEST_F(Catalogues, NameIsTakenOnce) {
  auto catalogue = Open();
  ASSERT_TRUE(catalogue.Change({Sample("a", "test", {})}).has_value());
  const auto second = catalogue.Change({Sample("b", "test", {})});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
  EXPECT_TRUE(second.error().message().contains("\"test\"")) << second.error().message();
}

TEST_F(Catalogues, ChangeIsWholeOrNotAtAll) {
  auto catalogue = Open();
  ASSERT_TRUE(catalogue.Change({Sample("a", "one", {})}).has_value());
  auto renamed = Sample("a", "two", {});
  EXPECT_FALSE(catalogue.Change({renamed, Sample("b", "two", {})}).has_value());
  EXPECT_TRUE(catalogue.Find("one").has_value());
  EXPECT_EQ(catalogue.Find("two").error().code(), ErrorCode::kNotFound);
}

TEST_F(Catalogues, LayerStaysUntilNobodyStandsOnIt) {
  auto catalogue = Open();
  const auto parent = Sample("a", "parent", {{"a-1", true, true}, {"a-2", false, false}});
  const auto child = Sample("b", "child", {{"a-1", true, true}, {"b-1", false, true}});
  ASSERT_TRUE(catalogue.Change({parent, child}).has_value());
  EXPECT_EQ(catalogue.LayerUses()->at("a-1"), 2);
  EXPECT_EQ(*catalogue.Change({}, {"a"}), std::vector<std::string>{"a-2"});
  EXPECT_EQ(*catalogue.Change({}, {"b"}), (std::vector<std::string>{"a-1", "b-1"}));
}

TEST_F(Catalogues, FrozenForOneIsFrozenForAll) {
  auto catalogue = Open();
  ASSERT_TRUE(catalogue.Change({Sample("a", "parent", {{"a-1", true, true}})}).has_value());
  ASSERT_TRUE(catalogue.Change({Sample("b", "child", {{"a-1", false, false}})}).has_value());
  EXPECT_EQ(catalogue.Find("child")->layers[0], (LayerRecord{"a-1", true, true}));
}

// As the first version wrote it.
constexpr const char* kFirstFormat = R"sql(
  CREATE TABLE branches (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, created INTEGER NOT NULL, source TEXT NOT NULL,
    source_typed TEXT NOT NULL, parent TEXT, kind TEXT NOT NULL, major_version INTEGER NOT NULL,
    system_identifier TEXT NOT NULL, server_user TEXT NOT NULL, pg_bin TEXT NOT NULL, database TEXT NOT NULL,
    role TEXT NOT NULL, login_database TEXT NOT NULL, login_role TEXT NOT NULL, login_superuser INTEGER NOT NULL,
    max_size INTEGER NOT NULL, ephemeral INTEGER NOT NULL, allow_network INTEGER NOT NULL, wal INTEGER NOT NULL,
    layers_at_creation INTEGER NOT NULL, logical_bytes INTEGER NOT NULL);
  CREATE TABLE layers (id TEXT PRIMARY KEY, frozen INTEGER NOT NULL, written INTEGER NOT NULL);
  CREATE TABLE stacks (
    branch TEXT NOT NULL REFERENCES branches ON DELETE CASCADE, position INTEGER NOT NULL,
    layer TEXT NOT NULL REFERENCES layers, PRIMARY KEY (branch, position));
  CREATE TABLE parameters (
    branch TEXT NOT NULL REFERENCES branches ON DELETE CASCADE, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (branch, name));
  INSERT INTO branches VALUES ('a', 'test', 'stopped', 1763700000, '/backups/monday', './monday', NULL,
    'online backup', 15, '7', 'postgres', '', '', '', '', '', 1, 0, 0, 0, 3, 0, 4096);
  INSERT INTO layers VALUES ('a-1', 0, 1);
  INSERT INTO stacks VALUES ('a', 0, 'a-1');
  INSERT INTO parameters VALUES ('a', 'work_mem', '64MB');
  PRAGMA user_version = 1)sql";

TEST_F(Catalogues, OlderFormatIsBroughtUpToDateWithAllThatItHolds) {
  const std::string path = home_.path() + "/catalogue.sqlite";
  {
    ASSERT_TRUE(io::Database::Open(path)->Execute(kFirstFormat).has_value());
  }
  const auto found = Open().Find("test");
  ASSERT_TRUE(found.has_value()) << found.error().message();
  EXPECT_EQ(found->source, (SourceReference{.kind = "dir", .path = "/backups/monday"}));
  EXPECT_EQ(found->source_typed, "./monday");
  EXPECT_EQ(found->wal, 3);
  EXPECT_EQ(found->logical_bytes, 4096U);
  EXPECT_EQ(found->layers, (std::vector<LayerRecord>{{"a-1", false, true}}));
  EXPECT_EQ(found->parameters.at("work_mem"), "64MB");
  auto database = io::Database::Open(path);
  EXPECT_EQ(io::IntegerOf((*database->Query("PRAGMA user_version"))[0][0]), 2);
}

TEST_F(Catalogues, NewerFormatIsRefusedAndStaysAsItIs) {
  {
    ASSERT_TRUE(Open().Change({Sample("a", "test", {})}).has_value());
  }
  const std::string path = home_.path() + "/catalogue.sqlite";
  {
    ASSERT_TRUE(io::Database::Open(path)->Execute("PRAGMA user_version = 3").has_value());
  }
  const auto catalogue = Catalogue::Open(home_.path());
  ASSERT_FALSE(catalogue.has_value());
  EXPECT_EQ(catalogue.error().code(), ErrorCode::kUnsupported);
  EXPECT_TRUE(catalogue.error().message().contains("version 3")) << catalogue.error().message();
  auto database = io::Database::Open(path);
  EXPECT_EQ(io::IntegerOf((*database->Query("PRAGMA user_version"))[0][0]), 3);
  EXPECT_EQ(io::IntegerOf((*database->Query("SELECT count(*) FROM branches"))[0][0]), 1);
}

TEST_F(Catalogues, ManyProcessesWriteAtOnceAndNothingIsLost) {
  constexpr int kProcesses = 6;
  constexpr int kEach = 4;
  for (int i = 0; i < kProcesses; ++i) {
    if (::fork() != 0) continue;
    bool ok = true;
    for (int round = 0; ok && round < kEach; ++round) {
      auto catalogue = Catalogue::Open(home_.path());
      const std::string id = std::to_string(i) + '.' + std::to_string(round);
      ok = catalogue && catalogue->Change({Sample(id, "name-" + id, {{id + "-1", false, false}})});
    }
    ::_exit(ok ? 0 : 1);
  }
  for (int i = 0; i < kProcesses; ++i) {
    int status = 0;
    ASSERT_GT(::wait(&status), 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(Open().List()->size(), static_cast<size_t>(kProcesses * kEach));
}

TEST(BranchNames, AreThoseOfTheGrammar) {
  for (const char* name : {"a", "orders-2", "v1.0_x", "7"}) EXPECT_TRUE(CheckBranchName(name).has_value()) << name;
  for (const char* name : {"", "-a", ".a", "a/b", "a b", "a@b", "latest", "a:b", "\xc3\xa4"}) {
    EXPECT_FALSE(CheckBranchName(name).has_value()) << name;
  }
  EXPECT_FALSE(CheckBranchName(std::string(64, 'a')).has_value());
}

}  // namespace
}  // namespace pgstrata::branch
