#include "foundation/io/process.h"

#include <gtest/gtest.h>

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

TEST(Process, EndEscalatesToKill) {
  auto child = Process::Spawn({.argv = {"/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"}});
  ASSERT_TRUE(child.has_value());
  ASSERT_FALSE(child->Wait(std::chrono::milliseconds(100))->has_value());
  ASSERT_TRUE(child->End(SIGTERM, std::chrono::milliseconds(50)).has_value());
  EXPECT_EQ(child->Wait()->value().signal, SIGKILL);
}

}  // namespace
}  // namespace pgstrata::io
