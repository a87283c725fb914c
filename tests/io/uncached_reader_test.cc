// Reads that leave the page cache as it is, and are right whatever is in it.
#include "foundation/io/uncached_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::io {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kPages = 64;
constexpr size_t kTail = 100;  // the file ends within a page

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};

class UncachedReaderTest : public ::testing::Test {
 protected:
  UncachedReaderTest() {
    std::mt19937_64 random(7);
    content_.resize(kPages * kPage + kTail);
    for (char& c : content_) c = static_cast<char>(random());
    EXPECT_TRUE(WriteWholeFile(path_, content_).has_value());
    Evict();
  }

  void Evict() const {
    auto file = File::Open(path_, O_RDWR);
    EXPECT_TRUE(file->DataSync().has_value());
    ::posix_fadvise(file->fd(), 0, 0, POSIX_FADV_DONTNEED);
  }

  // How many of its pages are in memory.
  [[nodiscard]] size_t Cached() const {
    const auto file = File::Open(path_, O_RDONLY);
    void* mapped = ::mmap(nullptr, content_.size(), PROT_READ, MAP_SHARED, file->fd(), 0);
    std::vector<unsigned char> resident(kPages + 1);
    EXPECT_EQ(::mincore(mapped, content_.size(), resident.data()), 0);
    ::munmap(mapped, content_.size());
    return static_cast<size_t>(std::ranges::count_if(resident, [](unsigned char page) { return (page & 1) != 0; }));
  }

  // At a page's beginning, as a FUSE request's data are.
  [[nodiscard]] MutableBytes Buffer(size_t size) const { return {buffer_.get(), size}; }
  [[nodiscard]] std::string_view Expected(size_t offset, size_t size) const {
    return std::string_view(content_).substr(offset, size);
  }
  static std::string_view Text(MutableBytes bytes, size_t count) {
    return {reinterpret_cast<const char*>(bytes.data()), count};
  }

  const test::ScratchDirectory scratch_;
  const std::string path_ = scratch_.path() + "/file";
  std::string content_;
  const std::unique_ptr<std::byte[], Free> buffer_{
      static_cast<std::byte*>(std::aligned_alloc(kPage, (kPages + 1) * kPage))};
};

TEST_F(UncachedReaderTest, LeavesNothingInThePageCache) {
  const bool evicted = Cached() == 0;  // not where files live in memory only
  const File file = *File::Open(path_, O_RDONLY);
  const UncachedReader reader(file);
  for (size_t page = kPages; page > 0; page -= 2) {
    ASSERT_EQ(reader.ReadAt((page - 2) * kPage, Buffer(2 * kPage)).value(), 2 * kPage);
    ASSERT_EQ(Text(Buffer(2 * kPage), 2 * kPage), Expected((page - 2) * kPage, 2 * kPage));
  }
  EXPECT_EQ(Cached() == 0, evicted && reader.ReadsDirectly());
}

TEST_F(UncachedReaderTest, AnyRangeIsReadAsItIs) {
  const File file = *File::Open(path_, O_RDONLY);
  const UncachedReader reader(file);
  std::mt19937_64 random(11);
  for (int i = 0; i < 500; ++i) {
    size_t offset = random() % (content_.size() + kPage);
    size_t size = random() % (8 * kPage);
    if (i % 2 == 0) offset -= offset % kPage;
    if (i % 4 == 0) size -= size % kPage;
    if (i % 4 == 0) Evict();
    const size_t rest = offset < content_.size() ? content_.size() - offset : 0;
    const size_t count = std::min(size, rest);
    ASSERT_EQ(reader.ReadAt(offset, Buffer(size)).value(), count) << offset << '+' << size;
    if (count != 0) {
      ASSERT_EQ(Text(Buffer(size), count), Expected(offset, count)) << offset << '+' << size;
    }
  }
}

TEST_F(UncachedReaderTest, WhatIsNotWrittenBackYetIsSeen) {
  const File file = *File::Open(path_, O_RDONLY);
  const UncachedReader reader(file);
  ASSERT_EQ(reader.ReadAt(0, Buffer(kPage)).value(), kPage);
  auto writer = File::Open(path_, O_RDWR);
  const std::string fresh(kPage, 'n');
  ASSERT_TRUE(writer->WriteAt(kPage, AsBytes(fresh)).has_value());
  ASSERT_EQ(reader.ReadAt(0, Buffer(4 * kPage)).value(), 4 * kPage);
  EXPECT_EQ(Text(Buffer(kPage), kPage), Expected(0, kPage));
  EXPECT_EQ(Text(Buffer(2 * kPage).subspan(kPage), kPage), fresh);
  EXPECT_EQ(Text(Buffer(3 * kPage).subspan(2 * kPage), kPage), Expected(2 * kPage, kPage));
}

}  // namespace
}  // namespace pgstrata::io
