#include "catalog/incremental/verify.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "catalog/incremental/manifest_digest.h"
#include "foundation/base/parallel.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::incremental {
namespace {

using image::BadPage;
using image::Findings;
using pgdata::kPageSize;

constexpr uint64_t kReadStep = 1 << 20;
constexpr uint64_t kLargestManifest = 1ULL << 30;
constexpr std::string_view kAutoConf = "postgresql.auto.conf";

// pg_verifybackup's list.
bool MayBeUnlisted(std::string_view path) {
  constexpr std::array<std::string_view, 4> kIgnored = {pgdata::kBackupManifestPath, kAutoConf, "recovery.signal",
                                                        "standby.signal"};
  return path.starts_with("pg_wal/") || std::ranges::find(kIgnored, path) != kIgnored.end();
}

// One file to read; without `listed` for its pages alone.
struct Item {
  std::string path;
  uint64_t size = 0;
  const pgdata::ManifestFile* listed = nullptr;
};

// Where pages lie in a file, and which they are.
struct PageLayout {
  uint64_t first_in_fork = 0;
  std::optional<IncrementalHeader> header;  // of an INCREMENTAL file

  [[nodiscard]] uint64_t data() const { return header ? header->data_offset : 0; }
  // The block of its file that the page at `offset` is; nothing where that is no page.
  [[nodiscard]] std::optional<uint32_t> BlockAt(uint64_t offset) const {
    if (offset < data()) return std::nullopt;
    const uint64_t index = (offset - data()) / kPageSize;
    if (!header) return static_cast<uint32_t>(index);
    return index < header->blocks.size() ? std::optional(header->blocks[index]) : std::nullopt;
  }
};

// "base/5/INCREMENTAL.1259" is "base/5/1259"; nothing for other paths.
std::optional<std::string> CombinedPath(std::string_view path) {
  const auto [directory, name] = SplitLast(path);
  if (!name.starts_with(kIncrementalPrefix)) return std::nullopt;
  return JoinPath(directory, name.substr(kIncrementalPrefix.size()));
}

class FileCheck {
 public:
  FileCheck(const image::Image& backup, const image::PageRules& rules, const VerifyOptions& options, Findings& findings)
      : backup_(backup), rules_(rules), options_(options), findings_(findings) {}

  void Run(const Item& item) {
    path_ = item.path;
    const auto path = image::FollowLinks(backup_, item.path);
    const auto file = path ? backup_.Open(*path) : Result<std::unique_ptr<image::ImageFile>>(Fail(path.error()));
    if (!file) {
      const bool missing = file.error().code() == ErrorCode::kNotFound;
      return Tell(std::nullopt, missing ? "it is missing" : file.error().message());
    }
    if (!FindLayout(**file)) return;
    const bool may_grow = item.path == kAutoConf;  // pg_basebackup -R appends to it
    const bool has_size = item.listed == nullptr || (*file)->size() == item.listed->size ||
                          (may_grow && (*file)->size() > item.listed->size);
    if (!has_size) {
      Tell(std::nullopt,
           "it has " + std::to_string((*file)->size()) + " bytes, not " + std::to_string(item.listed->size));
    }
    const uint64_t end = has_size && item.listed != nullptr ? item.listed->size : (*file)->size();
    std::optional<ManifestDigest> digest;
    if (item.listed != nullptr && has_size) digest.emplace(item.listed->algorithm);
    Read(**file, end, digest ? &*digest : nullptr);
    const bool is_right = has_size && !unreadable_ && (!digest || digest->Finish() == item.listed->checksum);
    TellPages(is_right);
    if (!is_right && has_size && !told_) Tell(std::nullopt, "its checksum is not that of the manifest");
  }
  [[nodiscard]] uint64_t pages() const { return pages_; }

 private:
  void Tell(std::optional<uint64_t> block, std::string problem) {
    told_ = true;
    findings_.Add({.backup = backup_.name(), .path = path_, .block = block, .problem = std::move(problem)});
  }

  // False where the head of an INCREMENTAL file says that nothing in it can be read.
  bool FindLayout(const image::ImageFile& file) {
    const auto combined = CombinedPath(path_);
    const std::string& shown = combined ? *combined : path_;
    const auto first = image::FirstBlockOf(shown);
    if (!first) return true;
    page_rules_ = image::RulesOf(shown, rules_);
    layout_ = PageLayout{.first_in_fork = *first, .header = {}};
    if (!combined) return true;
    auto header = ReadIncrementalHeader(file);
    if (!header) {
      Tell(std::nullopt, header.error().message());
      return false;
    }
    layout_->header = *std::move(header);
    return true;
  }

  void Read(const image::ImageFile& file, uint64_t end, ManifestDigest* digest) {
    std::vector<std::byte> buffer(std::min(kReadStep, end));
    for (uint64_t offset = 0; offset < end;) {
      const auto piece = MutableBytes(buffer).first(std::min<uint64_t>(buffer.size(), end - offset));
      if (const auto read = file.ReadAt(offset, piece); !read) {
        unreadable_ = true;
        FindUnreadable(file, offset, piece, read.error());
      } else {
        if (digest != nullptr) digest->Update(piece);
        CheckPages(offset, piece);
      }
      offset += piece.size();
      if (options_.progress != nullptr) options_.progress->done += piece.size();
    }
  }

  void FindUnreadable(const image::ImageFile& file, uint64_t offset, MutableBytes piece, const Error& error) {
    if (!layout_) return Tell(std::nullopt, error.message());
    for (size_t at = 0; at < piece.size(); at += kPageSize) {
      const auto page = piece.subspan(at, std::min(kPageSize, piece.size() - at));
      const auto read = file.ReadAt(offset + at, page);
      if (read) {
        CheckPages(offset + at, page);
      } else {
        Tell(layout_->BlockAt(offset + at), read.error().message());
      }
    }
  }

  // Pages are at multiples of their size, and so are the pieces that are read.
  void CheckPages(uint64_t offset, ByteView bytes) {
    if (!layout_) return;
    for (size_t at = 0; at + kPageSize <= bytes.size(); at += kPageSize) {
      const auto block = layout_->BlockAt(offset + at);
      if (!block) continue;
      ++pages_;
      auto problem =
          image::CheckPage(bytes.subspan(at, kPageSize), *block, layout_->first_in_fork + *block, page_rules_);
      if (problem) bad_.push_back(*std::move(problem));
    }
  }

  void TellPages(bool content_is_right) {
    for (auto& page : image::DamagedPages(std::move(bad_), content_is_right)) Tell(page.block, std::move(page.problem));
  }

  const image::Image& backup_;
  const image::PageRules& rules_;
  image::PageRules page_rules_;  // of the file that is looked at
  const VerifyOptions& options_;
  Findings& findings_;
  std::string path_;
  std::optional<PageLayout> layout_;
  std::vector<BadPage> bad_;
  uint64_t pages_ = 0;
  bool unreadable_ = false;
  bool told_ = false;
};

// What there is to read, and what is wrong with the lists themselves.
class ItemList {
 public:
  ItemList(const image::Image& backup, Findings& findings) : backup_(backup), findings_(findings) {}

  Result<std::vector<Item>> Make() {
    PGS_TRY(ReadManifest());
    std::set<std::string_view> listed;
    for (const auto& file : manifest_.files) {
      listed.insert(file.path);
      items_.push_back({.path = file.path, .size = file.size, .listed = &file});
    }
    PGS_TRY(image::Walk(backup_, "", [&](const std::string& path, const image::Entry& entry) -> Status {
      if (entry.kind != image::EntryKind::kFile || listed.contains(path)) return {};
      if (!has_manifest_) {
        items_.push_back({.path = path, .size = entry.size});
      } else if (!MayBeUnlisted(path)) {
        findings_.Add({.backup = backup_.name(), .path = path, .block = {}, .problem = "it is not in backup_manifest"});
      }
      return {};
    }));
    return std::move(items_);
  }

 private:
  Status ReadManifest() {
    const auto text = image::ReadSmallFile(backup_, pgdata::kBackupManifestPath, kLargestManifest);
    if (!text && text.error().code() == ErrorCode::kNotFound) return {};
    auto manifest = text ? pgdata::ParseBackupManifest(*text) : Result<pgdata::BackupManifest>(Fail(text.error()));
    if (manifest) {
      has_manifest_ = true;
      manifest_ = *std::move(manifest);
      return {};
    }
    findings_.Add({.backup = backup_.name(),
                   .path = std::string(pgdata::kBackupManifestPath),
                   .block = {},
                   .problem = manifest.error().message()});
    return {};
  }

  const image::Image& backup_;
  Findings& findings_;
  bool has_manifest_ = false;
  pgdata::BackupManifest manifest_;  // what items_ refer to
  std::vector<Item> items_;
};

}  // namespace

Result<Verified> VerifyBackup(const image::Image& backup, const image::PageRules& rules, const VerifyOptions& options,
                              const OnDamage& on_damage) {
  Findings findings(on_damage);
  ItemList list(backup, findings);
  PGS_ASSIGN(const auto items, list.Make());
  Verified verified{.files = items.size()};
  for (const auto& item : items) verified.bytes += item.size;
  if (options.progress != nullptr) options.progress->total += verified.bytes;
  std::atomic<uint64_t> pages = 0;
  ForEachInParallel(items.size(), options.threads, [&](size_t number) {
    FileCheck check(backup, rules, options, findings);
    check.Run(items[number]);
    pages += check.pages();
  });
  verified.pages = pages;
  verified.damages = findings.damages();
  return verified;
}

Result<Verified> VerifyChain(const CombinedImage& image, const OnDamage& on_damage) {
  Verified verified;
  const auto tell = [&](const std::string& path, std::optional<uint64_t> block, const Error& error) {
    ++verified.damages;
    on_damage({.backup = image.name(), .path = path, .block = block, .problem = error.message()});
  };
  PGS_TRY(image::Walk(image, "", [&](const std::string& path, const image::Entry& entry) -> Status {
    if (entry.kind != image::EntryKind::kFile) return {};
    if (!image.IsCombined(path)) {
      if (const auto opened = image.Open(path); !opened) tell(path, std::nullopt, opened.error());
      return {};
    }
    const auto map = image.files().Map(path);
    if (!map) {
      tell(path, std::nullopt, map.error());
      return {};
    }
    for (uint32_t block = 0; block < (*map)->length();) {
      const auto run = (*map)->Find(block);
      if (run.kind == BlockMap::Kind::kLost) {
        tell(path, block, *(*map)->lost_because());
        break;
      }
      block += run.blocks;
    }
    return {};
  }));
  return verified;
}

}  // namespace pgstrata::incremental
