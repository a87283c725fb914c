#include "foundation/io/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

namespace pgstrata::io {
namespace {

TEST(Process, CapturesOutputAndStatus) {
  const auto run = RunAndCapture({.argv = {"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}});
  ASSERT_TRUE(run.has_value()) << run.error().message();
  EXPECT_EQ(run->standard_output, "out\n");
  EXPECT_EQ(run->standard_error, "err\n");
  EXPECT_EQ(run->status.AsShell(), 3);
}

TEST(Process, EnvironmentIsExact) {
  const auto run = RunAndCapture({.argv = {"/usr/bin/env"}, .environment = Environment{{"ONLY", "this"}}});
  ASSERT_TRUE(run.has_value()) << run.error().message();
  EXPECT_EQ(run->standard_output, "ONLY=this\n");
}

TEST(Process, MissingProgramIsAnError) {
  const auto run = Process::Spawn({.argv = {"/no/such/program"}});
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code(), ErrorCode::kNotFound);
}

// Somebody runs us with a lock of his own open: what outlives us must not hold it.
TEST(Process, WhatWasPassedToUsIsKeptOnlyWhereItIsWanted) {
  const UniqueFd passed(::dup(STDIN_FILENO));
  const UniqueFd ours(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0));
  ASSERT_TRUE(passed.valid() && ours.valid());
  const auto has = [](int fd, std::optional<std::vector<int>> keep_open) {
    const std::string script = "test -e /proc/self/fd/" + std::to_string(fd);
    return RunAndCapture({.argv = {"/bin/sh", "-c", script}, .keep_open = std::move(keep_open)})->status.code == 0;
  };
  EXPECT_TRUE(has(passed.get(), std::nullopt));
  EXPECT_FALSE(has(ours.get(), std::nullopt));
  EXPECT_FALSE(has(passed.get(), std::vector<int>{}));
  EXPECT_TRUE(has(ours.get(), std::vector{ours.get()}));
}

TEST(Process, WithoutNetworkSeesLoopbackOnly) {
  ASSERT_TRUE(CanIsolateNetwork());
  const auto run = RunAndCapture({.argv = {"/bin/cat", "/proc/self/net/dev"}, .without_network = true});
  ASSERT_TRUE(run.has_value()) << run.error().message();
  EXPECT_EQ(run->status.AsShell(), 0) << run->standard_error;
  EXPECT_NE(run->standard_output.find("lo:"), std::string::npos);
  EXPECT_EQ(run->standard_output.find("eth"), std::string::npos) << run->standard_output;
  EXPECT_EQ(std::ranges::count(run->standard_output, '\n'), 3) << "two lines of heading and one interface";
}

TEST(Process, EndEscalatesToKill) {
  auto child = Process::Spawn({.argv = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"}});
  ASSERT_TRUE(child.has_value());
  ASSERT_FALSE(child->Wait(std::chrono::milliseconds(100))->has_value());
  ASSERT_TRUE(child->End(SIGTERM, std::chrono::milliseconds(50)).has_value());
  EXPECT_EQ(child->Wait()->value().signal, SIGKILL);
}

}  // namespace
}  // namespace pgstrata::io
