// Branches that stand on many layers: merged on demand and in the background.
#include <csignal>
#include <optional>
#include <thread>
#include <utility>

#include "foundation/base/clock.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/kept_branches.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class DeepBranches : public KeptBranches {
 protected:
  // Branches b0 to b`last`, each made from the one before, with a layer of its own. In a long chain only every fifth
  // layer holds rows: a server has to be started for them.
  void MakeChain(int last) {
    constexpr int kEvery = 5;
    Do({"create", "b0", "--from", Source(), "--run", Script(0, std::nullopt)});
    int before = 0;
    for (int i = 1; i <= last && !HasFailure(); ++i) {
      std::vector<std::string> create = {"create", Name(i), "--from", Name(i - 1)};
      if (last <= kEvery || i == last || i % kEvery == kEvery - 1) {
        create.insert(create.end(), {"--run", Script(i, std::exchange(before, i))});
      }
      Do(create);
    }
  }
  static std::string Name(int i) { return "b" + std::to_string(i); }
  void Drop(int first, int last) {
    for (int i = first; i <= last; ++i) Do({"drop", Name(i), "--force"});
  }
  // What `name`, which runs, holds.
  std::string Sum(const std::string& name) const {
    return Sql(name,
               "select count(*) || ' ' || md5(string_agg(t::text, ',' order by i, text)) from t union all "
               "select relname || ' ' || pg_relation_size(oid) from pg_class where relname like 'of\\_%' order by 1");
  }
  std::string SumOfStopped(const std::string& name) const {
    Do({"start", name});
    std::string sum = Sum(name);
    Do({"stop", name});
    return sum;
  }
  [[nodiscard]] size_t LayersOnDisk() const { return io::ListDirectory(program_.home() + "/layers")->size(); }
  [[nodiscard]] uint64_t BytesOnDisk() const { return *io::AllocatedBytes(program_.home() + "/layers"); }
  std::string MergeLog(const std::string& name) const {
    return io::ReadWholeFile(Directory(name) + "/merge.log").value_or("");
  }

 private:
  // Rows that come, change and go, a table that stays, one that the next script drops, and one that is rewritten.
  std::string Script(int i, std::optional<int> before) {
    const std::string n = std::to_string(i);
    std::string sql = "insert into t select g, 'layer " + n + "' from generate_series(" + n + "001, " + n +
                      "300) g;\nupdate t set text = text || '" + n + "' where i % 7 = " + n +
                      " % 7;\ndelete from t where i % 50 = " + n + ";\ncreate table of_" + n +
                      " as select * from t;\nvacuum full t;\n";
    if (before) sql += "drop table of_" + std::to_string(*before) + ";\n";
    return program_.directory().WriteFile("script" + n + ".sql", sql);
  }
};

INSTANTIATE_TEST_SUITE_P(Users, DeepBranches, ::testing::Values(false),
                         [](const auto& info) { return info.param ? "WithoutRoot" : "AsUs"; });

TEST_P(DeepBranches, StandOnSixteenLayersWithRowsInEach) {
  constexpr int kDeep = 16;
  std::vector<std::string> create = {"create", "b0", "--from", Source(), "--run", ""};
  for (int i = 0; i < kDeep; ++i) {
    create.back() =
        program_.directory().WriteFile("rows.sql", "insert into t values (" + std::to_string(i) + ", 'deep')");
    Do(create);
    create[1] = Name(i + 1);
    create[3] = Name(i);
  }
  Do({"create", Name(kDeep), "--from", Name(kDeep - 1), "--start"});
  EXPECT_EQ(Shown(Name(kDeep), "layers"), "17");
  EXPECT_EQ(Sql(Name(kDeep), "select count(*) from t where text = 'deep'"), "16");
}

TEST_P(DeepBranches, AreCompactedWhileSiblingsStayAsTheyWere) {
  MakeChain(20);
  Drop(0, 8);
  Drop(10, 19);
  EXPECT_EQ(Shown("b20", "layers"), "22");
  const std::string sibling = SumOfStopped("b9");
  const std::string said = Branch({"compact", "b20"}).standard_error;
  EXPECT_THAT(said, HasSubstr("b20: 21 layers of "));
  EXPECT_THAT(said, HasSubstr("stay for other branches"));
  EXPECT_EQ(Shown("b20", "layers"), "2");
  EXPECT_EQ(LayersOnDisk(), 13U) << "eleven of b9's, two of b20's";
  EXPECT_EQ(LeftBehind(), "");
  Do({"start", "b20"});
  const std::string sum = Sum("b20");
  EXPECT_THAT(sum, HasSubstr("of_20 "));
  EXPECT_EQ(Sql("b20", "select count(*) from t where text like 'layer %'"),
            Sql("b20", "select count(*) from of_20 where text like 'layer %'"));
  Sql("b20", "update t set text = 'mine'");
  EXPECT_EQ(SumOfStopped("b9"), sibling);
  Do({"reset", "b20", "--force"});
  EXPECT_EQ(Sum("b20"), sum) << "a reset comes back to what was merged";
  Do({"drop", "b9", "--force"});
  EXPECT_EQ(Sum("b20"), sum) << "what was linked outlives the layer that it came from";
  EXPECT_EQ(LayersOnDisk(), 2U);
}

TEST_P(DeepBranches, GiveBackWhatNobodyElseNeeds) {
  MakeChain(8);
  Drop(0, 7);
  const std::string sum = SumOfStopped("b8");
  const uint64_t before = BytesOnDisk();
  Do({"compact", "b8"});
  EXPECT_LT(BytesOnDisk(), before / 2);
  EXPECT_EQ(SumOfStopped("b8"), sum);
  EXPECT_THAT(Branch({"compact", "b8"}).standard_error, HasSubstr("as few layers as it can"));
}

TEST_P(DeepBranches, RunOnUntilTheirNextStartBringsTheMergedLayers) {
  MakeChain(3);
  Do({"start", "b3"});
  const std::string sum = Sum("b3");
  EXPECT_THAT(Branch({"compact", "b3"}).standard_error, HasSubstr("from its next start on"));
  EXPECT_EQ(Shown("b3", "layers"), "5");
  EXPECT_EQ(LeftBehind(), "") << "what waits is no leftover";
  Do({"create", "sibling", "--from", "b2"});
  Sql("b3", "create table later as select 1 as a");
  Do({"restart", "b3"});
  EXPECT_EQ(Shown("b3", "layers"), "2");
  EXPECT_EQ(Sum("b3"), sum);
  EXPECT_EQ(Sql("b3", "select a from later"), "1");
  EXPECT_EQ(LeftBehind(), "");
  EXPECT_EQ(SumOfStopped("sibling"), SumOfStopped("b2"));
}

TEST_P(DeepBranches, AreMergedInTheBackgroundWhenTheyStart) {
  MakeChain(17);
  Do({"start", "b17"});
  const std::string sum = Sum("b17");
  for (const Stopwatch watch; watch.milliseconds() < 120'000 && !MergeLog("b17").contains("became");) {
    std::this_thread::sleep_for(50ms);
  }
  EXPECT_THAT(MergeLog("b17"), HasSubstr("b17: 8 layers of "));
  EXPECT_EQ(Shown("b17", "layers"), "19") << "it runs on what it was started on";
  Do({"restart", "b17"});
  EXPECT_EQ(Shown("b17", "layers"), "12");
  EXPECT_EQ(Sum("b17"), sum);
  EXPECT_EQ(LeftBehind(), "");
}

TEST_P(DeepBranches, AMergeThatIsKilledChangesNothing) {
  MakeChain(4);
  const std::string sum = SumOfStopped("b4");
  for (int round = 0; round < 12; ++round) {
    auto compaction = StartBranch({"compact", "b4"}, program_.directory().Path("out"));
    std::this_thread::sleep_for(round * 3ms);
    static_cast<void>(compaction.Signal(SIGKILL));
    ASSERT_TRUE(compaction.Wait().has_value());
    if (round % 3 == 0) {
      EXPECT_EQ(SumOfStopped("b4"), sum);
    }
  }
  static_cast<void>(program_.Run({"doctor", "--repair"}));
  EXPECT_EQ(LeftBehind(), "");
  Do({"compact", "b4"});
  EXPECT_EQ(Shown("b4", "layers"), "2");
  EXPECT_EQ(SumOfStopped("b4"), sum);
}

TEST_P(DeepBranches, AreDroppedResetAndStartedBesideTheirMerge) {
  MakeChain(4);
  const std::vector<std::vector<std::string>> wanted = {
      {"reset", "b4", "--force"}, {"start", "b4"}, {"compact", "b4"}, {"drop", "b4", "--force"}};
  for (const auto& other : wanted) {
    auto compaction = StartBranch({"compact", "b4"}, program_.directory().Path("out"));
    std::this_thread::sleep_for(5ms);
    const auto beside = Branch(other);
    ASSERT_TRUE(compaction.Wait().has_value());
    const bool was_in_the_way = beside.status.AsShell() == 75 && beside.standard_error.contains("is at work on branch");
    EXPECT_TRUE(beside.status.AsShell() == 0 || was_in_the_way) << other[0] << ": " << beside.standard_error;
    EXPECT_EQ(LeftBehind(), "") << other[0];
  }
}

}  // namespace
}  // namespace pgstrata::test
