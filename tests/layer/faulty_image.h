// An image that fails on request, and that knows of its holes.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "backup/image/image.h"

namespace pgstrata::test {

// Everything of `base`; reads fail when they are told to, and runs of zeros are reported by NextData.
class FaultyImage final : public image::Image {
 public:
  explicit FaultyImage(std::shared_ptr<const image::Image> base) : base_(std::move(base)) {}

  // The read with this number (from 1, counted over all files) fails; 0: none.
  mutable std::atomic<int64_t> failing_read = 0;
  std::atomic<bool> fail_all_reads = false;
  std::atomic<bool> fail_opens = false;
  std::atomic<bool> fail_lists = false;
  // Called in every read, before it.
  std::function<void()> before_read;
  mutable std::atomic<int64_t> reads = 0, opens = 0, open_now = 0, most_open = 0;

  [[nodiscard]] const std::string& name() const override { return base_->name(); }
  Result<image::Entry> Stat(std::string_view path) const override { return base_->Stat(path); }
  Result<std::vector<image::Entry>> List(std::string_view directory) const override {
    if (fail_lists) return Fail(ErrorCode::kIo, "this listing fails");
    return base_->List(directory);
  }
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view path) const override {
    if (fail_opens) return Fail(ErrorCode::kIo, "this open fails");
    PGS_ASSIGN(auto file, base_->Open(path));
    return std::make_unique<File>(*this, std::move(file));
  }
  Status VisitParts(const image::PartVisitor& visit) const override { return base_->VisitParts(visit); }

 private:
  class File final : public image::ImageFile {
   public:
    File(const FaultyImage& image, std::unique_ptr<image::ImageFile> file) : image_(image), file_(std::move(file)) {
      ++image_.opens;
      const int64_t now = ++image_.open_now;
      for (int64_t most = image_.most_open; most < now && !image_.most_open.compare_exchange_weak(most, now);) {
      }
    }
    ~File() override { --image_.open_now; }
    [[nodiscard]] uint64_t size() const override { return file_->size(); }
    Status ReadAt(uint64_t offset, MutableBytes out) const override {
      if (image_.before_read) image_.before_read();
      if (++image_.reads == image_.failing_read || image_.fail_all_reads) {
        std::ranges::fill(out, std::byte{0});
        return Fail(ErrorCode::kIo, "this read fails");
      }
      return file_->ReadAt(offset, out);
    }
    [[nodiscard]] uint64_t NextData(uint64_t offset) const override {
      std::byte byte{};
      while (offset < size() && file_->ReadAt(offset, MutableBytes(&byte, 1)) && byte == std::byte{0}) ++offset;
      return offset;
    }

   private:
    const FaultyImage& image_;
    std::unique_ptr<image::ImageFile> file_;
  };

  const std::shared_ptr<const image::Image> base_;
};

}  // namespace pgstrata::test
