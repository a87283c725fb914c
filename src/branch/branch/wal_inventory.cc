#include "branch/branch/wal_inventory.h"

#include <algorithm>
#include <array>
#include <optional>

namespace pgstrata::branch {
namespace {

constexpr std::string_view kWalDirectory = "pg_wal/";

constexpr uint64_t kAddressOffset = 8;       // XLogPageHeaderData
constexpr uint64_t kSegmentSizeOffset = 32;  // XLogLongPageHeaderData, of a segment's first page

// Where the segment `name` begins, whose size its first page says. PostgreSQL renames segments that it will use again,
// with what they held.
std::optional<uint64_t> BeginningOf(const std::string& name, ByteView first_page) {
  const auto size = pgdata::WalSegmentSize::FromBytes(LoadLe<uint32_t>(first_page, kSegmentSizeOffset));
  const auto segment = size ? pgdata::ParseSegmentName(name, *size) : std::nullopt;
  if (!segment) return std::nullopt;
  return pgdata::SegmentStart(segment->number, *size).value;
}

// How far WAL goes in it: to the last byte that is not zero of the last page that says that it belongs where it is.
Result<uint64_t> WrittenBytes(const std::string& name, const image::ImageFile& segment) {
  std::array<std::byte, pgdata::kWalPageSize> page{};
  std::array<std::byte, pgdata::kWalPageSize> last{};
  uint64_t begin = 0;
  uint64_t first_address = 0;
  for (; begin + page.size() <= segment.size(); begin += page.size()) {
    PGS_TRY(segment.ReadAt(begin, page));
    const auto address = LoadLe<uint64_t>(page, kAddressOffset);
    if (begin == 0) {
      first_address = address;
      if (BeginningOf(name, page) != address) return 0;
    }
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
    PGS_ASSIGN(const auto own, Open(file.name));
    PGS_ASSIGN(const uint64_t own_bytes, WrittenBytes(file.name, *own));
    PGS_ASSIGN(const auto archived, archive.Open(file.name));
    PGS_ASSIGN(const uint64_t archived_bytes, WrittenBytes(file.name, *archived));
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

Result<bool> BeginsAt(const image::ImageFile& segment, Lsn start) {
  std::array<std::byte, kAddressOffset + sizeof(uint64_t)> header{};
  if (segment.size() < header.size()) return false;
  PGS_TRY(segment.ReadAt(0, header));
  return LoadLe<uint64_t>(header, kAddressOffset) == start.value;
}

Result<size_t> InventoryWalSource::Read(const pgdata::WalSegment& segment, uint64_t offset, MutableBytes out) {
  const std::string name = pgdata::SegmentName(segment, segment_size_);
  if (name != open_name_) {
    PGS_ASSIGN(open_file_, inventory_.Open(name));
    open_name_ = name;
    if (std::ranges::find(used_, name) == used_.end()) used_.push_back(name);
  }
  if (offset >= open_file_->size()) return 0;
  const size_t count = std::min<uint64_t>(out.size(), open_file_->size() - offset);
  PGS_TRY(open_file_->ReadAt(offset, out.first(count)));
  return count;
}

}  // namespace pgstrata::branch
