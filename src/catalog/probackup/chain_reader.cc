#include "catalog/probackup/chain_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "catalog/probackup/layer_index.h"
#include "catalog/probackup/paged_file.h"
#include "catalog/probackup/plain_file.h"
#include "foundation/base/log.h"
#include "foundation/base/text.h"

namespace pgstrata::probackup {
namespace {

constexpr size_t kOpenStreams = 64;
// Of 100 GB in a chain of eight, each of which changed a tenth, the indexes are 100 MB.
constexpr uint64_t kIndexBytes = 192ULL << 20;

}  // namespace

ChainReader::ChainReader(std::shared_ptr<const Chain> chain)
    : chain_(std::move(chain)), streams_(kOpenStreams), indexes_(kIndexBytes) {}

uint64_t ChainReader::StreamKey(const ChainFile& file, const StoredCopy& copy) const {
  // 20 bits of layers, 12 of external directories.
  return (uint64_t{copy.layer} << 44U) | (uint64_t{file.external & 0xFFFU} << 32U) | file.number;
}

Result<std::shared_ptr<const image::NativeFile>> ChainReader::StreamOf(const ChainFile& file, const StoredCopy& copy) {
  const BackupDirectory& backup = chain_->backup(copy.layer);
  return streams_.Get(StreamKey(file, copy), [&] {
    const std::string native = backup.PathOf(file.external, file.path);
    // Of a stream that was cut, the pages before the cut are as good as ever.
    return node(file).has_pages ? backup.OpenFile(file.key(), native) : backup.OpenFile(file.key(), native, copy.size);
  });
}

void ChainReader::Forget(const ChainFile& file, const StoredCopy& copy) { streams_.Forget(StreamKey(file, copy)); }

Result<PageIndex> ChainReader::FromHeaderMap(const StoredCopy& copy) {
  const BackupDirectory& backup = chain_->backup(copy.layer);
  const uint64_t key = kHeaderMapKey - copy.layer;
  PGS_ASSIGN(const auto map, streams_.Get(key, [&] {
    return backup.OpenFile(kHeaderMapKey, JoinPath(backup.path(), kHeaderMapName));
  }));
  auto index = IndexFromHeaderMap(*map, copy.header_map, copy.size);
  if (!index) streams_.Forget(key);
  return index;
}

// Where the map is gone, every file of the backup says so: the first is enough.
void ChainReader::WarnOfMap(const ChainFile& file, const StoredCopy& copy, const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (!warned_of_map_.insert(copy.layer).second) return;
  }
  log::Warning("backup {}: no page header map for {} ({}); streams are read instead",
               chain_->backup(copy.layer).control().id, Quoted(file.path), error.message());
}

FileIndex::Layer ChainReader::BuildLayer(const ChainFile& file, const StoredCopy& copy) {
  FileIndex::Layer layer{.copy = &copy};
  if (copy.header_map.entries != 0) {
    auto pages = FromHeaderMap(copy);
    if (pages) {
      layer.pages = *std::move(pages);
      return layer;
    }
    WarnOfMap(file, copy, pages.error());
  }
  const auto stream = StreamOf(file, copy);
  if (!stream) {
    layer.error = stream.error();
    return layer;
  }
  if ((*stream)->size() != copy.size) {
    layer.error = Error(ErrorCode::kCorrupt, fmt::format("it has {} bytes there, and {} when it was backed up",
                                                         (*stream)->size(), copy.size));
    return layer;
  }
  auto walked = IndexFromStream(**stream, copy, chain_->backup(copy.layer).control().version);
  if (!walked) {
    Forget(file, copy);
    layer.error = walked.error();
    return layer;
  }
  layer.pages = std::move(walked->pages);
  layer.suspect = walked->suspect;
  return layer;
}

Result<FileIndex> ChainReader::BuildIndex(const ChainFile& file) {
  const FileNode& node = this->node(file);
  FileIndex index;
  uint32_t visible_below = kBlocksOfSegment;
  for (const StoredCopy& copy : node.copies) {
    PGS_TRY(chain_->backup(copy.layer).StillTheSame());
    auto layer = BuildLayer(file, copy);
    // What may be otherwise at the next try is not kept.
    if (layer.error && layer.error->code() != ErrorCode::kCorrupt) return Fail(Explain(*layer.error, file, copy));
    if (layer.pages && layer.pages->cut_to()) visible_below = std::min(visible_below, *layer.pages->cut_to());
    layer.visible_below = visible_below;
    index.layers.push_back(std::move(layer));
  }
  return index;
}

Result<std::shared_ptr<const FileIndex>> ChainReader::IndexOf(const ChainFile& file) {
  return indexes_.Get(
      file.key(), [&] { return BuildIndex(file); }, [](const FileIndex& index) { return index.memory_bytes(); });
}

// What a file grew by lies in an increment, whose list of pages is short; that of the oldest backup has all pages.
bool ChainReader::IncrementsHaveLastBlock(const ChainFile& file) {
  const FileNode& node = this->node(file);
  if (!node.blocks || node.copies.size() < 2) return false;
  for (size_t i = 0; i + 1 < node.copies.size(); ++i) {
    if (node.copies[i].header_map.entries == 0) return false;
    const auto pages = FromHeaderMap(node.copies[i]);
    if (!pages) return false;
    if (pages->end() >= *node.blocks) return true;
  }
  return false;
}

// As pg_probackup restores it: pages that nobody stored are not written, so that the file ends with the last one.
Result<uint64_t> ChainReader::LengthFromIndex(const ChainFile& file) {
  const FileNode& node = this->node(file);
  if (node.blocks.value_or(0) > kBlocksOfSegment) {
    return Fail(ErrorCode::kCorrupt, fmt::format("{} has {} blocks in the file list of backup {}: more than a segment",
                                                 Quoted(file.path), *node.blocks, chain_->control().id));
  }
  if (IncrementsHaveLastBlock(file)) return uint64_t{*node.blocks} * kPageBytes;
  PGS_ASSIGN(const auto index, IndexOf(file));
  uint32_t end = 0;
  for (auto layer = index->layers.rbegin(); layer != index->layers.rend(); ++layer) {
    if (!layer->pages) {
      if (node.blocks) return uint64_t{*node.blocks} * kPageBytes;
      return Fail(Explain(*layer->error, file, *layer->copy));
    }
    end = std::max(end, layer->pages->end());
    if (layer->pages->cut_to()) end = *layer->pages->cut_to();
  }
  return uint64_t{std::min(end, node.blocks.value_or(end))} * kPageBytes;
}

Result<uint64_t> ChainReader::Length(const ChainFile& file) {
  const FileNode& node = this->node(file);
  if (node.length) return *node.length;
  {
    const std::lock_guard lock(mutex_);
    const auto known = lengths_.find(file.key());
    if (known != lengths_.end()) return known->second;
  }
  PGS_ASSIGN(const uint64_t length, LengthFromIndex(file));
  const std::lock_guard lock(mutex_);
  return lengths_.try_emplace(file.key(), length).first->second;
}

Result<std::unique_ptr<image::ImageFile>> ChainReader::Open(ChainFile file) {
  PGS_ASSIGN(const uint64_t length, Length(file));
  if (node(file).has_pages) return std::make_unique<PagedFile>(shared_from_this(), std::move(file), length);
  return std::make_unique<PlainFile>(shared_from_this(), std::move(file), length);
}

Error ChainReader::Explain(Error error, const ChainFile& file, const StoredCopy& copy) const {
  const BackupDirectory& backup = chain_->backup(copy.layer);
  const std::string where = file.external == 0 ? "" : fmt::format(" of external directory {}", file.external);
  return std::move(error).Wrap(fmt::format("{}{} in {}", Quoted(file.path), where, backup.Name()));
}

}  // namespace pgstrata::probackup
