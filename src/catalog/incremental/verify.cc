#include "catalog/incremental/verify.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/codec/sha2.h"
#include "foundation/codec/sha256.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/control_file.h"
#include "postgres/pgdata/crc32c.h"
#include "postgres/pgdata/page.h"
#include "postgres/pgdata/relation_path.h"

namespace pgstrata::incremental {
namespace {

using pgdata::kPageSize;
using pgdata::ManifestChecksum;

constexpr size_t kReadStep = 1 << 20;
constexpr uint64_t kLargestManifest = 1ULL << 30;

codec::Sha2Size SizeOf(ManifestChecksum algorithm) {
  switch (algorithm) {
    case ManifestChecksum::kSha224:
      return codec::Sha2Size::k224;
    case ManifestChecksum::kSha384:
      return codec::Sha2Size::k384;
    case ManifestChecksum::kSha512:
      return codec::Sha2Size::k512;
    default:
      return codec::Sha2Size::k256;
  }
}

Status ReadAll(const image::ImageFile& file, const std::function<void(ByteView)>& take) {
  std::vector<std::byte> buffer(std::min<uint64_t>(kReadStep, file.size()));
  for (uint64_t offset = 0; offset < file.size();) {
    const auto piece = MutableBytes(buffer).first(std::min<uint64_t>(buffer.size(), file.size() - offset));
    PGS_TRY(file.ReadAt(offset, piece));
    take(piece);
    offset += piece.size();
  }
  return {};
}

// As the manifest writes it.
Result<std::string> ChecksumOf(const image::ImageFile& file, ManifestChecksum algorithm) {
  if (algorithm == ManifestChecksum::kNone) {
    PGS_TRY(ReadAll(file, [](ByteView) {}));
    return std::string();
  }
  if (algorithm == ManifestChecksum::kCrc32c) {
    uint32_t crc = 0;
    PGS_TRY(ReadAll(file, [&crc](ByteView bytes) { crc = pgdata::Crc32c(bytes, crc); }));
    return codec::ToHex(std::as_bytes(std::span(&crc, 1)));
  }
  codec::Sha2 hash(SizeOf(algorithm));
  PGS_TRY(ReadAll(file, [&hash](ByteView bytes) { hash.Update(bytes); }));
  return codec::ToHex(hash.Finish());
}

// What is wrong with it; empty where nothing is.
std::string ProblemOf(const image::Image& backup, const pgdata::ManifestFile& listed) {
  auto path = image::FollowLinks(backup, listed.path);
  if (!path) return path.error().message();
  const auto file = backup.Open(*path);
  if (!file && file.error().code() == ErrorCode::kNotFound) return "it is missing";
  if (!file) return file.error().message();
  if ((*file)->size() != listed.size) {
    return "it has " + std::to_string((*file)->size()) + " bytes, not " + std::to_string(listed.size);
  }
  const auto checksum = ChecksumOf(**file, listed.algorithm);
  if (!checksum) return checksum.error().message();
  return *checksum == listed.checksum ? "" : "its checksum is not that of the manifest";
}

// The pages of one file.
class RelationPages {
 public:
  RelationPages(const CombinedImage& image, bool checksums, const OnDamage& on_damage, Verified& verified)
      : image_(image), checksums_(checksums), on_damage_(on_damage), verified_(verified) {}

  Status Verify(const std::string& path, const pgdata::RelationPath& relation) {
    path_ = path;
    first_block_ = relation.FirstBlock(kBlocksPerSegment);
    map_ = nullptr;
    ++verified_.files;
    if (image_.IsCombined(path)) {
      auto map = image_.files().Map(path);
      if (map) map_ = *std::move(map);
    }
    const auto file = image_.Open(path);
    if (!file) return Tell(std::nullopt, file.error().message());
    std::vector<std::byte> buffer(kReadStep);
    const uint64_t pages = (*file)->size() / kPageSize;
    for (uint64_t page = 0; page < pages;) {
      const uint64_t count = std::min<uint64_t>(pages - page, kReadStep / kPageSize);
      PGS_TRY(VerifySome(**file, static_cast<uint32_t>(page), MutableBytes(buffer).first(count * kPageSize)));
      page += count;
    }
    return {};
  }

 private:
  Status Tell(std::optional<uint32_t> block, std::string problem) {
    ++verified_.damages;
    return on_damage_(
        {.backup = BackupOf(block).image->name(), .path = path_, .block = block, .problem = std::move(problem)});
  }

  // The backup that a block comes from.
  [[nodiscard]] const ChainBackup& BackupOf(std::optional<uint32_t> block) const {
    const auto& chain = image_.files().chain();
    if (!map_ || !block) return chain.back();
    const auto run = map_->Find(*block);
    const bool is_there = run.kind == BlockMap::Kind::kFull || run.kind == BlockMap::Kind::kIncremental;
    return is_there ? chain[run.backup] : chain.back();
  }

  Status VerifySome(const image::ImageFile& file, uint32_t first, MutableBytes buffer) {
    const bool whole = file.ReadAt(uint64_t{first} * kPageSize, buffer).has_value();
    for (size_t at = 0; at < buffer.size(); at += kPageSize) {
      const auto block = first + static_cast<uint32_t>(at / kPageSize);
      const auto page = buffer.subspan(at, kPageSize);
      if (!whole) {
        const auto read = file.ReadAt(uint64_t{block} * kPageSize, page);
        if (!read) {
          PGS_TRY(Tell(block, read.error().message()));
          continue;
        }
      }
      ++verified_.pages;
      verified_.bytes += kPageSize;
      PGS_TRY(VerifyOne(block, page));
    }
    return {};
  }

  Status VerifyOne(uint32_t block, ByteView page) {
    if (!checksums_) return {};
    const auto sound = pgdata::VerifyPage(page, {static_cast<uint32_t>(first_block_ + block)}, true);
    if (sound) return {};
    const Lsn lsn{uint64_t{LoadLe<uint32_t>(page, 0)} << 32 | LoadLe<uint32_t>(page, sizeof(uint32_t))};
    if (lsn >= BackupOf(block).facts.label.start) return {};
    return Tell(block, sound.error().message());
  }

  const CombinedImage& image_;
  const bool checksums_;
  const OnDamage& on_damage_;
  Verified& verified_;
  std::string path_;
  uint64_t first_block_ = 0;
  std::shared_ptr<const BlockMap> map_;
};

}  // namespace

Result<Verified> VerifyAgainstManifest(const image::Image& backup, const OnDamage& on_damage) {
  PGS_ASSIGN(const std::string text, image::ReadSmallFile(backup, pgdata::kBackupManifestPath, kLargestManifest));
  PGS_ASSIGN(const auto manifest, pgdata::ParseBackupManifest(text));
  Verified verified;
  for (const auto& listed : manifest.files) {
    ++verified.files;
    verified.bytes += listed.size;
    std::string problem = ProblemOf(backup, listed);
    if (problem.empty()) continue;
    ++verified.damages;
    PGS_TRY(on_damage({.backup = backup.name(), .path = listed.path, .block = {}, .problem = std::move(problem)}));
  }
  return verified;
}

Result<Verified> VerifyPages(const CombinedImage& image, const OnDamage& on_damage) {
  PGS_ASSIGN(const std::string bytes, image::ReadSmallFile(image, pgdata::kControlFilePath));
  PGS_ASSIGN(const auto control, pgdata::ParseControlFile(AsBytes(bytes)));
  Verified verified;
  RelationPages pages(image, control.data_checksums(), on_damage, verified);
  for (const char* top : {"global", "base", "pg_tblspc"}) {
    if (!image.Stat(top)) continue;
    PGS_TRY(image::Walk(image, top, [&](const std::string& path, const image::Entry& entry) -> Status {
      const auto relation = pgdata::ParseRelationPath(path);
      if (!relation || relation->temporary_backend || entry.kind != image::EntryKind::kFile) return {};
      return pages.Verify(path, *relation);
    }));
  }
  return verified;
}

}  // namespace pgstrata::incremental
