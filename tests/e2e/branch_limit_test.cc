// --max-size: a branch that is full says so, keeps what was committed, starts again, and can be tidied up.
#include <csignal>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "tests/e2e/kept_branches.h"

namespace pgstrata::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class BranchLimit : public KeptBranches {
 protected:
  static constexpr uint64_t kMebibyte = 1 << 20;

  // Commits a mebibyte of table big at a time until that is refused, or `most`; how many were acknowledged.
  [[nodiscard]] int Fill(int most) const {
    Sql("test", "create table if not exists big (i int, filler text)");
    std::vector<std::string> all = {"psql", "test", "--", "-XAtq", "-v", "ON_ERROR_STOP=1"};
    for (int i = 0; i < most; ++i) {
      for (const char* sql : {"insert into big select i, repeat('x', 1000) from generate_series(1, 920) i",
                              "checkpoint", "select 'acknowledged'"}) {
        all.insert(all.end(), {"-c", sql});
      }
    }
    return static_cast<int>(SplitLines(Branch(all).standard_output).size());
  }

  [[nodiscard]] uint64_t Held() const { return ParseDecimal(Shown("test", "limited_bytes")).value_or(0); }

  // Space is given back when what it was is durably gone.
  [[nodiscard]] bool HoldsSoonLessThan(uint64_t bytes) const {
    return Eventually([&] { return Held() < bytes; });
  }

  void ExpectItCanBeTidiedUp(int acknowledged) const {
    EXPECT_GE(ParseDecimal(Sql("test", "select count(*) / 920 from big")).value_or(0),
              static_cast<uint64_t>(acknowledged));
    Sql("test", "delete from big where i > 10");
    Sql("test", "vacuum big");
    Sql("test", "checkpoint");
    EXPECT_EQ(Sql("test", "select count(*) > 0 from big"), "t");
    Sql("test", "drop table big");
    Sql("test", "checkpoint");
    EXPECT_TRUE(HoldsSoonLessThan(12 * kMebibyte)) << Held();
    EXPECT_EQ(Fill(8), 8) << "what was given back can be used";
    Do({"restart", "test"});
    EXPECT_EQ(Sql("test", "select count(*) / 920 from big"), "8");
    EXPECT_EQ(Sql("test", "select count(*) from t"), "1000");
  }
};

INSTANTIATE_TEST_SUITE_P(Branch, BranchLimit, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "WithoutRoot" : "AsUs"; });

TEST_P(BranchLimit, FullBranchStartsAgainAndCanBeTidiedUp) {
  Do({"create", "test", "--from", Source(), "--max-size", "32MB", "--start"});
  const int acknowledged = Fill(100);
  EXPECT_GT(acknowledged, 15);
  EXPECT_LT(acknowledged, 32);
  EXPECT_THAT(Do({"logs", "test"}), HasSubstr("No space left on device"));
  EXPECT_THAT(Do({"logs", "test", "--worker"}), HasSubstr("full by its own limit"));
  const auto started = Branch({"start", "test"});
  EXPECT_EQ(started.status.AsShell(), 0) << started.standard_error;
  ExpectItCanBeTidiedUp(acknowledged);
}

TEST_P(BranchLimit, FullBranchThatIsKilledStartsAgainAndCanBeTidiedUp) {
  Do({"create", "test", "--from", Source(), "--max-size", "32MB", "--start"});
  const int acknowledged = Fill(100);
  ASSERT_TRUE(KillAndWait(Worker("test")));
  const auto started = Branch({"start", "test"});
  EXPECT_EQ(started.status.AsShell(), 0) << started.standard_error;
  EXPECT_THAT(started.standard_error, HasSubstr("max-size"));
  ExpectItCanBeTidiedUp(acknowledged);
}

// More than the limit was committed and not yet written when it ended.
TEST_P(BranchLimit, WhatWasCommittedIsThereAlsoBeyondTheLimit) {
  Do({"create", "test", "--from", Source(), "--start"});
  Do({"set", "test", "checkpoint_timeout=1h", "shared_buffers=256MB"});
  Do({"restart", "test"});
  Sql("test", "create table big as select i, repeat('x', 1000) as filler from generate_series(1, 40000) i");
  ASSERT_TRUE(KillAndWait(Worker("test")));
  Do({"set", "test", "max-size=16MB"});
  const auto started = Branch({"start", "test"});
  EXPECT_EQ(started.status.AsShell(), 0) << started.standard_error;
  EXPECT_THAT(started.standard_error, HasSubstr("of at most 16 MB"));
  EXPECT_EQ(Sql("test", "select count(*) from big"), "40000");
  Sql("test", "delete from big where i % 2 = 0");
  Do({"restart", "test"});
  EXPECT_EQ(Sql("test", "select count(*) from big"), "20000");
}

TEST_P(BranchLimit, ItIsChangedAtOnce) {
  Do({"create", "test", "--from", Source(), "--max-size", "16MB"});
  EXPECT_EQ(Do({"set", "test"}), "max-size=16MB\n");
  Do({"set", "test", "max-size=20MB", "work_mem=7MB"});
  EXPECT_EQ(Do({"set", "test"}), "max-size=20MB\nwork_mem=7MB\n");
  Do({"start", "test"});
  EXPECT_EQ(Shown("test", "max_size"), std::to_string(20 * kMebibyte));
  const auto changed = Branch({"set", "test", "max-size=100MB"});
  EXPECT_EQ(changed.status.AsShell(), 0);
  EXPECT_THAT(changed.standard_error, Not(HasSubstr("restart"))) << "it is in force";
  EXPECT_EQ(Fill(40), 40);
  Do({"set", "test", "max-size=8MB"});
  EXPECT_THAT(Do({"show", "test"}), HasSubstr("of 8.0 MB"));
  EXPECT_LT(Fill(40), 40);
  Do({"set", "test", "max-size=none"});
  EXPECT_EQ(Shown("test", "max_size"), "");
  Do({"start", "test"});
  EXPECT_EQ(Fill(20), 20);
  Do({"set", "test", "max-size=300MB"});
  Do({"set", "test", "--unset", "max-size"});
  EXPECT_EQ(Shown("test", "max_size"), "");
  for (const char* size : {"max-size=", "max-size=0", "max-size=lots", "max-size=-5MB"}) {
    EXPECT_THAT(Refused(64, {"set", "test", size}), HasSubstr("10GB")) << size;
  }
}

TEST_P(BranchLimit, ItsUseIsListed) {
  Do({"create", "test", "--from", Source(), "--max-size", "100MB"});
  Do({"create", "free", "--from", Source()});
  EXPECT_THAT(Do({"list"}), HasSubstr("% of 100 MB"));
  EXPECT_THAT(Do({"list"}), HasSubstr("none"));
  EXPECT_THAT(Do({"show", "test"}), HasSubstr("of 100 MB"));
  EXPECT_GT(Held(), 0U);
  EXPECT_LT(Held(), kMebibyte);
}

}  // namespace
}  // namespace pgstrata::test
