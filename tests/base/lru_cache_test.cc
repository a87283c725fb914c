#include "foundation/base/lru_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace pgstrata {
namespace {

using Cache = LruCache<std::string>;

std::shared_ptr<const std::string> Text(const std::string& text) { return std::make_shared<const std::string>(text); }

TEST(LruCacheTest, DropsWhatWasNotUsedForLongest) {
  Cache cache(2);
  cache.Put("a", Text("1"));
  cache.Put("b", Text("2"));
  ASSERT_TRUE(cache.Find("a"));
  cache.Put("c", Text("3"));
  EXPECT_TRUE(cache.Find("a"));
  EXPECT_FALSE(cache.Find("b"));
  EXPECT_TRUE(cache.Find("c"));
}

TEST(LruCacheTest, KeepsTheLastOneHoweverHeavy) {
  Cache cache(10);
  cache.Put("a", Text("1"), 4);
  cache.Put("b", Text("2"), 100);
  EXPECT_FALSE(cache.Find("a"));
  EXPECT_TRUE(cache.Find("b"));
  cache.Put("c", Text("3"), 10);
  EXPECT_FALSE(cache.Find("b"));
}

TEST(LruCacheTest, TheFirstThatWasPutStays) {
  Cache cache(2);
  cache.Put("a", Text("first"));
  EXPECT_EQ(*cache.Put("a", Text("second")), "first");
}

TEST(LruCacheTest, ForgottenIsMadeAnewAndWeighsNothing) {
  Cache cache(3);
  int made = 0;
  const auto get = [&](const std::string& key) {
    return *cache.Get(key, [&]() -> Result<std::string> { return std::to_string(++made); }).value();
  };
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("a"), "1");
  cache.Forget("a");
  cache.Forget("never there");
  EXPECT_EQ(get("a"), "2");
  get("b");
  get("c");
  EXPECT_TRUE(cache.Find("a"));
}

TEST(LruCacheTest, FailuresAreNotKept) {
  Cache cache(1);
  const auto failed = cache.Get("a", []() -> Result<std::string> { return Fail(ErrorCode::kIo, "no"); });
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), ErrorCode::kIo);
  EXPECT_EQ(**cache.Get("a", []() -> Result<std::string> { return "yes"; }), "yes");
}

TEST(LruCacheTest, TakesPointersAndOtherKeys) {
  LruCache<std::string, uint64_t> cache(1);
  const auto make = []() -> Result<std::unique_ptr<std::string>> { return std::make_unique<std::string>("x"); };
  EXPECT_EQ(**cache.Get(7, make), "x");
}

TEST(LruCacheTest, OneThreadMakesWhatManyAskFor) {
  Cache cache(4);
  std::atomic<int> made = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto value = cache.Get("a", [&]() -> Result<std::string> {
        ++made;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return "x";
      });
      EXPECT_EQ(**value, "x");
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(made, 1);
}

TEST(LruCacheTest, WhatFailedIsTriedAgainByOneThreadAtATime) {
  Cache cache(4);
  std::atomic<int> making = 0;
  std::atomic<bool> beside_another = false;
  const auto make = [&]() -> Result<std::string> {
    if (++making > 1) beside_another = true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --making;
    return Fail(ErrorCode::kIo, "no");
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int attempt = 0; attempt < 4; ++attempt) EXPECT_FALSE(cache.Get("a", make).has_value());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_FALSE(beside_another);
}

}  // namespace
}  // namespace pgstrata
