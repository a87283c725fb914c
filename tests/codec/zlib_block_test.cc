#include "foundation/codec/zlib_block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace pgstrata::codec {
namespace {

using ::testing::HasSubstr;

// zlib.compress(b"pgstrata" * 4, 6)
const std::string kZlibPacked("\x78\x9C\x2B\x48\x2F\x2E\x29\x4A\x2C\x49\x2C\xC0\x41\x03\x00\xE1\x2C\x0D\x99", 19);
const std::string kZlibPlain = "pgstratapgstratapgstratapgstrata";

std::string UnpackZlib(const std::string& packed, size_t size) {
  std::string out(size, '?');
  const auto status = DecompressZlibBlock(AsBytes(packed), std::as_writable_bytes(std::span(out)));
  return status ? out : "error: " + status.error().message();
}

TEST(ZlibBlock, GivesBackWhatZlibPacked) {
  EXPECT_EQ(UnpackZlib(kZlibPacked, kZlibPlain.size()), kZlibPlain);
  EXPECT_EQ(UnpackZlib(kZlibPacked, kZlibPlain.size()), kZlibPlain) << "a second time in the same thread";
  std::string in_thread;
  std::thread([&] { in_thread = UnpackZlib(kZlibPacked, kZlibPlain.size()); }).join();
  EXPECT_EQ(in_thread, kZlibPlain);
}

TEST(ZlibBlock, OtherLengthIsCorrupt) {
  EXPECT_THAT(UnpackZlib(kZlibPacked, kZlibPlain.size() - 1), HasSubstr("damaged zlib data"));
  EXPECT_THAT(UnpackZlib(kZlibPacked, kZlibPlain.size() + 1), HasSubstr("ends early"));
  EXPECT_THAT(UnpackZlib(kZlibPacked + "x", kZlibPlain.size()), HasSubstr("more follows"));
  EXPECT_THAT(UnpackZlib("", kZlibPlain.size()), HasSubstr("damaged zlib data"));
  EXPECT_THAT(UnpackZlib(kZlibPacked, 0), HasSubstr("damaged zlib data"));
}

TEST(ZlibBlock, EveryFlippedByteIsNoticed) {
  for (size_t i = 0; i < kZlibPacked.size(); ++i) {
    std::string flipped = kZlibPacked;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    const std::string got = UnpackZlib(flipped, kZlibPlain.size());
    EXPECT_TRUE(got.starts_with("error: ") || got == kZlibPlain) << i;
  }
  EXPECT_EQ(UnpackZlib(kZlibPacked, kZlibPlain.size()), kZlibPlain) << "after an error";
}

TEST(ZlibBlock, CutIsCorruptAtEveryLength) {
  for (size_t length = 0; length < kZlibPacked.size(); ++length) {
    EXPECT_THAT(UnpackZlib(kZlibPacked.substr(0, length), kZlibPlain.size()), HasSubstr("damaged zlib data")) << length;
  }
}

}  // namespace
}  // namespace pgstrata::codec
