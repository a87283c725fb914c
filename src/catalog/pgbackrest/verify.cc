#include "catalog/pgbackrest/verify.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "foundation/base/parallel.h"
#include "foundation/base/text.h"
#include "foundation/codec/sha1.h"

namespace pgstrata::pgbackrest {
namespace {

using image::BadPage;

constexpr uint64_t kPage = 8192;
constexpr size_t kReadStep = 1 << 20;

class FileCheck {
 public:
  FileCheck(const StoredContent& content, const ManifestFile& file, const image::PageRules& rules,
            image::Findings& findings)
      : content_(content),
        file_(file),
        rules_(image::RulesOf(ImagePathOf(file.name), rules)),
        findings_(findings),
        first_in_fork_(image::FirstBlockOf(ImagePathOf(file.name))) {
    rules_.checksums = rules.checksums || file.checksum_page;
  }

  void Run() {
    if (file_.is_block_incremental()) {
      CheckBlocks();
    } else {
      CheckStream();
    }
    if (!told_) CheckStored();  // else it is known more exactly
  }
  [[nodiscard]] uint64_t pages() const { return pages_; }

 private:
  void Tell(std::optional<uint64_t> block, std::string problem, uint32_t holder) {
    told_ = true;
    findings_.Add({.backup = content_.manifest().labels[holder],
                   .path = std::string(ImagePathOf(file_.name)),
                   .block = block,
                   .problem = std::move(problem)});
  }
  void Tell(std::optional<uint64_t> block, std::string problem) { Tell(block, std::move(problem), file_.holder); }

  void CheckStored() {
    if (!file_.stored_checksum) return;
    const StoredRange range = content_.RangeOf(file_);
    const auto source = content_.files().Source(range);
    codec::Sha1 hash;
    std::vector<std::byte> step(kReadStep);
    while (true) {
      const auto count = source->Read(step);
      if (!count) return Tell(std::nullopt, count.error().message());
      hash.Update(ByteView(step).first(*count));
      if (*count < step.size()) break;
    }
    if (hash.Finish() == *file_.stored_checksum) return;
    Tell(std::nullopt, "what " + Quoted(range.path) + " holds of it from byte " + std::to_string(range.offset) +
                           " on has not the SHA-1 that backup.manifest says");
  }

  // Each block that cannot be read; the whole where all can.
  void CheckBlocks() {
    const auto map = content_.MapOf(file_);
    if (!map) return Tell(std::nullopt, map.error().message());
    codec::Sha1 hash;
    std::vector<std::byte> block((*map)->block_size);
    for (uint64_t number = 0; number < (*map)->blocks.size(); ++number) {
      const uint64_t offset = number * (*map)->block_size;
      const MutableBytes bytes = MutableBytes(block).first(std::min<uint64_t>(block.size(), file_.size - offset));
      if (const auto read = content_.ReadBlock(file_, **map, number, bytes); !read) {
        const auto holder = (*map)->super_blocks[(*map)->blocks[number].super_block].holder;
        Tell(offset / kPage, read.error().message(), holder);
        continue;
      }
      hash.Update(bytes);
      CheckPages(offset, bytes);
    }
    const bool is_right = !told_ && file_.checksum && hash.Finish() == *file_.checksum;
    TellPages(is_right || !file_.checksum);
    if (!told_ && !is_right && file_.checksum) Tell(std::nullopt, "its SHA-1 is not the one in backup.manifest");
  }

  void CheckStream() {
    StreamEnd end = ReadStream(kReadStep);
    if (end.error) {  // once more, in small steps, to say where
      bad_.clear();
      pages_ = 0;
      end = ReadStream(kPage);
    }
    const bool is_whole = !end.error && end.size == file_.size;
    const bool is_right = is_whole && (!file_.checksum || end.digest == *file_.checksum);
    TellPages(is_right);
    if (is_right) return;
    if (end.error && end.size < file_.size) {
      const bool is_there = content_.files().SizeOf(content_.RangeOf(file_).path).has_value();
      return Tell(is_there ? std::optional(end.size / kPage) : std::nullopt, end.error->message());
    }
    if (told_) return;
    if (end.error) return Tell(std::nullopt, end.error->message());
    Tell(std::nullopt,
         is_whole ? "its SHA-1 is not the one in backup.manifest"
                  : "it unpacks to " + std::to_string(end.size) + " bytes instead of " + std::to_string(file_.size));
  }

  struct StreamEnd {
    uint64_t size = 0;  // what came
    codec::Sha1Digest digest{};
    std::optional<Error> error;  // why no more came
  };

  StreamEnd ReadStream(size_t step_size) {
    StreamEnd end;
    const auto source = content_.Unpack(file_);
    if (!source) {
      end.error = source.error();
      return end;
    }
    codec::Sha1 hash;
    std::vector<std::byte> step(step_size);
    while (end.size <= file_.size) {
      const auto count = (*source)->Read(step);
      if (!count) {
        end.error = count.error();
        return end;
      }
      const ByteView bytes = ByteView(step).first(*count);
      hash.Update(bytes);
      CheckPages(end.size, bytes);
      end.size += *count;
      if (*count < step.size()) break;
    }
    end.digest = hash.Finish();
    return end;
  }

  void CheckPages(uint64_t offset, ByteView bytes) {
    if (!first_in_fork_ || offset % kPage != 0) return;
    for (size_t at = 0; at + kPage <= bytes.size(); at += kPage) {
      const auto block = static_cast<uint32_t>((offset + at) / kPage);
      ++pages_;
      auto problem = image::CheckPage(bytes.subspan(at, kPage), block, *first_in_fork_ + block, rules_);
      if (problem) bad_.push_back(*std::move(problem));
    }
  }

  void TellPages(bool content_is_right) {
    const char* const known = content_is_right && file_.has_page_errors ? " (it was so when it was backed up)" : "";
    for (auto& page : image::DamagedPages(std::move(bad_), content_is_right)) Tell(page.block, page.problem + known);
  }

  const StoredContent& content_;
  const ManifestFile& file_;
  image::PageRules rules_;
  image::Findings& findings_;
  const std::optional<uint64_t> first_in_fork_;
  std::vector<BadPage> bad_;
  uint64_t pages_ = 0;
  bool told_ = false;
};

}  // namespace

Verified VerifyBackup(const BackupImage& image, const image::PageRules& rules, const VerifyOptions& options,
                      const std::function<void(const Damage&)>& report) {
  const auto& files = image.manifest().files;
  Verified verified{.files = files.size()};
  for (const auto& file : files) verified.bytes += file.size;
  if (options.progress != nullptr) options.progress->total += verified.bytes;
  image::Findings findings(report);
  std::atomic<uint64_t> pages = 0;
  ForEachInParallel(files.size(), options.threads, [&](size_t number) {
    const ManifestFile& file = files[number];
    if (file.size == 0) return;
    FileCheck check(image.content(), file, rules, findings);
    check.Run();
    pages += check.pages();
    if (options.progress != nullptr) options.progress->done += file.size;
  });
  verified.pages = pages;
  verified.damages = findings.damages();
  return verified;
}

}  // namespace pgstrata::pgbackrest
