#include "branch/branch/wal_copy.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "backup/image/native_file.h"
#include "branch/branch/branch_directory.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::branch {
namespace {

constexpr uint64_t kPiece = 128ULL << 10;
// Around a checkpoint record: more than any page of WAL (64 KiB) on either side.
constexpr uint64_t kAround = 128ULL << 10;
// From the end of a segment a checkpoint record may go on in the next one.
constexpr uint64_t kLongestRecord = 8192;

Status CopyRange(const image::ImageFile& from, io::File& to, uint64_t begin, uint64_t end) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPiece);
  for (uint64_t offset = from.NextData(begin); offset < end;) {
    const MutableBytes piece(buffer.get(), std::min(kPiece, end - offset));
    PGS_TRY(from.ReadAt(offset, piece));
    PGS_TRY(to.WriteAt(offset, piece));
    offset = from.NextData(offset + piece.size());
  }
  return {};
}

class Copying {
 public:
  Copying(std::string directory, const io::UserIdentity& owner, io::SyncBatch& syncs)
      : directory_(std::move(directory)), owner_(owner), syncs_(syncs) {}

  Status Begin() {
    syncs_.AddDirectory(directory_);
    return MakeOwnedDirectory(directory_, owner_);
  }

  // `ranges`: none copies all.
  Status Copy(const std::string& name, const image::ImageFile& file,
              const std::vector<std::pair<uint64_t, uint64_t>>& ranges) {
    const std::string path = JoinPath(directory_, name);
    PGS_ASSIGN(io::File copy, io::File::Open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW));
    PGS_TRY(copy.Truncate(file.size()));
    if (ranges.empty()) PGS_TRY(CopyRange(file, copy, 0, file.size()));
    for (const auto& [begin, end] : ranges) PGS_TRY(CopyRange(file, copy, begin, std::min(end, file.size())));
    if (owner_.uid != ::geteuid()) PGS_TRY(io::ChangeOwner(path, owner_.uid, owner_.gid));
    return syncs_.Add(std::move(copy));
  }

 private:
  std::string directory_;
  const io::UserIdentity& owner_;
  io::SyncBatch& syncs_;
};

}  // namespace

WalToCopy WalOfSource(const ClusterFacts& facts, const RecoveryPlan& plan, const WalInventory& inventory) {
  WalToCopy wal{.only_checkpoint = facts.kind == ClusterKind::kStopped,
                .redo = facts.redo,
                .segment_size = facts.control.wal_segment_size,
                .segments = plan.segments,
                .histories = inventory.Histories(),
                .open = [&inventory](const std::string& name) { return inventory.Open(name); }};
  return wal;
}

Result<WalToCopy> WalOfDirectory(const ClusterFacts& facts, const std::string& directory) {
  const auto size = facts.control.wal_segment_size;
  const uint64_t first = pgdata::SegmentNumber(facts.redo, size);
  WalToCopy wal{.only_checkpoint = facts.kind == ClusterKind::kStopped, .redo = facts.redo, .segment_size = size};
  wal.open = [directory](const std::string& name) -> Result<std::unique_ptr<image::ImageFile>> {
    PGS_ASSIGN(auto file, image::OpenNativeFile(JoinPath(directory, name)));
    return file;
  };
  PGS_ASSIGN(const auto names, io::ListDirectory(directory));
  bool has_first = false;
  for (const auto& name : names) {
    const auto parsed = pgdata::ParseWalFileName(name, size);
    if (!parsed) continue;
    if (parsed->kind == pgdata::WalFileKind::kHistory) wal.histories.push_back(name);
    if (parsed->kind != pgdata::WalFileKind::kSegment || parsed->segment < first) continue;
    has_first = has_first || parsed->segment == first;
    wal.segments.push_back(name);
  }
  if (has_first) return wal;
  return Fail(ErrorCode::kMissingWal, Quoted(directory) + " does not hold the WAL of " + facts.redo.ToString());
}

Status CopyWal(const WalToCopy& wal, const std::string& directory, const io::UserIdentity& owner,
               io::SyncBatch& syncs) {
  Copying copying(directory, owner, syncs);
  PGS_TRY(copying.Begin());
  const auto size = wal.segment_size;
  const uint64_t first = pgdata::SegmentNumber(wal.redo, size);
  const uint64_t redo = wal.redo.value - pgdata::SegmentStart(first, size).value;
  const uint64_t last = redo + kLongestRecord > size.bytes() ? first + 1 : first;
  for (const auto& name : wal.segments) {
    const auto segment = pgdata::ParseSegmentName(name, size);
    if (!segment || (wal.only_checkpoint && segment->number > last)) continue;
    PGS_ASSIGN(const auto file, wal.open(name));
    PGS_ASSIGN(const bool in_place, BeginsAt(*file, pgdata::SegmentStart(segment->number, size)));
    if (!in_place) continue;
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    if (wal.only_checkpoint && segment->number == first) {
      const uint64_t begin = redo > kAround ? (redo - kAround) / kAround * kAround : 0;
      ranges = {{0, std::min(kAround, size.bytes())}, {begin, redo + 2 * kAround}};
    }
    PGS_TRY(copying.Copy(name, *file, ranges));
  }
  for (const auto& name : wal.histories) {
    PGS_ASSIGN(const auto file, wal.open(name));
    PGS_TRY(copying.Copy(name, *file, {}));
  }
  return {};
}

Status CopyWalDirectory(const std::string& from, const std::string& to, const io::UserIdentity& owner,
                        io::SyncBatch& syncs) {
  Copying copying(to, owner, syncs);
  PGS_TRY(copying.Begin());
  PGS_ASSIGN(const auto names, io::ListDirectory(from));
  for (const auto& name : names) {
    PGS_ASSIGN(const auto file, image::OpenNativeFile(JoinPath(from, name)));
    PGS_TRY(copying.Copy(name, *file, {}));
  }
  return {};
}

}  // namespace pgstrata::branch
