#include "catalog/probackup/paged_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "catalog/probackup/page_record.h"
#include "foundation/base/text.h"

namespace pgstrata::probackup {
namespace {

// What is read of a stream at once.
constexpr uint64_t kLargestRead = 512 << 10;

// For one read at a time of each thread.
MutableBytes ThreadBuffer(size_t size) {
  thread_local std::vector<std::byte> buffer;
  if (buffer.size() < size) buffer.resize(size);
  return MutableBytes(buffer).first(size);
}

}  // namespace

Error PagedFile::ExplainBlock(Error error, uint32_t block, const StoredCopy& copy) const {
  return reader_->Explain(std::move(error).Wrap(fmt::format("block {}", block)), file_, copy);
}

Result<const FileIndex::Layer*> PagedFile::LayerOf(const FileIndex& index, uint32_t block) const {
  for (const auto& layer : index.layers) {
    if (block >= layer.visible_below) continue;
    if (!layer.pages) return Fail(ExplainBlock(*layer.error, block, *layer.copy));
    if (layer.pages->Has(block)) return &layer;
  }
  return nullptr;
}

Result<PagedFile::Run> PagedFile::RunFrom(const FileIndex& index, const FileIndex::Layer& layer, uint32_t block,
                                          uint32_t end) const {
  const PageIndex::Place first = layer.pages->PlaceOf(block);
  Run run{.layer = &layer, .first = block, .offset = first.offset};
  for (uint32_t next = block; next < end; ++next) {
    if (next != block) {
      PGS_ASSIGN(const auto* of_next, LayerOf(index, next));
      if (of_next != &layer) break;
    }
    const PageIndex::Place place = next == block ? first : layer.pages->PlaceOf(next);
    const uint64_t bytes = place.offset + kRecordHeaderBytes + place.size - run.offset;
    if (next != block && bytes > kLargestRead) break;
    run.bytes = bytes;
    ++run.count;
  }
  return run;
}

Status PagedFile::ReadPage(const Run& run, uint32_t block, const PageIndex::Place& place, ByteView record,
                           MutableBytes page) const {
  const StoredCopy& copy = *run.layer->copy;
  const bool data_checksums = reader_->chain().backup(copy.layer).control().data_checksums;
  const bool proves_itself = copy.compression == PageCompression::kZlib && place.size < kPageBytes;
  if (run.layer->suspect && !data_checksums && !proves_itself) {
    return Fail(ErrorCode::kCorrupt, "the file's checksum is wrong, and nothing says which of its pages are damaged");
  }
  const uint64_t first = uint64_t{reader_->node(file_).segment} * kBlocksOfSegment;
  const PageProof proof{
      .block = block, .in_fork = {static_cast<uint32_t>(first + block)}, .data_checksums = data_checksums};
  return DecodeRecord(record, place, copy.compression, proof, page);
}

// `offset` is in the first page of the run; `out` ends with its last page or before.
Status PagedFile::ReadRun(const Run& run, uint64_t offset, MutableBytes out) const {
  const StoredCopy& copy = *run.layer->copy;
  auto stream = reader_->StreamOf(file_, copy);
  if (!stream) return Fail(ExplainBlock(std::move(stream).error(), run.first, copy));
  const MutableBytes records = ThreadBuffer(run.bytes);
  if (auto read = (*stream)->ReadAt(run.offset, records); !read) {
    reader_->Forget(file_, copy);
    return Fail(ExplainBlock(std::move(read).error(), run.first, copy));
  }
  std::array<std::byte, kPageBytes> whole;
  size_t filled = 0;
  for (uint32_t block = run.first; block < run.first + run.count; ++block) {
    const PageIndex::Place place = run.layer->pages->PlaceOf(block);
    const ByteView record = ByteView(records).subspan(place.offset - run.offset, kRecordHeaderBytes + place.size);
    const size_t skipped = block == run.first ? offset % kPageBytes : 0;
    const size_t wanted = std::min<size_t>(kPageBytes - skipped, out.size() - filled);
    const MutableBytes piece = out.subspan(filled, wanted);
    const MutableBytes page = wanted == kPageBytes ? piece : MutableBytes(whole);
    if (auto decoded = ReadPage(run, block, place, record, page); !decoded) {
      return Fail(ExplainBlock(std::move(decoded).error(), block, copy));
    }
    if (wanted != kPageBytes) std::ranges::copy(page.subspan(skipped, wanted), piece.begin());
    filled += wanted;
  }
  return {};
}

Status PagedFile::ReadAt(uint64_t offset, MutableBytes out) const {
  if (offset > length_ || length_ - offset < out.size()) {
    return Fail(ErrorCode::kIo, fmt::format("read beyond the end of a file of {} bytes", length_));
  }
  if (out.empty()) return {};
  if (reader_->node(file_).lost) {
    return Fail(ErrorCode::kCorrupt, fmt::format("no backup in the chain of {} holds the pages of {}",
                                                 reader_->chain().backup(0).Name(), Quoted(file_.path)));
  }
  PGS_ASSIGN(const auto index, reader_->IndexOf(file_));
  const auto end = static_cast<uint32_t>((offset + out.size() + kPageBytes - 1) / kPageBytes);
  while (!out.empty()) {
    const auto block = static_cast<uint32_t>(offset / kPageBytes);
    PGS_ASSIGN(const auto* layer, LayerOf(*index, block));
    uint32_t count = 1;
    Run run;
    if (layer != nullptr) {
      PGS_ASSIGN(run, RunFrom(*index, *layer, block, end));
      count = run.count;
    }
    const size_t length = std::min<uint64_t>(uint64_t{block + count} * kPageBytes - offset, out.size());
    if (layer != nullptr) {
      PGS_TRY(ReadRun(run, offset, out.first(length)));
    } else {
      std::ranges::fill(out.first(length), std::byte{0});  // written by nobody: a hole
    }
    offset += length;
    out = out.subspan(length);
  }
  return {};
}

uint64_t PagedFile::NextData(uint64_t offset) const {
  if (offset >= length_) return length_;
  if (reader_->node(file_).lost) return offset;
  const auto index = reader_->IndexOf(file_);
  if (!index) return offset;
  uint64_t block = offset / kPageBytes;
  for (; block * kPageBytes < length_; ++block) {
    const auto layer = LayerOf(**index, static_cast<uint32_t>(block));
    if (!layer || *layer != nullptr) break;
  }
  return std::clamp(block * kPageBytes, offset, length_);
}

}  // namespace pgstrata::probackup
