#include "catalog/pgbackrest/stored_content.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "foundation/base/text.h"
#include "foundation/codec/passphrase_cipher.h"
#include "foundation/codec/xxh3.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr uint64_t kMapsInMemory = 64ULL << 20;
constexpr uint64_t kSuperBlocksInMemory = 64ULL << 20;
constexpr std::string_view kDataDirectory = "pg_data/";
constexpr std::string_view kBlockSuffix = ".pgbi";

// Compares what passes through with what the manifest says of it.
class CheckingSource final : public codec::ByteSource {
 public:
  CheckingSource(std::shared_ptr<const StoredContent> content, std::unique_ptr<codec::ByteSource> source,
                 const ManifestFile& file)
      : content_(std::move(content)), source_(std::move(source)), file_(file) {}

  Result<size_t> Read(MutableBytes out) override {
    PGS_ASSIGN(const size_t count, source_->Read(out));
    hash_.Update(ByteView(out).first(count));
    size_ += count;
    if (count == out.size()) return count;
    if (size_ != file_.size) {
      return Fail(ErrorCode::kCorrupt,
                  "it unpacks to " + std::to_string(size_) + " bytes instead of " + std::to_string(file_.size));
    }
    if (file_.checksum && hash_.Finish() != *file_.checksum) {
      return Fail(ErrorCode::kCorrupt, "its SHA-1 is not the one in backup.manifest");
    }
    return count;
  }

 private:
  const std::shared_ptr<const StoredContent> content_;  // source_ and file_ are parts of it
  const std::unique_ptr<codec::ByteSource> source_;
  const ManifestFile& file_;
  codec::Sha1 hash_;
  uint64_t size_ = 0;
};

}  // namespace

std::string_view ImagePathOf(std::string_view name) {
  return name.starts_with(kDataDirectory) ? name.substr(kDataDirectory.size()) : name;
}

StoredContent::StoredContent(Manifest manifest, std::string root, std::string stanza)
    : manifest_(std::move(manifest)),
      stanza_(std::move(stanza)),
      files_(std::move(root)),
      maps_(kMapsInMemory),
      super_blocks_(kSuperBlocksInMemory) {}

std::string StoredContent::DirectoryOf(uint32_t holder) const {
  return "backup/" + stanza_ + '/' + manifest_.labels[holder];
}

std::string StoredContent::PathOf(const ManifestFile& file, uint32_t holder, uint64_t bundle) const {
  if (bundle != 0) return DirectoryOf(holder) + "/bundle/" + std::to_string(bundle);
  const auto suffix = file.is_block_incremental() ? kBlockSuffix : SuffixOf(manifest_.compress_type);
  return (DirectoryOf(holder) + '/' + file.name).append(suffix);
}

Status StoredContent::VisitParts(const image::PartVisitor& visit) const {
  for (uint32_t holder = 0; holder < manifest_.labels.size(); ++holder) {
    PGS_TRY(files_.VisitParts(DirectoryOf(holder), visit));
  }
  return {};
}

StoredRange StoredContent::RangeOf(const ManifestFile& file) const {
  return {.path = PathOf(file, file.holder, file.bundle), .offset = file.bundle_offset, .size = file.stored_size};
}

bool StoredContent::HasRandomAccess(const ManifestFile& file) const {
  return file.is_block_incremental() ||
         (manifest_.compress_type == CompressType::kNone && manifest_.passphrase.empty());
}

Result<std::unique_ptr<codec::ByteSource>> StoredContent::Decode(const ManifestFile& file) const {
  PGS_ASSIGN(auto source, Unpack(file));
  return std::make_unique<CheckingSource>(shared_from_this(), std::move(source), file);
}

Result<std::unique_ptr<codec::ByteSource>> StoredContent::Unpack(const ManifestFile& file) const {
  const bool raw = file.bundle != 0 && manifest_.bundle_raw;
  StoredRange range = RangeOf(file);
  if (file.bundle == 0) {  // all of it, as a restore reads it
    PGS_ASSIGN(range.size, files_.SizeOf(range.path));
  }
  auto source = files_.Source(std::move(range));
  if (!manifest_.passphrase.empty()) {
    const auto header = raw ? codec::SaltHeader::kNoMagic : codec::SaltHeader::kMagic;
    source = codec::Decrypting(manifest_.passphrase, header, std::move(source));
  }
  if (const auto compression = CompressionOf(manifest_.compress_type, raw); compression != codec::Compression::kNone) {
    PGS_ASSIGN(source, codec::Decompressing(compression, std::move(source)));
  }
  return source;
}

Result<BlockMap> StoredContent::ReadMap(const ManifestFile& file) const {
  StoredRange range = RangeOf(file);
  range.offset += file.stored_size - file.map_size;
  range.size = file.map_size;
  PGS_ASSIGN(Bytes bytes, files_.ReadRange(range));
  if (!manifest_.passphrase.empty()) {
    auto plain = codec::Decrypt(bytes, manifest_.passphrase, codec::SaltHeader::kNoMagic);
    if (!plain) return Fail(std::move(plain).error().Wrap("the block map in " + Quoted(range.path)));
    bytes = *std::move(plain);
  }
  auto map = ParseBlockMap(bytes, file.size, file.block_size, file.block_checksum_size, manifest_.labels.size());
  if (!map) return Fail(std::move(map).error().Wrap(Quoted(range.path)));
  return map;
}

Result<std::shared_ptr<const BlockMap>> StoredContent::MapOf(const ManifestFile& file) const {
  return maps_.Get(
      file.name, [&] { return ReadMap(file); },
      [](const BlockMap& map) {
        return map.super_blocks.size() * sizeof(SuperBlock) + map.blocks.size() * sizeof(MappedBlock) +
               map.checksums.size();
      });
}

std::string StoredContent::PlaceOf(const ManifestFile& file, const BlockMap& map, uint64_t number) const {
  const SuperBlock& super_block = map.super_blocks[map.blocks[number].super_block];
  return PathOf(file, super_block.holder, super_block.bundle);
}

Result<StoredContent::Bytes> StoredContent::UnpackWhole(const StoredRange& range, uint64_t size) const {
  PGS_ASSIGN(Bytes bytes, files_.ReadRange(range));
  if (!manifest_.passphrase.empty()) {
    PGS_ASSIGN(bytes, codec::Decrypt(bytes, manifest_.passphrase, codec::SaltHeader::kNoMagic));
  }
  const auto compression = CompressionOf(manifest_.compress_type, true);
  if (compression == codec::Compression::kNone) return bytes;
  return codec::Decompress(compression, bytes, size);
}

// Step by step, so that what comes before the damage is had: each block has a checksum of its own.
Result<StoredContent::UnpackedBlocks> StoredContent::UnpackPartly(const StoredRange& range, uint64_t size) const {
  constexpr size_t kStep = 8192;
  auto source = files_.Source(range);
  if (!manifest_.passphrase.empty()) {
    source = codec::Decrypting(manifest_.passphrase, codec::SaltHeader::kNoMagic, std::move(source));
  }
  const auto compression = CompressionOf(manifest_.compress_type, true);
  if (compression != codec::Compression::kNone) {
    PGS_ASSIGN(source, codec::Decompressing(compression, std::move(source)));
  }
  UnpackedBlocks unpacked;
  std::array<std::byte, kStep> step;
  while (unpacked.bytes.size() <= size) {
    const auto count = source->Read(step);
    if (!count) {
      if (count.error().code() != ErrorCode::kCorrupt) return Fail(count.error());
      break;
    }
    unpacked.bytes.insert(unpacked.bytes.end(), step.begin(), step.begin() + static_cast<ptrdiff_t>(*count));
    if (*count < step.size()) break;
  }
  return unpacked;
}

Result<std::shared_ptr<const StoredContent::UnpackedBlocks>> StoredContent::Unpacked(
    const ManifestFile& file, const SuperBlock& super_block) const {
  const StoredRange range{.path = PathOf(file, super_block.holder, super_block.bundle),
                          .offset = super_block.offset,
                          .size = super_block.stored_size};
  const std::string key = range.path + ' ' + std::to_string(range.offset);
  return super_blocks_.Get(
      key,
      [&]() -> Result<UnpackedBlocks> {
        auto whole = UnpackWhole(range, super_block.size);
        if (whole) return UnpackedBlocks{.bytes = *std::move(whole), .error = {}};
        if (whole.error().code() != ErrorCode::kCorrupt) return Fail(std::move(whole).error());
        PGS_ASSIGN(auto partly, UnpackPartly(range, super_block.size));
        partly.error = std::move(whole).error().Wrap("the super block at byte " + std::to_string(range.offset) +
                                                     " of " + Quoted(range.path));
        return partly;
      },
      [](const UnpackedBlocks& unpacked) { return unpacked.bytes.size() + sizeof(UnpackedBlocks); });
}

Status StoredContent::ReadBlock(const ManifestFile& file, const BlockMap& map, uint64_t number,
                                MutableBytes out) const {
  const MappedBlock& block = map.blocks[number];
  PGS_ASSIGN(const auto content, Unpacked(file, map.super_blocks[block.super_block]));
  const uint64_t begin = block.number * map.block_size;
  const ByteView there = ByteView(content->bytes).subspan(std::min<uint64_t>(begin, content->bytes.size()));
  const ByteView bytes = there.first(std::min<uint64_t>(there.size(), map.block_size));
  const auto digest = codec::Xxh3Of128(bytes);
  const ByteView wanted = map.ChecksumOf(number);
  if (bytes.size() != out.size() || !std::equal(wanted.begin(), wanted.end(), digest.begin())) {
    if (content->error) return Fail(*content->error);
    return Fail(ErrorCode::kCorrupt, "what " + Quoted(PlaceOf(file, map, number)) + " holds of it is damaged");
  }
  std::memcpy(out.data(), bytes.data(), bytes.size());
  return {};
}

}  // namespace pgstrata::pgbackrest
