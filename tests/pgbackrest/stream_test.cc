// Files of more than a megabyte that are one stream: read before they are decoded whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "catalog/pgbackrest/repository.h"
#include "catalog/pgbackrest/verify.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/page.h"
#include "tests/pgbackrest/repository_writer.h"
#include "tests/support/flip.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::pgbackrest {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kPath = "base/5/16384.1";
constexpr size_t kPages = 400;

// A page with a right checksum; its bytes hardly compress.
std::string PageWithChecksum(uint32_t block) {
  std::string page(pgdata::kPageSize, '\0');
  uint32_t state = block + 1;
  for (size_t i = pgdata::kPageHeaderSize; i < page.size(); ++i) {
    state = state * 1664525 + 1013904223;
    page[i] = static_cast<char>(state >> 24);
  }
  const auto put = [&](size_t offset, uint16_t value) {
    page[offset] = static_cast<char>(value & 0xFF);
    page[offset + 1] = static_cast<char>(value >> 8);
  };
  put(12, 24);
  put(14, 8192);
  put(16, 8192);
  put(18, 8192 | 4);
  put(8, pgdata::PageChecksum(AsBytes(page), {block}));
  return page;
}

class StreamTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kFirstBlock = 131'072;  // of the second segment

  // Pages whose checksums are right, but for `odd`.
  void MakeRepository(std::optional<size_t> odd = std::nullopt) {
    ASSERT_TRUE(io::MakeDirectories(root()).has_value());
    test::RepositoryWriter writer(root(), {.compress_type = "gz", .checksum_page = true});
    for (size_t i = 0; i < kPages; ++i) content_ += PageWithChecksum(kFirstBlock + static_cast<uint32_t>(i));
    if (odd) content_[*odd * pgdata::kPageSize + 100] ^= 1;
    writer.AddFile(kPath, content_, 0600);
    writer.Finish();
    stored_ = writer.StoredPath(kPath);
    auto repository = Repository::Open(root(), "main", "");
    ASSERT_TRUE(repository.has_value()) << repository.error().message();
    cache_ = std::make_shared<image::DecodedCache>(scratch_.path() + "/cache");
    auto image = (*repository)->OpenBackup("20261120-210437F", cache_);
    ASSERT_TRUE(image.has_value()) << image.error().message();
    image_ = *std::move(image);
    file_ = *image_->Open(kPath);
  }
  void Flip(uint64_t offset) const { test::FlipByte(stored_, offset, 1); }
  [[nodiscard]] std::string Read(size_t page) const {
    std::string bytes(pgdata::kPageSize, '?');
    const auto read = file_->ReadAt(page * bytes.size(), std::as_writable_bytes(std::span(bytes)));
    return read ? bytes : "error: " + read.error().message();
  }
  [[nodiscard]] std::string Expected(size_t page) const {
    return content_.substr(page * pgdata::kPageSize, pgdata::kPageSize);
  }
  [[nodiscard]] bool IsWhole() const {
    const auto names = io::ListDirectory(cache_->directory());
    return names && names->size() == 1 && !names->front().ends_with(".part");
  }
  [[nodiscard]] const BackupImage& image() const { return *image_; }
  [[nodiscard]] const image::ImageFile& file() const { return *file_; }
  [[nodiscard]] uint64_t StoredSize() const { return std::filesystem::file_size(stored_); }

 private:
  [[nodiscard]] std::string root() const { return scratch_.path() + "/repo"; }

  test::ScratchDirectory scratch_;
  std::string content_;
  std::string stored_;
  std::shared_ptr<image::DecodedCache> cache_;
  std::unique_ptr<BackupImage> image_;
  std::unique_ptr<image::ImageFile> file_;
};

TEST_F(StreamTest, PagesThatAreRightAreAnsweredBeforeTheEnd) {
  MakeRepository();
  EXPECT_TRUE(Read(3) == Expected(3));
  EXPECT_FALSE(IsWhole());
  EXPECT_TRUE(Read(kPages - 1) == Expected(kPages - 1));
  EXPECT_TRUE(IsWhole());
  EXPECT_TRUE(Read(0) == Expected(0));
}

TEST_F(StreamTest, AllIsDecodedAheadWhereThatIsWanted) {
  MakeRepository();
  const auto before = image().CostOfFirstTouch();
  EXPECT_EQ(before.files, 1U);
  EXPECT_EQ(before.files_in_cache, 0U);
  const auto stopped = image().DecodeAll([](uint64_t) { return false; });
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().code(), ErrorCode::kCancelled);
  for (int i = 0; i < 2; ++i) {
    uint64_t told = 0;
    const auto decoded = image().DecodeAll([&](uint64_t bytes) {
      told += bytes;
      return true;
    });
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    EXPECT_EQ(told, before.bytes);
    EXPECT_EQ(image().CostOfFirstTouch().files_in_cache, 1U);
  }
  EXPECT_TRUE(Read(7) == Expected(7));
}

TEST_F(StreamTest, DecodingAheadFindsDamage) {
  MakeRepository();
  Flip(StoredSize() / 2);
  const auto decoded = image().DecodeAll([](uint64_t) { return true; });
  ASSERT_FALSE(decoded.has_value());
  EXPECT_THAT(decoded.error().message(), AllOf(HasSubstr("backup 20261120-210437F"), HasSubstr(kPath)));
}

TEST_F(StreamTest, APageThatSeemsWrongIsAnsweredWhenAllIsKnownToBeRight) {
  MakeRepository(3);  // torn while the backup was made: WAL mends it
  EXPECT_TRUE(Read(3) == Expected(3));
  EXPECT_TRUE(IsWhole());
}

TEST_F(StreamTest, DamageIsNeverAnsweredAndNamed) {
  MakeRepository();
  Flip(StoredSize() / 2);
  EXPECT_TRUE(Read(0) == Expected(0));  // before the damage
  size_t wrong = 0;
  for (size_t page = kPages / 3; page < kPages; ++page) {
    const std::string bytes = Read(page);
    if (bytes == Expected(page)) continue;
    ASSERT_THAT(bytes, AllOf(HasSubstr("error: backup 20261120-210437F"), HasSubstr(kPath), HasSubstr("block ")));
    ++wrong;
  }
  EXPECT_GT(wrong, 0U);
  std::vector<Damage> damages;
  VerifyBackup(image(), {}, {}, [&](const Damage& damage) { damages.push_back(damage); });
  EXPECT_FALSE(damages.empty());
}

TEST_F(StreamTest, HalvesOfPagesAreProvenToo) {
  MakeRepository();
  Flip(StoredSize() / 2);
  std::string half(pgdata::kPageSize / 2, '?');
  size_t failed = 0;
  for (size_t page = 0; page < kPages; ++page) {
    for (const size_t skipped : {size_t{0}, half.size()}) {
      const auto read = file().ReadAt(page * pgdata::kPageSize + skipped, std::as_writable_bytes(std::span(half)));
      if (!read) ++failed;
      if (read) EXPECT_TRUE(half == Expected(page).substr(skipped, half.size())) << page;
    }
  }
  EXPECT_GT(failed, 0U);
}

TEST_F(StreamTest, WhatCameBeforeTheDamageIsReadAfterItWasMet) {
  MakeRepository();
  Flip(StoredSize() / 2);
  EXPECT_THAT(Read(kPages - 1), HasSubstr("error: "));
  for (const size_t page : {size_t{0}, kPages / 4}) EXPECT_TRUE(Read(page) == Expected(page)) << page;
}

TEST_F(StreamTest, VerificationNamesTheBlockWhereTheStreamBreaks) {
  MakeRepository();
  Flip(StoredSize() / 2);
  std::vector<uint64_t> blocks;
  const auto verified = VerifyBackup(image(), {}, {}, [&](const Damage& damage) {
    EXPECT_EQ(damage.path, kPath);
    ASSERT_TRUE(damage.block.has_value()) << damage.problem;
    blocks.push_back(*damage.block);
  });
  EXPECT_EQ(verified.damages, blocks.size());
  ASSERT_FALSE(blocks.empty());
  // The pages hardly compress: half of the stream is half of the pages.
  EXPECT_NEAR(static_cast<double>(std::ranges::min(blocks)), kPages / 2.0, 10.0);
  EXPECT_TRUE(Read(std::ranges::min(blocks) - 1) == Expected(std::ranges::min(blocks) - 1));
}

}  // namespace
}  // namespace pgstrata::pgbackrest
