#include "backup/image/unpacked_segments.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

namespace pgstrata::image {
namespace {

constexpr uint64_t kSegmentBytes = 1000;

class UnpackedSegmentsTest : public ::testing::Test {
 protected:
  // The first byte of the segment `key`, whose bytes are all `key`.
  char FirstByte(char key, uint64_t size = kSegmentBytes) {
    char first = 0;
    const auto status = segments_.Use(
        std::string(1, key),
        [&]() -> Result<std::vector<std::byte>> {
          ++unpacked_[key];
          return std::vector<std::byte>(size, static_cast<std::byte>(key));
        },
        [&](ByteView content) -> Status {
          first = static_cast<char>(content[0]);
          return {};
        });
    EXPECT_TRUE(status.has_value());
    return first;
  }

  UnpackedSegments segments_{3 * kSegmentBytes};
  std::map<char, int> unpacked_;
};

TEST_F(UnpackedSegmentsTest, WhatIsHeldIsNotUnpackedAgain) {
  for (int i = 0; i < 2; ++i) {
    for (const char key : {'a', 'b', 'c'}) EXPECT_EQ(FirstByte(key), key);
  }
  EXPECT_EQ(unpacked_, (std::map<char, int>{{'a', 1}, {'b', 1}, {'c', 1}}));
}

TEST_F(UnpackedSegmentsTest, NeverMoreThanTheLimitAndTheLongestUnusedGoesFirst) {
  for (const char key : {'a', 'b', 'c', 'a', 'd'}) EXPECT_EQ(FirstByte(key), key);
  EXPECT_EQ(segments_.bytes(), 3 * kSegmentBytes);
  EXPECT_EQ(FirstByte('a'), 'a');
  EXPECT_EQ(unpacked_['a'], 1);
  EXPECT_EQ(FirstByte('b'), 'b');
  EXPECT_EQ(unpacked_['b'], 2);
  for (char key = 'e'; key < 'z'; ++key) {
    EXPECT_EQ(FirstByte(key), key);
    EXPECT_LE(segments_.bytes(), 3 * kSegmentBytes);
  }
}

TEST_F(UnpackedSegmentsTest, OneIsHeldHoweverLargeItIs) {
  EXPECT_EQ(FirstByte('a'), 'a');
  for (int i = 0; i < 2; ++i) EXPECT_EQ(FirstByte('l', 10 * kSegmentBytes), 'l');
  EXPECT_EQ(unpacked_['l'], 1);
  EXPECT_EQ(segments_.bytes(), 10 * kSegmentBytes);
  EXPECT_EQ(FirstByte('a'), 'a');
  EXPECT_EQ(segments_.bytes(), kSegmentBytes);
}

TEST_F(UnpackedSegmentsTest, FailureIsPassedOnAndNotKept) {
  const auto status = segments_.Use(
      "a", []() -> Result<std::vector<std::byte>> { return Fail(ErrorCode::kCorrupt, "damaged"); },
      [](ByteView) -> Status { return {}; });
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::kCorrupt);
  EXPECT_EQ(FirstByte('a'), 'a');
}

TEST_F(UnpackedSegmentsTest, ThreadsReadTheirOwnSegments) {
  std::vector<std::thread> threads;
  for (const char key : {'a', 'b', 'c', 'd', 'e'}) {
    threads.emplace_back([this, key] {
      for (int i = 0; i < 200; ++i) {
        const auto status = segments_.Use(
            std::string(1, key),
            [&]() -> Result<std::vector<std::byte>> {
              return std::vector<std::byte>(kSegmentBytes, static_cast<std::byte>(key));
            },
            [&](ByteView content) -> Status {
              if (content.size() != kSegmentBytes || content[i] != static_cast<std::byte>(key)) ADD_FAILURE() << key;
              return {};
            });
        EXPECT_TRUE(status.has_value());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_LE(segments_.bytes(), 3 * kSegmentBytes);
}

}  // namespace
}  // namespace pgstrata::image
