// Catalogs for tests of what reads chains.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "catalog/probackup/backup.h"
#include "foundation/io/file.h"
#include "tests/probackup/catalog_builder.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::probackup {

constexpr uint64_t kTestTime = 1'795'208'863;
constexpr const char* kPath = "base/5/16384";

class ChainTest : public ::testing::Test {
 protected:
  ChainTest() : catalog_(place_.path(), "main") {}

  test::CatalogBuilder& catalog() { return catalog_; }

  static std::unique_ptr<Backup> Open(const std::string& directory, bool force = false) {
    auto backup = Backup::Open({.directory = directory, .name = "catalog", .force = force});
    EXPECT_TRUE(backup.has_value()) << backup.error().message();
    return backup ? *std::move(backup) : nullptr;
  }
  static std::string ErrorOf(const std::string& directory, bool force = false) {
    const auto backup = Backup::Open({.directory = directory, .name = "catalog", .force = force});
    return backup ? "no error" : backup.error().message() + " / " + backup.error().hint();
  }
  // The whole file, or what is wrong with it.
  static std::string Read(const image::Image& image, const std::string& path) {
    const auto file = image.Open(path);
    if (!file) return "error: " + file.error().message();
    return ReadRange(**file, 0, (*file)->size());
  }
  static std::string ReadRange(const image::ImageFile& file, uint64_t offset, uint64_t length) {
    std::string bytes(length, '?');
    const auto read = file.ReadAt(offset, std::as_writable_bytes(std::span(bytes)));
    return read ? bytes : "error: " + read.error().message();
  }
  static std::string ReadBlock(const image::Image& image, const std::string& path, uint32_t block) {
    const auto file = image.Open(path);
    if (!file) return "error: " + file.error().message();
    return ReadRange(**file, uint64_t{block} * 8192, 8192);
  }
  // Of what Read and its like give: bytes would fill the screen.
  static std::string Failure(const std::string& read) { return read.starts_with("error: ") ? read : "no error"; }
  static std::string Content(const std::string& native) { return io::ReadWholeFile(native).value_or("cannot be read"); }
  static void Write(const std::string& native, const std::string& content) {
    ASSERT_TRUE(io::WriteWholeFile(native, content).has_value());
  }
  // Another byte at `offset`; negative: from the end.
  static void Flip(const std::string& native, int64_t offset) {
    std::string content = Content(native);
    auto& byte = content.at(offset < 0 ? content.size() - static_cast<size_t>(-offset) : static_cast<size_t>(offset));
    byte = static_cast<char>(byte ^ 0x40);
    Write(native, content);
  }

  // A relation with these pages; their seed is `seed` + block.
  static test::BuiltFile Relation(const std::string& path, uint32_t blocks, std::initializer_list<uint32_t> stored,
                                  uint32_t seed, PageCompression compression = PageCompression::kZlib) {
    test::BuiltFile file{.path = path, .has_pages = true, .blocks = blocks, .compression = compression};
    for (const uint32_t block : stored) file.pages[block] = Page(block, seed);
    return file;
  }
  static test::BuiltFile Unchanged(test::BuiltFile file) {
    file.unchanged = true;
    file.pages.clear();
    return file;
  }
  static std::string Page(uint32_t block, uint32_t seed) { return test::MakePage(block, seed * 1000 + block); }

 private:
  test::ScratchDirectory place_;
  test::CatalogBuilder catalog_;
};

}  // namespace pgstrata::probackup
