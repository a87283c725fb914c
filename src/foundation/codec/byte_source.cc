#include "foundation/codec/byte_source.h"

#include <algorithm>
#include <string>
#include <utility>

namespace pgstrata::codec {
namespace {

constexpr size_t kPackedBuffer = 128 << 10;

class DecompressingSource final : public ByteSource {
 public:
  DecompressingSource(Compression compression, std::unique_ptr<Decompressor> decompressor,
                      std::unique_ptr<ByteSource> packed)
      : compression_(compression), decompressor_(std::move(decompressor)), packed_(std::move(packed)) {}

  Result<size_t> Read(MutableBytes out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      if (unread_.empty() && !packed_ended_) {
        PGS_ASSIGN(const size_t count, packed_->Read(buffer_));
        unread_ = ByteView(buffer_).first(count);
        packed_ended_ = count == 0;
      }
      PGS_ASSIGN(const auto step, decompressor_->Decode(unread_, out.subspan(filled)));
      filled += step.produced;
      unread_ = unread_.subspan(step.consumed);
      if (step.consumed > 0 || step.produced > 0 || !packed_ended_) continue;
      if (decompressor_->AtBoundary() && unread_.empty()) break;
      return Fail(ErrorCode::kCorrupt,
                  "damaged " + std::string(CompressionName(compression_)) + " data: it ends early");
    }
    return filled;
  }

 private:
  const Compression compression_;
  const std::unique_ptr<Decompressor> decompressor_;
  const std::unique_ptr<ByteSource> packed_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kPackedBuffer);
  ByteView unread_;
  bool packed_ended_ = false;
};

}  // namespace

Result<std::unique_ptr<ByteSource>> Decompressing(Compression compression, std::unique_ptr<ByteSource> packed) {
  PGS_ASSIGN(auto decompressor, Decompressor::Create(compression));
  return std::make_unique<DecompressingSource>(compression, std::move(decompressor), std::move(packed));
}

Result<std::vector<std::byte>> ReadAll(ByteSource& source, uint64_t limit) {
  constexpr uint64_t kFirstRoom = 64 << 10;
  std::vector<std::byte> content(std::min(limit, kFirstRoom) + 1);  // one more tells whether the limit is exceeded
  size_t filled = 0;
  while (true) {
    PGS_ASSIGN(const size_t count, source.Read(MutableBytes(content).subspan(filled)));
    filled += count;
    if (filled > limit) {
      return Fail(ErrorCode::kUnsupported, "it unpacks to more than " + std::to_string(limit) + " bytes");
    }
    if (filled < content.size()) break;
    content.resize(std::min<uint64_t>(limit, content.size() * 2) + 1);
  }
  content.resize(filled);
  return content;
}

}  // namespace pgstrata::codec
