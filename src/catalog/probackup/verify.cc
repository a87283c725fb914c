#include "catalog/probackup/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backup/image/page_check.h"
#include "catalog/probackup/chain.h"
#include "catalog/probackup/layer_index.h"
#include "catalog/probackup/page_record.h"
#include "catalog/probackup/plain_file.h"
#include "foundation/base/parallel.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/crc32c.h"

namespace pgstrata::probackup {
namespace {

constexpr uint64_t kVerifyStep = 1 << 20;
constexpr uint64_t kMapKey = ~0ULL;

using image::Findings;

// One file of one backup.
class FileVerification {
 public:
  // `key` is the entry's alone.
  FileVerification(const BackupDirectory& backup, const ContentEntry& entry, uint64_t key, Findings& findings)
      : backup_(backup), entry_(entry), key_(key), findings_(findings) {}

  void Run() {
    const auto stream = backup_.OpenFile(key_, backup_.PathOf(entry_.external, entry_.path));
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
  [[nodiscard]] Error OtherSize(uint64_t size) const {
    return Error(ErrorCode::kCorrupt, fmt::format("it has {} bytes, and {} when it was backed up", size, *entry_.size));
  }

  Status VerifyPlain(const image::NativeFile& file) {
    std::vector<std::byte> buffer(std::min(file.size(), kVerifyStep));
    std::vector<image::BadPage> bad;
    uint32_t crc = 0;
    for (uint64_t offset = 0; offset < file.size();) {
      const auto piece = MutableBytes(buffer).first(std::min<uint64_t>(buffer.size(), file.size() - offset));
      PGS_TRY(file.ReadAt(offset, piece));
      crc = pgdata::Crc32c(piece, crc);
      CheckPages(offset, piece, bad);
      offset += piece.size();
    }
    if (file.size() != *entry_.size) return Fail(OtherSize(file.size()));
    const ChainFile name{.external = entry_.external, .number = 0, .path = entry_.path};
    const bool is_right = crc == entry_.crc || (file.size() <= buffer.size() && HasChecksum(name, buffer, entry_.crc));
    for (const auto& page : image::DamagedPages(std::move(bad), is_right)) {
      Tell(page.block, Error(ErrorCode::kCorrupt, page.problem));
    }
    if (is_right || told_) return {};
    return Fail(ErrorCode::kCorrupt, fmt::format("its checksum is {} and should be {}", crc, entry_.crc));
  }

  // The other forks of relations are kept as they are, and were copied without looking at their pages.
  void CheckPages(uint64_t offset, ByteView bytes, std::vector<image::BadPage>& bad) {
    const auto first = entry_.external == 0 && !entry_.is_cfs ? image::FirstBlockOf(entry_.path) : std::nullopt;
    if (!first) return;
    const BackupControl& control = backup_.control();
    const auto rules = image::RulesOf(
        entry_.path, {.checksums = control.data_checksums, .torn_from = control.start, .torn_until = control.stop});
    for (size_t at = 0; at + kPageBytes <= bytes.size(); at += kPageBytes) {
      const auto block = static_cast<uint32_t>((offset + at) / kPageBytes);
      ++pages_;
      auto problem = image::CheckPage(bytes.subspan(at, kPageBytes), block, *first + block, rules);
      if (problem) bad.push_back(*std::move(problem));
    }
  }

  void VerifyStream(const image::NativeFile& stream) {
    const StoredCopy copy{.compression = entry_.compression,
                          .crc = entry_.crc,
                          .size = *entry_.size,
                          .header_map = entry_.header_map.value_or(HeaderMapPlace{})};
    const auto from_map = entry_.header_map && !HasLostMap() ? std::optional(ReadMap(copy)) : std::nullopt;
    if (from_map && !*from_map) Tell(std::nullopt, Error(from_map->error()).Wrap("its page header map"));
    const bool has_index = from_map && *from_map;
    if (has_index) VerifyPages(**from_map, stream);
    if (stream.size() != copy.size) {
      if (!has_index || !told_) Tell(std::nullopt, OtherSize(stream.size()));
      return;
    }
    const auto walked = IndexFromStream(stream, copy, backup_.control().version);
    if (!walked) {
      if (!has_index || !told_) Tell(std::nullopt, walked.error());
      return;
    }
    if (!has_index) VerifyPages(walked->pages, stream);
    if (walked->suspect && !told_) {
      Tell(std::nullopt, Error(ErrorCode::kCorrupt, "its checksum or its number of pages is not what the list says"));
    }
  }

  // It is told once, and not of each file.
  [[nodiscard]] bool HasLostMap() const { return !io::Exists(JoinPath(backup_.path(), kHeaderMapName)); }
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
      if (place.offset + bytes > stream.size()) return Tell(block, OtherSize(stream.size()));  // and all behind it
      if (place.offset < begin || place.offset + bytes > begin + records.size()) {
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

// All files of a chain's backups, as one list of work.
class ChainVerification {
 public:
  ChainVerification(const std::vector<std::unique_ptr<BackupDirectory>>& backups, Findings& findings)
      : backups_(backups), findings_(findings) {
    for (size_t number = 0; number < backups.size(); ++number) List(number);
  }

  Verified Run(const VerifyOptions& options) {
    Verified verified{.files = work_.size()};
    for (const auto& item : work_) verified.bytes += *item.entry.size;
    if (options.progress != nullptr) options.progress->total += verified.bytes;
    std::atomic<uint64_t> pages = 0;
    ForEachInParallel(work_.size(), options.threads, [&](size_t number) {
      const Work& item = work_[number];
      FileVerification file(*backups_[item.backup], item.entry, number, findings_);
      file.Run();
      pages += file.pages();
      if (options.progress != nullptr) options.progress->done += *item.entry.size;
    });
    verified.pages = pages;
    return verified;
  }

 private:
  struct Work {
    size_t backup = 0;
    ContentEntry entry;
  };

  void List(size_t number) {
    const BackupDirectory& backup = *backups_[number];
    auto entries = StoredEntries(backup);
    if (!entries) return TellOfList(backup, entries.error().message());
    const bool has_map = std::ranges::any_of(*entries, [](const auto& entry) { return entry.header_map.has_value(); });
    if (has_map && !io::Exists(JoinPath(backup.path(), kHeaderMapName))) {
      TellOfList(backup, "its " + std::string(kHeaderMapName) + " is missing");
    }
    for (auto& entry : *entries) work_.push_back({.backup = number, .entry = std::move(entry)});
  }

  void TellOfList(const BackupDirectory& backup, std::string problem) {
    findings_.Add({.backup = backup.control().id, .path = {}, .block = {}, .problem = std::move(problem)});
  }

  const std::vector<std::unique_ptr<BackupDirectory>>& backups_;
  Findings& findings_;
  std::vector<Work> work_;
};

// What the newest list shows and no backup of the chain holds.
void FindLost(const FileTree& tree, uint32_t number, const std::string& path, const std::string& backup,
              Findings& findings) {
  const FileNode& node = tree.node(number);
  if (node.lost) {
    findings.Add({.backup = backup, .path = path, .block = {}, .problem = "no backup of the chain holds its bytes"});
  }
  for (const uint32_t child : node.children) {
    FindLost(tree, child, JoinPath(path, tree.node(child).name), backup, findings);
  }
}

}  // namespace

Result<Verified> VerifyChain(const std::string& directory, bool force, const VerifyOptions& options,
                             const std::function<void(const Damage&)>& report) {
  PGS_ASSIGN(const auto lock, LockChain(directory, force));
  PGS_ASSIGN(const auto backups, FindChain(directory, force));
  Findings findings(report);
  Verified verified = ChainVerification(backups, findings).Run(options);
  if (const auto chain = Chain::Open(directory, force)) {  // where not, a list is damaged, which is told
    FindLost((*chain)->tree(0), FileTree::kRoot, "", (*chain)->control().id, findings);
  }
  verified.damages = findings.damages();
  return verified;
}

}  // namespace pgstrata::probackup
