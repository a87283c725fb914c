// Several threads on one volume. Run under TSan in the long suite.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "tests/layer/faulty_image.h"
#include "tests/layer/volume_fixture.h"
#include "tests/support/scratch_directory.h"
#include "tests/vfs/conformance/suite.h"

namespace pgstrata::layer {
namespace {

using namespace std::chrono_literals;

constexpr auto kDuration = 1s;

class Clockwork {
 public:
  template <typename Work>
  void Start(Work work) {
    threads_.emplace_back([this, work]() mutable {
      while (!stop_ && work()) {
      }
    });
  }
  void RunFor(std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }

 private:
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

std::string Read(Volume& volume, vfs::Inode inode, uint64_t offset, size_t length) {
  std::string bytes(length, '?');
  const auto count = volume.Read(inode, offset, std::as_writable_bytes(std::span(bytes)));
  if (!count) return "errno " + std::to_string(count.error().value);
  bytes.resize(*count);
  return bytes;
}

// A thread's part of a file: it alone writes there, and always finds what it wrote. Neighbours share a block.
class Part {
 public:
  static constexpr size_t kSize = 30'000;
  Part(Volume& volume, vfs::Inode inode, uint64_t begin, std::string content)
      : volume_(volume), inode_(inode), begin_(begin), content_(std::move(content)), random_(begin) {}

  bool Work() {
    const size_t at = random_() % kSize;
    const size_t length = 1 + random_() % std::min<size_t>(kSize - at, 9'000);
    const std::string bytes(length, random_() % 4 == 0 ? '\0' : static_cast<char>(random_()));
    const vfs::AllocationMode punch{.keep_size = true, .punch_hole = true};
    const auto status = bytes[0] == '\0' && random_() % 2 == 0 ? volume_.Allocate(inode_, punch, begin_ + at, length)
                                                               : volume_.Write(inode_, begin_ + at, AsBytes(bytes));
    EXPECT_TRUE(status.has_value());
    content_.replace(at, length, bytes);
    const auto same = vfs::SameBytes(Read(volume_, inode_, begin_, kSize), content_);
    EXPECT_TRUE(same);
    return same;
  }

 private:
  Volume& volume_;
  const vfs::Inode inode_;
  const uint64_t begin_;
  std::string content_;
  std::mt19937_64 random_;
};

TEST(ConcurrencyTest, DisjointRangesOfOneFileDoNotDisturbEachOther) {
  constexpr uint64_t kParts = 4;
  const test::ScratchDirectory place;
  const std::string old(kParts * Part::kSize, 'o');
  const auto volume = MakeVolume(ImageOf({{"image", old}}), place.path() + "/layer", 1);
  const vfs::Inode from_image = volume->Lookup(vfs::kRootInode, "image")->inode;
  const vfs::Inode fresh = volume->CreateFile(vfs::kRootInode, "fresh", 0600, kOwner)->inode;
  ASSERT_TRUE(volume->SetAttributes(fresh, {.size = old.size()}).has_value());
  Clockwork clockwork;
  for (uint64_t i = 0; i < kParts; ++i) {
    const uint64_t begin = i * Part::kSize;
    clockwork.Start(
        [part = Part(*volume, from_image, begin, std::string(Part::kSize, 'o'))]() mutable { return part.Work(); });
    clockwork.Start(
        [part = Part(*volume, fresh, begin, std::string(Part::kSize, '\0'))]() mutable { return part.Work(); });
  }
  clockwork.RunFor(kDuration);
}

TEST(ConcurrencyTest, ReadersOfAFileThatIsTruncatedSeeOldBytesOrZerosOrItsEnd) {
  constexpr size_t kBlock = 4096;
  constexpr size_t kSize = 20 * kBlock;
  const test::ScratchDirectory place;
  const auto volume = MakeVolume(ImageOf({{"f", std::string(kSize, 'a')}}), place.path() + "/layer");
  const vfs::Inode file = volume->Lookup(vfs::kRootInode, "f")->inode;
  Clockwork clockwork;
  for (int i = 0; i < 3; ++i) {
    clockwork.Start([&] {
      const std::string seen = Read(*volume, file, 4'000, kSize);
      const bool expected = seen.find_first_not_of(std::string("\0ab", 3)) == std::string::npos;
      EXPECT_TRUE(expected) << seen.substr(0, 20);
      const auto data = volume->Seek(file, 0, vfs::SeekTarget::kData);
      EXPECT_TRUE(data || data.error().value == ENXIO);
      return expected;
    });
  }
  clockwork.Start([&] {
    EXPECT_TRUE(volume->SetAttributes(file, {.size = 100}).has_value());
    EXPECT_TRUE(volume->Write(file, 50, AsBytes(std::string(kSize - 50, 'b'))).has_value());
    return true;
  });
  clockwork.RunFor(kDuration);
}

TEST(ConcurrencyTest, NamesComeAndGoInSeveralThreads) {
  const test::ScratchDirectory place;
  std::map<std::string, std::string> tree;
  for (int i = 0; i < 50; ++i) tree["d" + std::to_string(i % 5) + "/f" + std::to_string(i)] = "content";
  const auto volume = MakeVolume(ImageOf(tree), place.path() + "/layer", 4);
  Clockwork clockwork;
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    clockwork.Start([&volume, random = std::mt19937_64(seed)]() mutable {
      const auto directory = volume->Lookup(vfs::kRootInode, "d" + std::to_string(random() % 5));
      const auto other = volume->Lookup(vfs::kRootInode, "d" + std::to_string(random() % 5));
      const std::string name = "f" + std::to_string(random() % 50);
      const std::string other_name = "f" + std::to_string(random() % 50);
      if (const auto made = volume->CreateFile(directory->inode, name, 0600, kOwner)) {
        EXPECT_TRUE(volume->Write(made->inode, 0, AsBytes("content")).has_value());
        volume->Forget(made->inode, 1);
      }
      const auto mode = static_cast<vfs::RenameMode>(random() % 3);
      static_cast<void>(volume->Rename(directory->inode, name, other->inode, other_name, mode));
      if (const auto found = volume->Lookup(other->inode, other_name)) {
        static_cast<void>(volume->Unlink(other->inode, other_name));
        const std::string seen = Read(*volume, found->inode, 0, 100);
        EXPECT_TRUE(seen.empty() || seen == "content") << seen;
        volume->Forget(found->inode, 1);
      }
      const auto listed = volume->ReadDirectory(other->inode, 0, [](const vfs::DirectoryEntry&) { return true; });
      EXPECT_TRUE(listed.has_value());
      volume->Forget(directory->inode, 1);
      volume->Forget(other->inode, 1);
      return true;
    });
  }
  clockwork.RunFor(kDuration);
}

TEST(ConcurrencyTest, ReadsDoNotWaitForAWriteThatWaitsForTheImage) {
  const test::ScratchDirectory place;
  auto image = std::make_shared<test::FaultyImage>(ImageOf({{"f", std::string(100'000, 'o')}}));
  const auto volume = MakeVolume(image, place.path() + "/layer");
  const vfs::Inode file = volume->Lookup(vfs::kRootInode, "f")->inode;
  ASSERT_TRUE(volume->Write(file, 0, AsBytes(std::string(4096, 'n'))).has_value());
  std::mutex mutex;
  std::condition_variable changed;
  bool waiting = false;
  bool go_on = false;
  image->before_read = [&] {
    std::unique_lock lock(mutex);
    waiting = true;
    changed.notify_all();
    changed.wait(lock, [&] { return go_on; });
  };
  std::thread writer([&] { EXPECT_TRUE(volume->Write(file, 50'000, AsBytes("x")).has_value()); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting; });
  }
  // None of these returns if it needs what the writer holds.
  EXPECT_EQ(Read(*volume, file, 0, 4096), std::string(4096, 'n'));
  EXPECT_EQ(volume->GetAttributes(file)->size, 100'000U);
  EXPECT_TRUE(volume->Lookup(vfs::kRootInode, "f").has_value());
  EXPECT_TRUE(volume->CreateFile(vfs::kRootInode, "g", 0600, kOwner).has_value());
  {
    const std::scoped_lock lock(mutex);
    go_on = true;
  }
  changed.notify_all();
  writer.join();
  EXPECT_EQ(Read(*volume, file, 49'999, 3), "oxo");
}

}  // namespace
}  // namespace pgstrata::layer
