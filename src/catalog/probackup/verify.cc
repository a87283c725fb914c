#include "catalog/probackup/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "catalog/probackup/chain.h"
#include "catalog/probackup/layer_index.h"
#include "catalog/probackup/page_record.h"
#include "catalog/probackup/plain_file.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/crc32c.h"

namespace pgstrata::probackup {
namespace {

constexpr uint64_t kVerifyStep = 1 << 20;
constexpr uint64_t kMapKey = ~0ULL;

class Findings {
 public:
  explicit Findings(const std::function<void(const Damage&)>& report) : report_(report) {}

  void Add(const Damage& damage) {
    const std::lock_guard lock(mutex_);
    ++damages_;
    report_(damage);
  }
  [[nodiscard]] uint64_t damages() const {
    const std::lock_guard lock(mutex_);
    return damages_;
  }

 private:
  const std::function<void(const Damage&)>& report_;
  mutable std::mutex mutex_;
  uint64_t damages_ = 0;  // guarded by mutex_
};

// One file of one backup.
class FileVerification {
 public:
  // `key` is the entry's alone.
  FileVerification(const BackupDirectory& backup, const ContentEntry& entry, uint64_t key, Findings& findings)
      : backup_(backup), entry_(entry), key_(key), findings_(findings) {}

  void Run() {
    const auto stream = backup_.OpenFile(key_, backup_.PathOf(entry_.external, entry_.path), *entry_.size);
    if (!stream) {
      Tell(std::nullopt, stream.error());
    } else if (entry_.HasPages()) {
      VerifyStream(**stream);
    } else if (const auto plain = VerifyPlain(**stream); !plain) {
      Tell(std::nullopt, plain.error());
    }
  }
  [[nodiscard]] uint64_t pages() const { return pages_; }

 private:
  void Tell(std::optional<uint32_t> block, const Error& error) {
    told_ = true;
    const std::string root = entry_.external == 0 ? "" : "externaldir" + std::to_string(entry_.external);
    findings_.Add({.backup = backup_.control().id,
                   .path = JoinPath(root, entry_.path),
                   .block = block,
                   .problem = error.message()});
  }

  Status VerifyPlain(const image::NativeFile& file) const {
    std::vector<std::byte> buffer(std::min(file.size(), kVerifyStep));
    uint32_t crc = 0;
    for (uint64_t offset = 0; offset < file.size();) {
      const auto piece = MutableBytes(buffer).first(std::min<uint64_t>(buffer.size(), file.size() - offset));
      PGS_TRY(file.ReadAt(offset, piece));
      crc = pgdata::Crc32c(piece, crc);
      offset += piece.size();
    }
    const ChainFile name{.external = entry_.external, .number = 0, .path = entry_.path};
    if (crc == entry_.crc || (file.size() <= buffer.size() && HasChecksum(name, buffer, entry_.crc))) return {};
    return Fail(ErrorCode::kCorrupt, fmt::format("its checksum is {} and should be {}", crc, entry_.crc));
  }

  void VerifyStream(const image::NativeFile& stream) {
    const StoredCopy copy{.compression = entry_.compression,
                          .crc = entry_.crc,
                          .size = *entry_.size,
                          .header_map = entry_.header_map.value_or(HeaderMapPlace{})};
    std::optional<PageIndex> from_map;
    if (entry_.header_map) {
      auto index = ReadMap(copy);
      if (index) {
        from_map = *std::move(index);
      } else {
        Tell(std::nullopt, index.error());
      }
    }
    auto walked = IndexFromStream(stream, copy, backup_.control().version);
    if (!walked) Tell(std::nullopt, walked.error());
    if (from_map) {
      VerifyPages(*from_map, stream);
    } else if (walked) {
      VerifyPages(walked->pages, stream);
    }
    if (walked && walked->suspect && !told_) {
      Tell(std::nullopt, Error(ErrorCode::kCorrupt, "its checksum or its number of pages is not what the list says"));
    }
  }

  Result<PageIndex> ReadMap(const StoredCopy& copy) const {
    PGS_ASSIGN(const auto map, backup_.OpenFile(kMapKey, JoinPath(backup_.path(), kHeaderMapName)));
    return IndexFromHeaderMap(*map, copy.header_map, copy.size);
  }

  void VerifyPages(const PageIndex& index, const image::NativeFile& stream) {
    std::vector<std::byte> records;
    std::vector<std::byte> page(kPageBytes);
    uint64_t begin = 0;  // of `records` in the stream
    for (uint32_t block = 0; block < index.end(); ++block) {
      if (!index.Has(block)) continue;
      const PageIndex::Place place = index.PlaceOf(block);
      const uint64_t bytes = kRecordHeaderBytes + place.size;
      if (place.offset + bytes > stream.size()) break;  // told already: the stream has another size
      if (place.offset + bytes > begin + records.size()) {
        begin = place.offset;
        records.resize(std::min(kVerifyStep, stream.size() - begin));
        if (const auto read = stream.ReadAt(begin, records); !read) return Tell(block, read.error());
      }
      ++pages_;
      const auto decoded = DecodeRecord(ByteView(records).subspan(place.offset - begin, bytes), place,
                                        entry_.compression, ProofOf(block), page);
      if (!decoded) Tell(block, decoded.error());
    }
  }

  [[nodiscard]] PageProof ProofOf(uint32_t block) const {
    const uint64_t in_fork = uint64_t{entry_.segment} * kBlocksOfSegment + block;
    return {.block = block,
            .in_fork = {static_cast<uint32_t>(in_fork)},
            .data_checksums = backup_.control().data_checksums};
  }

  const BackupDirectory& backup_;
  const ContentEntry& entry_;
  const uint64_t key_;
  Findings& findings_;
  uint64_t pages_ = 0;
  bool told_ = false;
};

// The entries that have bytes in the backup.
Result<std::vector<ContentEntry>> StoredEntries(const BackupDirectory& backup) {
  std::vector<ContentEntry> entries;
  PGS_ASSIGN(const std::string text, backup.ReadContentList());
  PGS_TRY(ParseContentList(text, [&](ContentEntry&& entry) -> Status {
    if (entry.IsRegular() && entry.size.value_or(0) > 0) entries.push_back(std::move(entry));
    return {};
  }));
  return entries;
}

void VerifyBackup(const BackupDirectory& backup, unsigned threads, Findings& findings, Verified& verified) {
  const auto entries = StoredEntries(backup);
  if (!entries) {
    findings.Add({.backup = backup.control().id, .path = {}, .block = {}, .problem = entries.error().message()});
    return;
  }
  std::atomic<size_t> next = 0;
  std::atomic<uint64_t> pages = 0;
  const auto work = [&] {
    for (size_t i = next++; i < entries->size(); i = next++) {
      FileVerification file(backup, (*entries)[i], i, findings);
      file.Run();
      pages += file.pages();
    }
  };
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 1; i < threads; ++i) workers.emplace_back(work);
    work();
  }
  verified.files += entries->size();
  verified.pages += pages;
  for (const auto& entry : *entries) verified.bytes += *entry.size;
}

}  // namespace

Result<Verified> VerifyChain(const std::string& directory, bool force, unsigned threads,
                             const std::function<void(const Damage&)>& report) {
  PGS_ASSIGN(const auto backups, FindChain(directory, force));
  Verified verified;
  Findings findings(report);
  for (const auto& backup : backups) VerifyBackup(*backup, threads, findings, verified);
  verified.damages = findings.damages();
  return verified;
}

}  // namespace pgstrata::probackup
