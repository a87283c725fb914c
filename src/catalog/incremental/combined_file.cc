#include "catalog/incremental/combined_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "backup/image/page_checked_file.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::incremental {
namespace {

using pgdata::kPageSize;

class CombinedFile final : public image::ImageFile {
 public:
  CombinedFile(std::shared_ptr<const ChainFiles> files, std::string path, std::shared_ptr<const BlockMap> map)
      : files_(std::move(files)), path_(std::move(path)), map_(std::move(map)) {}

  [[nodiscard]] uint64_t size() const override { return uint64_t{map_->length()} * kPageSize; }

  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    while (!out.empty()) {
      const BlockMap::Run run = map_->Find(BlockAt(offset));
      const uint64_t skipped = offset % kPageSize;
      const auto piece = out.first(std::min<uint64_t>(out.size(), uint64_t{run.blocks} * kPageSize - skipped));
      if (!ReadRun(run, skipped, piece)) PGS_TRY(ReadBlockByBlock(offset, piece));
      offset += piece.size();
      out = out.subspan(piece.size());
    }
    return {};
  }

  [[nodiscard]] uint64_t NextData(uint64_t offset) const override {
    while (offset < size()) {
      const uint32_t block = BlockAt(offset);
      const BlockMap::Run run = map_->Find(block);
      if (run.kind != BlockMap::Kind::kZero) return offset;
      offset = (uint64_t{block} + run.blocks) * kPageSize;
    }
    return size();
  }

 private:
  static uint32_t BlockAt(uint64_t offset) { return static_cast<uint32_t>(offset / kPageSize); }

  // After a read that failed: finds the block that cannot be read.
  Status ReadBlockByBlock(uint64_t offset, MutableBytes out) const {
    while (!out.empty()) {
      const uint64_t skipped = offset % kPageSize;
      const auto piece = out.first(std::min<uint64_t>(out.size(), kPageSize - skipped));
      auto read = ReadRun(map_->Find(BlockAt(offset)), skipped, piece);
      if (!read)
        return Fail(std::move(read).error().Wrap(fmt::format("block {} of {}", BlockAt(offset), Quoted(path_))));
      offset += piece.size();
      out = out.subspan(piece.size());
    }
    return {};
  }

  Status ReadRun(const BlockMap::Run& run, uint64_t skipped, MutableBytes out) const {
    switch (run.kind) {
      case BlockMap::Kind::kZero:
        std::ranges::fill(out, std::byte{0});
        return {};
      case BlockMap::Kind::kLost:
        return Fail(*map_->lost_because());
      case BlockMap::Kind::kFull:
        return ReadFrom(run.backup, path_, run.offset + skipped, out);
      case BlockMap::Kind::kIncremental:
        break;
    }
    return ReadFrom(run.backup, IncrementalPath(path_), run.offset + skipped, out);
  }

  Status ReadFrom(uint16_t backup, const std::string& path, uint64_t offset, MutableBytes out) const {
    const auto in_backup = [&](Error error) {
      return Fail(std::move(error).Wrap("from the backup " + Quoted(files_->image(backup).name())));
    };
    const auto file = files_->Open(backup, path);
    if (!file) return in_backup(file.error());
    const uint64_t size = (*file)->size();
    if (offset > size || out.size() > size - offset) {
      return in_backup(Error(ErrorCode::kCorrupt, fmt::format("{} is cut short: it has {} bytes, and byte {} is needed",
                                                              Quoted(path), size, offset + out.size())));
    }
    auto read = (*file)->ReadAt(offset, out);
    if (!read) return in_backup(std::move(read).error());
    return {};
  }

  const std::shared_ptr<const ChainFiles> files_;
  const std::string path_;
  const std::shared_ptr<const BlockMap> map_;
};

class CutFile final : public image::ImageFile {
 public:
  CutFile(std::unique_ptr<image::ImageFile> file, uint64_t size, Error error)
      : file_(std::move(file)), size_(size), error_(std::move(error)) {}

  [[nodiscard]] uint64_t size() const override { return size_; }
  Status ReadAt(uint64_t offset, MutableBytes out) const override {
    if (offset + out.size() <= file_->size()) return file_->ReadAt(offset, out);
    const uint64_t lost = std::max(offset, file_->size()) / kPageSize;
    return Fail(Error(error_).Wrap(fmt::format("block {}", lost)));
  }

 private:
  const std::unique_ptr<image::ImageFile> file_;
  const uint64_t size_;
  const Error error_;
};

}  // namespace

std::unique_ptr<image::ImageFile> MakeCutFile(std::unique_ptr<image::ImageFile> file, uint64_t size, Error error) {
  return std::make_unique<CutFile>(std::move(file), size, std::move(error));
}

Result<std::unique_ptr<image::ImageFile>> OpenCombinedFile(std::shared_ptr<const ChainFiles> files, std::string path) {
  PGS_ASSIGN(const auto map, files->Map(path));
  auto combined = std::make_unique<CombinedFile>(files, path, map);
  const auto first_in_fork = image::FirstBlockToRefuseOf(path);
  if (!first_in_fork || !files->chain().back().facts.data_checksums) return combined;
  return image::MakePageCheckedFile(
      std::move(combined), std::move(path), *first_in_fork, [files, map](uint32_t block) -> image::PageOrigin {
        const auto run = map->Find(block);
        const bool is_there = run.kind == BlockMap::Kind::kFull || run.kind == BlockMap::Kind::kIncremental;
        const auto& from = files->chain()[is_there ? run.backup : files->newest()];
        return {.backup = from.image->name(), .rules = from.facts.page_rules()};
      });
}

}  // namespace pgstrata::incremental
