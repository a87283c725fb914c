// The configuration that an opened server gets, for every version: what those that the tests start do not know.
#include "branch/branch/server_settings.h"

#include <gtest/gtest.h>

#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::branch {
namespace {

const ServerFiles kFiles = {"/session/pg_hba.conf", "/session/pg_ident.conf", "/session/server.pid"};

// "name=value ..." for those of `names` that are set.
std::string Planned(int major, std::optional<int> minor, const std::vector<std::string>& names,
                    const ClusterFacts& facts = {}, const SourceConfiguration& configuration = {}) {
  const instance::Installation installation{.bin_directory = "/nonexistent", .version = {major, minor}, .psql = ""};
  const auto plan = PlanServer(facts, {}, configuration, {}, installation, kFiles, Lifetime::kThrowaway);
  if (!plan) return plan.error().message();
  std::string text;
  for (const auto& name : names) {
    const std::string* value = plan->settings.Find(name);
    if (value == nullptr) continue;
    if (!text.empty()) text += ' ';
    text += name + '=' + *value;
  }
  return text;
}

TEST(Traps, Trap40SummariesAndIoWorkersAreOffWhereTheyExist) {
  const std::vector<std::string> names = {"summarize_wal", "io_method"};
  EXPECT_EQ(Planned(14, 0, names), "");
  EXPECT_EQ(Planned(16, 4, names), "");
  EXPECT_EQ(Planned(17, 0, names), "summarize_wal=off");
  EXPECT_EQ(Planned(18, 0, names), "summarize_wal=off io_method=sync");
  // Nor does the cluster's own configuration bring them back.
  EXPECT_EQ(Planned(18, 0, names, {}, {.settings = {{"summarize_wal", "on"}, {"io_method", "worker"}}}),
            "summarize_wal=off io_method=sync");
}

TEST(Traps, Trap20SlotsAreNotSynchronizedWhereThatExists) {
  EXPECT_EQ(Planned(16, 0, {"sync_replication_slots"}), "");
  EXPECT_EQ(Planned(17, 0, {"sync_replication_slots"}), "sync_replication_slots=off");
}

TEST(Traps, Trap24EventTriggersAreOffWhereLoginsFireThem) {
  EXPECT_EQ(Planned(16, 0, {"event_triggers"}), "");
  EXPECT_EQ(Planned(17, 0, {"event_triggers"}), "event_triggers=off");
}

// Only a library that is known to be missing is loaded all the same, for the server to say so.
TEST(Traps, Trap23LibrariesAreNotTakenForMissingWherePgConfigFails) {
  const test::ScratchDirectory bin;
  ASSERT_TRUE(io::WriteWholeFile(bin.path() + "/pg_config", "#!/bin/sh\nexit 1\n", 0755).has_value());
  const instance::Installation installation{.bin_directory = bin.path(), .version = {15, 0}, .psql = ""};
  const SourceConfiguration configuration{.settings = {{"shared_preload_libraries", "unheard_of"}}};
  const auto plan = PlanServer({}, {}, configuration, {}, installation, kFiles, Lifetime::kThrowaway);
  ASSERT_TRUE(plan.has_value()) << plan.error().message();
  EXPECT_EQ(*plan->settings.Find("shared_preload_libraries"), "");
  ASSERT_EQ(plan->warnings.size(), 1U);
  EXPECT_TRUE(plan->warnings[0].contains("unheard_of")) << plan->warnings[0];
}

TEST(Traps, Trap39WalHasRoomForTwoSegmentsOfAnySize) {
  ClusterFacts facts;
  for (const auto& [megabytes, planned] :
       {std::pair{1, "min_wal_size=2MB max_wal_size=1024MB"}, std::pair{16, "min_wal_size=32MB max_wal_size=1024MB"},
        std::pair{1024, "min_wal_size=2048MB max_wal_size=2048MB"}}) {
    facts.control.wal_segment_size = *pgdata::WalSegmentSize::FromBytes(static_cast<uint64_t>(megabytes) * 1024 * 1024);
    EXPECT_EQ(Planned(15, 0, {"min_wal_size", "max_wal_size"}, facts), planned);
  }
}

}  // namespace
}  // namespace pgstrata::branch
