#include "backup/image/decoded_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/private_mounts.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::image {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kMegabyte = 1ULL << 20;

char ByteAt(uint64_t position) { return static_cast<char>('a' + position % 23 + position / 100'003 % 3); }

// What a test's source does on its way.
struct Plan {
  uint64_t size = 0;                  // bytes that it gives
  std::optional<uint64_t> fails_at;   // with kCorrupt
  std::atomic<uint64_t> decoded = 0;  // bytes that were asked of it, over all openings
  std::atomic<uint64_t> opened = 0;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<uint64_t> waits_at;  // guarded by mutex: does not go beyond
  void Let() {
    const std::lock_guard lock(mutex);
    waits_at.reset();
    changed.notify_all();
  }
};

class PlannedSource final : public codec::ByteSource {
 public:
  explicit PlannedSource(Plan& plan) : plan_(plan) {}
  Result<size_t> Read(MutableBytes out) override {
    {
      std::unique_lock lock(plan_.mutex);
      plan_.changed.wait(lock, [this] { return !plan_.waits_at || position_ < *plan_.waits_at; });
    }
    if (plan_.fails_at && position_ + out.size() > *plan_.fails_at) return Fail(ErrorCode::kCorrupt, "a bit flipped");
    const size_t count = std::min<uint64_t>(out.size(), plan_.size - position_);
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<std::byte>(ByteAt(position_ + i));
    position_ += count;
    plan_.decoded += count;
    return count;
  }

 private:
  Plan& plan_;
  uint64_t position_ = 0;
};

class DecodedCacheTest : public ::testing::Test {
 protected:
  static DecodedContent ContentOf(Plan& plan, const std::string& key = "key") {
    return {.key = key, .name = '"' + key + '"', .size = plan.size, .open = [&plan] {
              ++plan.opened;
              return Result<std::unique_ptr<codec::ByteSource>>(std::make_unique<PlannedSource>(plan));
            }};
  }
  static std::string Read(DecodedCache& cache, const DecodedContent& content, uint64_t offset, size_t length) {
    std::string bytes(length, '?');
    const auto read = cache.ReadAt(content, offset, std::as_writable_bytes(std::span(bytes)));
    return read ? bytes : "error: " + read.error().message();
  }
  static std::string Expected(uint64_t offset, size_t length) {
    std::string bytes(length, '?');
    for (size_t i = 0; i < length; ++i) bytes[i] = ByteAt(offset + i);
    return bytes;
  }
  static void ExpectBytes(DecodedCache& cache, const DecodedContent& content, uint64_t offset, size_t length) {
    EXPECT_TRUE(Read(cache, content, offset, length) == Expected(offset, length)) << offset;
  }
  [[nodiscard]] std::vector<std::string> Names() const {
    return io::ListDirectory(directory()).value_or(std::vector<std::string>());
  }
  [[nodiscard]] std::string directory() const { return scratch_.path() + "/home/cache"; }

 private:
  test::ScratchDirectory scratch_;
};

TEST_F(DecodedCacheTest, NothingIsMadeBeforeTheFirstRead) {
  const DecodedCache cache(directory());
  EXPECT_FALSE(io::Exists(directory()));
  EXPECT_FALSE(cache.Holds("key"));
}

TEST_F(DecodedCacheTest, ContentIsDecodedOnceAndLaterOpensReuseIt) {
  Plan plan{.size = 3 * kMegabyte + 17};
  const auto content = ContentOf(plan);
  {
    DecodedCache cache(directory());
    ExpectBytes(cache, content, 0, plan.size);
    ExpectBytes(cache, content, kMegabyte, 8192);
    EXPECT_TRUE(cache.Holds("key"));
  }
  DecodedCache later(directory());
  ExpectBytes(later, content, plan.size - 100, 100);
  EXPECT_EQ(plan.opened, 1U);
  EXPECT_EQ(plan.decoded, plan.size);
  EXPECT_EQ(Names().size(), 1U);
}

TEST_F(DecodedCacheTest, NobodyDecodesFurtherThanIsAsked) {
  Plan plan{.size = 8 * kMegabyte};
  const auto content = ContentOf(plan);
  DecodedCache cache(directory());
  ExpectBytes(cache, content, kMegabyte, 8192);
  EXPECT_LE(plan.decoded, 2 * kMegabyte);
  EXPECT_FALSE(cache.Holds("key"));
  ExpectBytes(cache, content, 0, 8192);
  ExpectBytes(cache, content, 2 * kMegabyte, 8192);
  EXPECT_EQ(plan.opened, 1U);
}

TEST_F(DecodedCacheTest, WhatTheDecoderHasPassedIsReadMeanwhile) {
  Plan plan{.size = 4 * kMegabyte};
  const auto content = ContentOf(plan);
  DecodedCache cache(directory());
  plan.waits_at = 2 * kMegabyte;
  std::thread slow([&] { ExpectBytes(cache, content, 3 * kMegabyte, 8192); });
  while (plan.decoded < 2 * kMegabyte) std::this_thread::yield();
  ExpectBytes(cache, content, kMegabyte, 8192);  // would hang if it waited
  plan.Let();
  slow.join();
}

TEST_F(DecodedCacheTest, ManyReadersGetTheSameBytesOfOneDecoding) {
  Plan plan{.size = 5 * kMegabyte + 1};
  const auto content = ContentOf(plan);
  DecodedCache cache(directory());
  std::vector<std::thread> readers;
  for (uint64_t i = 0; i < 8; ++i) {
    readers.emplace_back([&, i] {
      for (uint64_t offset = i * 4096; offset + 8192 < plan.size; offset += 257 * 1024) {
        ExpectBytes(cache, content, offset, 8192);
      }
    });
  }
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(plan.opened, 1U);
}

TEST_F(DecodedCacheTest, DamageFailsReadsAndIsNeverTakenForContent) {
  Plan plan{.size = 4 * kMegabyte, .fails_at = 3 * kMegabyte};
  const auto content = ContentOf(plan);
  DecodedCache cache(directory());
  EXPECT_THAT(Read(cache, content, plan.size - 10, 10), HasSubstr("\"key\": a bit flipped"));
  EXPECT_THAT(Read(cache, content, plan.size - 10, 10), HasSubstr("a bit flipped"));
  EXPECT_THAT(Read(cache, content, 0, 10), HasSubstr("a bit flipped"));
  EXPECT_EQ(plan.opened, 1U);
  EXPECT_FALSE(cache.Holds("key"));
}

TEST_F(DecodedCacheTest, TheSizeThatWasPromisedIsKept) {
  for (const int64_t difference : {-1, 1, 300'000}) {
    Plan plan{.size = kMegabyte};
    auto content = ContentOf(plan, "key" + std::to_string(difference));
    content.size = static_cast<uint64_t>(static_cast<int64_t>(plan.size) + difference);
    DecodedCache cache(directory());
    EXPECT_THAT(Read(cache, content, *content.size - 1, 1), HasSubstr("instead of")) << difference;
    EXPECT_FALSE(cache.Holds(content.key));
  }
}

TEST_F(DecodedCacheTest, AnUnknownSizeIsFoundByDecoding) {
  Plan plan{.size = kMegabyte + 5};
  auto content = ContentOf(plan);
  content.size.reset();
  DecodedCache cache(directory());
  ExpectBytes(cache, content, 10, 10);
  EXPECT_EQ(cache.SizeOf(content).value_or(0), plan.size);
  EXPECT_THAT(Read(cache, content, plan.size, 1), HasSubstr("ends at byte"));
}

TEST_F(DecodedCacheTest, TheLongestUnusedGoesWhenTheLimitIsReached) {
  Plan plan{.size = kMegabyte};
  DecodedCache cache(directory(), 3 * kMegabyte + 4096);
  for (const std::string key : {"a", "b", "c"}) {
    ExpectBytes(cache, ContentOf(plan, key), 0, plan.size);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  DecodedCache other(directory(), 3 * kMegabyte + 4096);
  ExpectBytes(other, ContentOf(plan, "a"), 0, 1);  // marks it used
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ExpectBytes(cache, ContentOf(plan, "d"), 0, plan.size);
  EXPECT_TRUE(cache.Holds("a"));
  EXPECT_FALSE(cache.Holds("b"));
  EXPECT_TRUE(cache.Holds("c"));
  EXPECT_TRUE(cache.Holds("d"));
  ExpectBytes(cache, ContentOf(plan, "b"), 77, 100);  // decoded again
  EXPECT_EQ(plan.opened, 5U);
}

TEST_F(DecodedCacheTest, OneFileIsHeldHoweverLargeItIs) {
  Plan plan{.size = 3 * kMegabyte};
  DecodedCache cache(directory(), kMegabyte);
  ExpectBytes(cache, ContentOf(plan), 0, plan.size);
  ExpectBytes(cache, ContentOf(plan), kMegabyte, plan.size - kMegabyte);
  EXPECT_EQ(plan.opened, 1U);
}

TEST_F(DecodedCacheTest, ACrashLeavesNothingThatIsTakenForContent) {
  Plan plan{.size = 4 * kMegabyte};
  const auto content = ContentOf(plan);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    DecodedCache cache(directory());
    std::string bytes(8192, '?');
    static_cast<void>(cache.ReadAt(content, kMegabyte, std::as_writable_bytes(std::span(bytes))));
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(Names().size(), 1U);
  DecodedCache cache(directory());
  EXPECT_FALSE(cache.Holds("key"));
  ExpectBytes(cache, content, 0, plan.size);
  EXPECT_EQ(Names().size(), 1U);  // what the child had left is gone
}

TEST_F(DecodedCacheTest, TwoWhoDecodeTheSameDoNotDisturbEachOther) {
  Plan first_plan{.size = 2 * kMegabyte};
  Plan second_plan{.size = 2 * kMegabyte};
  DecodedCache first(directory());
  DecodedCache second(directory());
  ExpectBytes(first, ContentOf(first_plan), 0, 8192);
  ExpectBytes(second, ContentOf(second_plan), 0, second_plan.size);
  ExpectBytes(first, ContentOf(first_plan), 0, first_plan.size);
  ExpectBytes(second, ContentOf(second_plan), kMegabyte, 8192);
  EXPECT_EQ(first_plan.opened, 1U);
  EXPECT_EQ(second_plan.opened, 1U);
  EXPECT_EQ(Names().size(), 1U);
}

TEST_F(DecodedCacheTest, AChildGoesOnWithWhatItsParentHasBegun) {
  Plan plan{.size = 2 * kMegabyte};
  const auto content = ContentOf(plan);
  DecodedCache cache(directory());
  ExpectBytes(cache, content, 0, 8192);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool same = Read(cache, content, 0, plan.size) == Expected(0, plan.size);
    ::_exit(same && plan.opened == 1 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ExpectBytes(cache, content, 0, plan.size);
}

// What `body` returns in a child process.
int InChild(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(DecodedCacheTest, WhoIsKilledInTheMiddleHindersNobody) {
  Plan plan{.size = 4 * kMegabyte};
  const auto content = ContentOf(plan);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    DecodedCache cache(directory());
    static_cast<void>(Read(cache, content, kMegabyte, 8192));
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
  {
    DecodedCache beside(directory());
    ExpectBytes(beside, content, 0, plan.size);
    EXPECT_EQ(Names().size(), 2U) << "what the living process decodes is left to it";
  }
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  DecodedCache later(directory());
  ExpectBytes(later, content, 77, 8192);
  EXPECT_EQ(Names().size(), 1U);
  EXPECT_EQ(plan.opened, 1U) << "nothing was decoded again";
}

TEST_F(DecodedCacheTest, WhatIsPrunedWhileItIsReadIsReadOn) {
  Plan plan{.size = 3 * kMegabyte};
  Plan other{.size = kMegabyte};
  DecodedCache cache(directory());
  ExpectBytes(cache, ContentOf(plan), 0, plan.size);
  std::atomic<bool> stop = false;
  std::thread reader([&] {
    for (uint64_t offset = 0; !stop; offset = (offset + 77'777) % (2 * kMegabyte)) {
      ExpectBytes(cache, ContentOf(plan), offset, 8192);
    }
  });
  DecodedCache small(directory(), kMegabyte);  // of another process: makes room as it likes
  for (int i = 0; i < 20; ++i) ExpectBytes(small, ContentOf(other, "other" + std::to_string(i)), 0, other.size);
  stop = true;
  reader.join();
}

TEST_F(DecodedCacheTest, AFullDiskIsSaidAndMended) {
  const int status = InChild([&] {
    const std::string place = directory();
    if (!io::MakeDirectories(place)) return 1;
    if (!test::EnterPrivateMounts() && (::unshare(CLONE_NEWUSER) != 0 || !test::EnterPrivateMounts())) return 2;
    if (::mount("tmpfs", place.c_str(), "tmpfs", 0, "size=1m") != 0) return 3;
    Plan plan{.size = 3 * kMegabyte};
    DecodedCache cache(place);
    std::string bytes(8192, '?');
    const auto read = cache.ReadAt(ContentOf(plan), 2 * kMegabyte, std::as_writable_bytes(std::span(bytes)));
    if (read || read.error().code() != ErrorCode::kNoSpace || !read.error().hint().contains("make room")) return 4;
    if (Read(cache, ContentOf(plan), 0, 8192) != Expected(0, 8192)) return 5;  // what fits is read all the same
    if (::mount("tmpfs", place.c_str(), "tmpfs", MS_REMOUNT, "size=8m") != 0) return 6;
    return Read(cache, ContentOf(plan), 2 * kMegabyte, 8192) == Expected(2 * kMegabyte, 8192) ? 0 : 7;
  });
  EXPECT_EQ(status, 0);
}

TEST_F(DecodedCacheTest, WhoObservesIsToldAndMayStopIt) {
  Plan plan{.size = 4 * kMegabyte};
  auto content = ContentOf(plan);
  content.stored_size = 1234;
  DecodedCache cache(directory());
  std::vector<uint64_t> told;
  cache.Observe([&](const DecodeStep& step) {
    EXPECT_EQ(step.stored_bytes, 1234U);
    told.push_back(step.done);
    return step.done < kMegabyte;
  });
  EXPECT_THAT(Read(cache, content, 3 * kMegabyte, 8192), HasSubstr("was stopped"));
  ASSERT_GT(told.size(), 1U);
  EXPECT_EQ(told.front(), 0U);
  EXPECT_LE(plan.decoded, 2 * kMegabyte);
  cache.Observe({});
  ExpectBytes(cache, content, 3 * kMegabyte, 8192);
}

TEST_F(DecodedCacheTest, AnImageFileReadsThroughIt) {
  Plan plan{.size = kMegabyte + 3};
  const auto file = MakeDecodedFile(std::make_shared<DecodedCache>(directory()), ContentOf(plan));
  EXPECT_EQ(file->size(), plan.size);
  std::string bytes(8192, '?');
  ASSERT_TRUE(file->ReadAt(500'000, std::as_writable_bytes(std::span(bytes))).has_value());
  EXPECT_TRUE(bytes == Expected(500'000, bytes.size()));
}

}  // namespace
}  // namespace pgstrata::image
