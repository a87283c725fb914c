#include "foundation/io/process.h"

#include <gtest/gtest.h>

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
