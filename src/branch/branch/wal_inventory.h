// All WAL at hand for one cluster: its own pg_wal and the archives, in the order of the command line.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "foundation/base/error.h"
#include "postgres/pgdata/timeline_history.h"
#include "postgres/pgdata/wal_reader.h"

namespace pgstrata::branch {

// Where a file lies both in the cluster's own pg_wal and in an archive.
enum class WalPreference {
  kOwn,
  // The longer one. A backup's own last segment may end where the backup does; the archive's goes on.
  kFarthest,
};

class WalInventory {
 public:
  struct Place {
    const image::WalArchive* archive = nullptr;  // null: the cluster's own pg_wal
    bool partial = false;
  };

  // `image` and `archives` outlive it.
  static Result<WalInventory> Take(const image::Image& image,
                                   const std::vector<std::unique_ptr<image::WalArchive>>& archives,
                                   WalPreference preference = WalPreference::kOwn);

  [[nodiscard]] bool Has(const std::string& name) const { return places_.contains(name); }
  // Where `name`, which is there, lies.
  [[nodiscard]] const Place& PlaceOf(const std::string& name) const { return places_.at(name); }
  Result<std::unique_ptr<image::ImageFile>> Open(const std::string& name) const;
  // That of `timeline`, from its history file where there is one.
  Result<pgdata::TimelineHistory> History(TimelineId timeline) const;
  // The names of all timeline history files (NNNNNNNN.history).
  [[nodiscard]] std::vector<std::string> Histories() const { return NamesWithSuffix(".history"); }
  // The names of all backup history files (NAME.OFFSET.backup).
  [[nodiscard]] std::vector<std::string> BackupHistories() const { return NamesWithSuffix(".backup"); }

  // The names of all segments.
  [[nodiscard]] std::vector<std::string> Segments() const;

 private:
  Status AddFarthest(const image::WalArchive& archive, const image::WalFile& file);
  [[nodiscard]] std::vector<std::string> NamesWithSuffix(std::string_view suffix) const;

  const image::Image* image_ = nullptr;
  std::map<std::string, Place> places_;
};

// Whether the segment says that it begins at `start`: one that PostgreSQL renamed, to use it again, says what it was.
Result<bool> BeginsAt(const image::ImageFile& segment, Lsn start);

// The inventory as WalReader wants it.
class InventoryWalSource final : public pgdata::WalSource {
 public:
  InventoryWalSource(const WalInventory& inventory, pgdata::WalSegmentSize segment_size)
      : inventory_(inventory), segment_size_(segment_size) {}
  Result<size_t> Read(const pgdata::WalSegment& segment, uint64_t offset, MutableBytes out) override;
  // The names of the segments that were read, in their order.
  [[nodiscard]] const std::vector<std::string>& used() const { return used_; }

 private:
  const WalInventory& inventory_;
  pgdata::WalSegmentSize segment_size_;
  std::string open_name_;
  std::unique_ptr<image::ImageFile> open_file_;
  std::vector<std::string> used_;
};

}  // namespace pgstrata::branch
