#include "branch/branch/wal_inventory.h"

#include <algorithm>

namespace pgstrata::branch {
namespace {

constexpr std::string_view kWalDirectory = "pg_wal/";

}  // namespace

Result<WalInventory> WalInventory::Take(const image::Image& image,
                                        const std::vector<std::unique_ptr<image::WalArchive>>& archives) {
  WalInventory inventory;
  inventory.image_ = &image;
  const auto own = image.List("pg_wal");
  if (!own && own.error().code() != ErrorCode::kNotFound) return std::unexpected(own.error());
  if (own) {
    for (const auto& entry : *own) {
      if (entry.kind == image::EntryKind::kFile) inventory.places_.emplace(entry.name, Place{});
    }
  }
  for (const auto& archive : archives) {
    PGS_ASSIGN(const auto files, archive->List());
    for (const auto& file : files) inventory.places_.emplace(file.name, Place{archive.get(), file.partial});
  }
  return inventory;
}

Result<std::unique_ptr<image::ImageFile>> WalInventory::Open(const std::string& name) const {
  const auto place = places_.find(name);
  if (place == places_.end()) return Fail(ErrorCode::kNotFound, "there is no WAL file \"" + name + '"');
  if (place->second.archive != nullptr) return place->second.archive->Open(name);
  return image_->Open(std::string(kWalDirectory) + name);
}

Result<pgdata::TimelineHistory> WalInventory::History(TimelineId timeline) const {
  const std::string name = pgdata::HistoryName(timeline);
  if (!Has(name)) return pgdata::TimelineHistory(timeline);
  PGS_ASSIGN(const auto file, Open(name));
  std::string text(file->size(), '\0');
  PGS_TRY(file->ReadAt(0, std::as_writable_bytes(std::span(text))));
  return pgdata::TimelineHistory::Parse(timeline, text);
}

std::vector<std::string> WalInventory::NamesWithSuffix(std::string_view suffix) const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) {
    if (name.ends_with(suffix)) names.push_back(name);
  }
  return names;
}

Result<size_t> InventoryWalSource::Read(const pgdata::WalSegment& segment, uint64_t offset, MutableBytes out) {
  const std::string name = pgdata::SegmentName(segment, segment_size_);
  if (name != open_name_) {
    PGS_ASSIGN(open_file_, inventory_.Open(name));
    open_name_ = name;
  }
  if (offset >= open_file_->size()) return 0;
  const size_t count = std::min<uint64_t>(out.size(), open_file_->size() - offset);
  PGS_TRY(open_file_->ReadAt(offset, out.first(count)));
  return count;
}

}  // namespace pgstrata::branch
