#include "foundation/codec/byte_source.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/codec/text_source.h"
#include "tests/support/compress.h"

namespace pgstrata::codec {
namespace {

std::string Content() {
  std::string content;
  for (int i = 0; content.size() < 700'000; ++i) content += std::to_string(i * 7919) + ' ';
  return content;
}

Result<std::unique_ptr<ByteSource>> Unpacking(std::string packed) {
  return Decompressing(Compression::kGzip, std::make_unique<TextSource>(std::move(packed)));
}

TEST(ByteSourceTest, EveryReadIsFilledUntilTheEnd) {
  const std::string content = Content();
  auto source = Unpacking(test::Compressed("gzip", content));
  ASSERT_TRUE(source.has_value());
  std::string read;
  std::string step(4099, '?');
  while (true) {
    const auto count = (*source)->Read(std::as_writable_bytes(std::span(step)));
    ASSERT_TRUE(count.has_value()) << count.error().message();
    read += step.substr(0, *count);
    if (*count < step.size()) break;
  }
  EXPECT_TRUE(read == content);
  EXPECT_EQ((*source)->Read(std::as_writable_bytes(std::span(step))).value_or(1), 0U);
}

TEST(ByteSourceTest, WhatEndsEarlyIsCorrupt) {
  const std::string packed = test::Compressed("gzip", Content());
  auto source = Unpacking(packed.substr(0, packed.size() / 2));
  ASSERT_TRUE(source.has_value());
  const auto all = ReadAll(**source, 1ULL << 20);
  ASSERT_FALSE(all.has_value());
  EXPECT_EQ(all.error().code(), ErrorCode::kCorrupt);
}

TEST(ByteSourceTest, TheLimitOfReadAllIsExact) {
  for (const size_t size : {0, 1, 65'535, 65'536, 65'537, 200'000}) {
    const std::string content(size, 'x');
    TextSource fits(content);
    EXPECT_EQ(ReadAll(fits, size).value().size(), size);
    if (size == 0) continue;
    TextSource over(content);
    EXPECT_EQ(ReadAll(over, size - 1).error().code(), ErrorCode::kUnsupported);
  }
}

}  // namespace
}  // namespace pgstrata::codec
