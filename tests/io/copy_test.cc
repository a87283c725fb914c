// Bytes and names of files that are shared or copied.
#include <gtest/gtest.h>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::io {
namespace {

TEST(CopyTest, RangesComeToTheSamePlaceAndTheRestStaysAHole) {
  const test::ScratchDirectory scratch;
  ASSERT_TRUE(WriteWholeFile(scratch.path() + "/from", std::string(3 << 20, 'x')).has_value());
  const auto from = File::Open(scratch.path() + "/from", O_RDONLY);
  auto to = File::Open(scratch.path() + "/to", O_RDWR | O_CREAT);
  ASSERT_TRUE(to->CopyFrom(*from, 1 << 20, 8192).has_value());
  const std::string copied = ReadWholeFile(scratch.path() + "/to").value();
  EXPECT_EQ(copied, std::string(1 << 20, '\0') + std::string(8192, 'x'));
  EXPECT_LT(to->Stat()->st_blocks * 512, 1 << 19);
}

TEST(CopyTest, ASourceThatEndsBeforeIsAnError) {
  const test::ScratchDirectory scratch;
  ASSERT_TRUE(WriteWholeFile(scratch.path() + "/from", "short").has_value());
  const auto from = File::Open(scratch.path() + "/from", O_RDONLY);
  auto to = File::Open(scratch.path() + "/to", O_RDWR | O_CREAT);
  EXPECT_EQ(to->CopyFrom(*from, 0, 6).error().code(), ErrorCode::kCorrupt);
}

// The kernel copies nothing out of /proc, nor across file systems on older kernels: then it goes through memory.
TEST(CopyTest, WhatTheKernelDoesNotCopyGoesThroughMemory) {
  const test::ScratchDirectory scratch;
  const auto from = File::Open("/proc/self/cmdline", O_RDONLY);
  auto to = File::Open(scratch.path() + "/to", O_RDWR | O_CREAT);
  ASSERT_TRUE(to->CopyFrom(*from, 0, 4).has_value());
  EXPECT_EQ(ReadWholeFile(scratch.path() + "/to").value(), ReadWholeFile("/proc/self/cmdline")->substr(0, 4));
}

TEST(CopyTest, AFileGetsASecondName) {
  const test::ScratchDirectory scratch;
  ASSERT_TRUE(WriteWholeFile(scratch.path() + "/one", "bytes").has_value());
  ASSERT_TRUE(LinkFile(scratch.path() + "/one", scratch.path() + "/two").has_value());
  EXPECT_EQ(StatLink(scratch.path() + "/two")->st_ino, StatLink(scratch.path() + "/one")->st_ino);
  EXPECT_EQ(LinkFile(scratch.path() + "/one", scratch.path() + "/two").error().code(), ErrorCode::kAlreadyExists);
  EXPECT_EQ(LinkFile(scratch.path() + "/none", scratch.path() + "/three").error().code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace pgstrata::io
