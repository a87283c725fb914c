// Mounts whose process was killed: how they are found and taken away.
#include <csignal>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/e2e/mounts.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

// What doctor says of mnt(), one finding a line: verdict, subject and text.
class DeadMounts : public MountsAs {
 protected:
  [[nodiscard]] std::string Doctor(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"doctor", "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto found = codec::ParseJson(Run(arguments).standard_output);
    if (!found) return "no JSON";
    std::string text;
    for (const auto& finding : *found) {
      const std::string what = finding["text"];
      if (what.contains(mnt()))
        text +=
            finding["verdict"].get<std::string>() + ' ' + finding["subject"].get<std::string>() + ": " + what + '\n';
    }
    return text;
  }
  [[nodiscard]] std::string Named(const std::string& verdict_and_subject) const {
    return verdict_and_subject + ": " + mnt() + ": a mount without its process\n";
  }
  // Somebody whose working directory is the mount.
  [[nodiscard]] io::Process UseMount() const {
    auto user = RunInBackground({"/bin/sh", "-c", "cd '" + mnt() + "' && exec sleep 1000"}, Path("out"));
    EXPECT_TRUE(
        Eventually([&] { return io::ReadLink("/proc/" + std::to_string(user.pid()) + "/cwd").value_or("") == mnt(); }));
    return user;
  }
};
INSTANTIATE_TEST_SUITE_P(Users, DeadMounts, ::testing::Values(false, true), UserName);

TEST_P(DeadMounts, DoctorNamesThemAndRepairTakesThemAway) {
  Mount();
  Write("synced", "kept");
  test::Run({"/bin/sync", mnt() + "/synced", mnt()});
  KillWorker();
  EXPECT_EQ(Doctor(), Named("problem left behind"));
  EXPECT_EQ(Run({"doctor"}).status.AsShell(), 69);
  EXPECT_EQ(Doctor({"--repair"}), Named("note removed"));
  EXPECT_FALSE(IsMounted());
  EXPECT_FALSE(io::Exists(diff() + "/control"));
  EXPECT_EQ(Doctor(), "");
  EXPECT_THAT(Mount(), HasSubstr("changes go on"));
  EXPECT_EQ(Read("synced"), "kept");
  Unmount();
}

TEST_P(DeadMounts, OfAReadOnlyOneRepairRemovesTheDirectoryToo) {
  Done({"mount", Backup(), mnt(), "--read-only"});
  KillWorker();
  EXPECT_EQ(Doctor(), Named("problem left behind"));
  EXPECT_EQ(Doctor({"--repair"}), Named("note removed"));
  EXPECT_FALSE(IsMounted());
  EXPECT_TRUE(io::ListDirectory(program_.home() + "/mounts")->empty());
}

TEST_P(DeadMounts, RepairLeavesOneThatIsInUse) {
  Mount();
  auto user = UseMount();
  KillWorker();
  EXPECT_THAT(Doctor({"--repair"}), HasSubstr("problem not removed: " + mnt()));
  EXPECT_TRUE(IsMounted());
  EXPECT_TRUE(user.End(SIGKILL, 10s));
  EXPECT_TRUE(Eventually([&] { return Doctor({"--repair"}) == Named("note removed"); }));
  EXPECT_FALSE(IsMounted());
}

TEST_P(DeadMounts, DoctorTakesNoLivingOneForDead) {
  Mount();
  EXPECT_EQ(Doctor({"--repair"}), "");
  const pid_t worker = WorkerPid();
  ASSERT_EQ(::kill(worker, SIGSTOP), 0);
  EXPECT_EQ(Doctor({"--repair"}), "");
  ASSERT_EQ(::kill(worker, SIGCONT), 0);
  EXPECT_EQ(Read("PG_VERSION"), "15\n");
  Unmount();
}

TEST_P(DeadMounts, TheDiffDirectoryNamesAMountAliveOrDead) {
  Mount();
  EXPECT_EQ(Done({"unmount", diff()}), "");
  EXPECT_FALSE(IsMounted());
  EXPECT_THAT(Failure(66, {"unmount", diff()}), HasSubstr("not mounted"));

  Mount();
  auto user = UseMount();
  EXPECT_THAT(Failure(75, {"unmount", diff()}), AllOf(HasSubstr(std::to_string(user.pid())), HasSubstr("--force")));
  KillWorker();
  EXPECT_THAT(Failure(75, {"unmount", diff()}), AllOf(HasSubstr("had died"), HasSubstr("--force " + mnt())));
  EXPECT_TRUE(IsMounted());
  EXPECT_THAT(Done({"unmount", "--force", diff()}), HasSubstr("had died"));
  EXPECT_FALSE(IsMounted());
  EXPECT_FALSE(io::Exists(diff() + "/control"));
  EXPECT_TRUE(user.End(SIGKILL, 10s));

  EXPECT_THAT(Mount(), HasSubstr("changes go on"));
  KillWorker();
  EXPECT_THAT(Done({"unmount", diff()}), HasSubstr("had died"));
  EXPECT_FALSE(IsMounted());
}

}  // namespace
}  // namespace pgstrata::test
