#include "branch/branch/wal_inventory.h"

#include <algorithm>
#include <array>

namespace pgstrata::branch {
namespace {

constexpr std::string_view kWalDirectory = "pg_wal/";

// How far WAL goes in it: to the last byte that is not zero of the last page that says that it belongs where it is
// (XLogPageHeaderData: the address at byte 8).
Result<uint64_t> WrittenBytes(const image::ImageFile& segment) {
  constexpr uint64_t kAddressOffset = 8;
  std::array<std::byte, pgdata::kWalPageSize> page{};
  std::array<std::byte, pgdata::kWalPageSize> last{};
  uint64_t begin = 0;
  uint64_t first_address = 0;
  for (; begin + page.size() <= segment.size(); begin += page.size()) {
    PGS_TRY(segment.ReadAt(begin, page));
    const auto address = LoadLe<uint64_t>(page, kAddressOffset);
    if (begin == 0) first_address = address;
    if (address == 0 || address != first_address + begin) break;
    last = page;
  }
  if (begin == 0) return 0;
  const auto zeros = std::ranges::find_if(last.rbegin(), last.rend(), [](std::byte b) { return b != std::byte{0}; });
  return begin - static_cast<uint64_t>(zeros - last.rbegin());
}

}  // namespace

Result<WalInventory> WalInventory::Take(const image::Image& image,
                                        const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                                        WalPreference preference) {
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
    for (const auto& file : files) {
      const bool added = inventory.places_.emplace(file.name, Place{archive.get(), file.partial}).second;
      if (!added && preference == WalPreference::kFarthest) PGS_TRY(inventory.AddFarthest(*archive, file));
    }
  }
  return inventory;
}

// A whole segment of an archive has everything; of a partial one it takes a look.
Status WalInventory::AddFarthest(const image::WalArchive& archive, const image::WalFile& file) {
  Place& known = places_.at(file.name);
  if (!pgdata::LooksLikeSegmentName(file.name)) return {};
  const bool known_is_whole = known.archive != nullptr && !known.partial;
  if (known_is_whole) return {};
  if (file.partial) {
    if (known.archive != nullptr) return {};
    PGS_ASSIGN(const auto own, Open(file.name));
    PGS_ASSIGN(const uint64_t own_bytes, WrittenBytes(*own));
    PGS_ASSIGN(const auto archived, archive.Open(file.name));
    PGS_ASSIGN(const uint64_t archived_bytes, WrittenBytes(*archived));
    if (archived_bytes <= own_bytes) return {};
  }
  known = {.archive = &archive, .partial = file.partial};
  return {};
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

std::vector<std::string> WalInventory::Segments() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : places_) {
    if (pgdata::LooksLikeSegmentName(name)) names.push_back(name);
  }
  return names;
}

Result<size_t> InventoryWalSource::Read(const pgdata::WalSegment& segment, uint64_t offset, MutableBytes out) {
  const std::string name = pgdata::SegmentName(segment, segment_size_);
  if (name != open_name_) {
    PGS_ASSIGN(open_file_, inventory_.Open(name));
    open_name_ = name;
    used_.push_back(name);
  }
  if (offset >= open_file_->size()) return 0;
  const size_t count = std::min<uint64_t>(out.size(), open_file_->size() - offset);
  PGS_TRY(open_file_->ReadAt(offset, out.first(count)));
  return count;
}

}  // namespace pgstrata::branch
