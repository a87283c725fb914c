#include "foundation/codec/decompress.h"

#include <bzlib.h>
#include <lz4frame.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "foundation/base/text.h"

namespace pgstrata::codec {
namespace {

std::unexpected<Error> Damaged(Compression compression, std::string_view reason) {
  return Fail(ErrorCode::kCorrupt,
              "damaged " + std::string(CompressionName(compression)) + " data: " + std::string(reason));
}

// gzip or zlib: the same method in two frames.
class DeflateDecompressor final : public Decompressor {
 public:
  explicit DeflateDecompressor(Compression frame) : frame_(frame) {}
  DeflateDecompressor(const DeflateDecompressor&) = delete;
  DeflateDecompressor& operator=(const DeflateDecompressor&) = delete;
  ~DeflateDecompressor() override { inflateEnd(&stream_); }

  Status Start() {
    constexpr int kLargestWindow = 15;
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream_, kLargestWindow + (frame_ == Compression::kGzip ? kGzipOnly : 0)) != Z_OK) {
      return Fail(ErrorCode::kInternal, "could not start zlib");
    }
    return {};
  }

  Result<Step> Decode(ByteView input, MutableBytes output) override {
    if (at_boundary_ && !input.empty()) {
      inflateReset(&stream_);
      at_boundary_ = false;
    }
    // zlib counts in 32 bits and does not write to next_in.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
    stream_.avail_in = Clamp(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(output.data());
    stream_.avail_out = Clamp(output.size());
    const auto [offered, room] = std::pair(stream_.avail_in, stream_.avail_out);
    const int result = at_boundary_ ? Z_BUF_ERROR : inflate(&stream_, Z_NO_FLUSH);
    if (result == Z_STREAM_END) {
      at_boundary_ = true;
    } else if (result != Z_OK && result != Z_BUF_ERROR) {
      return Damaged(frame_, stream_.msg != nullptr ? stream_.msg : "it does not unpack");
    }
    return Step{.consumed = offered - stream_.avail_in, .produced = room - stream_.avail_out};
  }

  [[nodiscard]] bool AtBoundary() const override { return at_boundary_; }

 private:
  static uInt Clamp(size_t size) { return static_cast<uInt>(std::min<size_t>(size, 1U << 30)); }

  const Compression frame_;
  z_stream stream_{};
  bool at_boundary_ = false;
};

class Bzip2Decompressor final : public Decompressor {
 public:
  Bzip2Decompressor() = default;
  Bzip2Decompressor(const Bzip2Decompressor&) = delete;
  Bzip2Decompressor& operator=(const Bzip2Decompressor&) = delete;
  ~Bzip2Decompressor() override { BZ2_bzDecompressEnd(&stream_); }

  Status Start() {
    constexpr int kQuiet = 0;
    constexpr int kFast = 0;  // takes 4 MB
    if (BZ2_bzDecompressInit(&stream_, kQuiet, kFast) == BZ_OK) return {};
    return Fail(ErrorCode::kInternal, "could not start bzip2");
  }

  Result<Step> Decode(ByteView input, MutableBytes output) override {
    if (at_boundary_ && input.empty()) return Step{};
    if (at_boundary_) {
      BZ2_bzDecompressEnd(&stream_);
      stream_ = {};
      PGS_TRY(Start());
      at_boundary_ = false;
    }
    // It counts in 32 bits and does not write to next_in.
    stream_.next_in = reinterpret_cast<char*>(const_cast<std::byte*>(input.data()));
    stream_.avail_in = Clamp(input.size());
    stream_.next_out = reinterpret_cast<char*>(output.data());
    stream_.avail_out = Clamp(output.size());
    const auto [offered, room] = std::pair(stream_.avail_in, stream_.avail_out);
    const int result = BZ2_bzDecompress(&stream_);
    if (result == BZ_STREAM_END) {
      at_boundary_ = true;
    } else if (result != BZ_OK) {
      return Damaged(Compression::kBzip2, "it does not unpack");
    }
    return Step{.consumed = offered - stream_.avail_in, .produced = room - stream_.avail_out};
  }

  [[nodiscard]] bool AtBoundary() const override { return at_boundary_; }

 private:
  static unsigned Clamp(size_t size) { return static_cast<unsigned>(std::min<size_t>(size, 1U << 30)); }

  bz_stream stream_{};
  bool at_boundary_ = false;
};

class Lz4Decompressor final : public Decompressor {
 public:
  Lz4Decompressor() = default;
  Lz4Decompressor(const Lz4Decompressor&) = delete;
  Lz4Decompressor& operator=(const Lz4Decompressor&) = delete;
  ~Lz4Decompressor() override { LZ4F_freeDecompressionContext(context_); }

  Status Start() {
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) != 0) {
      return Fail(ErrorCode::kInternal, "could not start lz4");
    }
    return {};
  }

  Result<Step> Decode(ByteView input, MutableBytes output) override {
    size_t consumed = input.size();
    size_t produced = output.size();
    if (at_boundary_ && input.empty()) return Step{};
    const size_t result = LZ4F_decompress(context_, output.data(), &produced, input.data(), &consumed, nullptr);
    if (LZ4F_isError(result) != 0) return Damaged(Compression::kLz4, LZ4F_getErrorName(result));
    at_boundary_ = result == 0;
    return Step{.consumed = consumed, .produced = produced};
  }

  [[nodiscard]] bool AtBoundary() const override { return at_boundary_; }

 private:
  LZ4F_dctx* context_ = nullptr;
  bool at_boundary_ = false;
};

class ZstdDecompressor final : public Decompressor {
 public:
  Status Start() {
    if (!stream_) return Fail(ErrorCode::kInternal, "could not start zstd");
    return {};
  }

  Result<Step> Decode(ByteView input, MutableBytes output) override {
    if (at_boundary_ && input.empty()) return Step{};
    ZSTD_inBuffer in{.src = input.data(), .size = input.size(), .pos = 0};
    ZSTD_outBuffer out{.dst = output.data(), .size = output.size(), .pos = 0};
    const size_t result = ZSTD_decompressStream(stream_.get(), &out, &in);
    if (ZSTD_isError(result) != 0) return Damaged(Compression::kZstd, ZSTD_getErrorName(result));
    at_boundary_ = result == 0;
    return Step{.consumed = in.pos, .produced = out.pos};
  }

  [[nodiscard]] bool AtBoundary() const override { return at_boundary_; }

 private:
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream_{ZSTD_createDStream(), ZSTD_freeDStream};
  bool at_boundary_ = false;
};

template <typename T, typename... Arguments>
Result<std::unique_ptr<Decompressor>> Started(Arguments... arguments) {
  auto decompressor = std::make_unique<T>(arguments...);
  PGS_TRY(decompressor->Start());
  return decompressor;
}

std::unexpected<Error> TooLarge(uint64_t limit) {
  return Fail(ErrorCode::kUnsupported, "it unpacks to more than " + std::to_string(limit) + " bytes");
}

}  // namespace

std::string_view CompressionName(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
      return "gzip";
    case Compression::kZlib:
      return "zlib";
    case Compression::kLz4:
      return "lz4";
    case Compression::kZstd:
      return "zstd";
    case Compression::kBzip2:
      return "bzip2";
    case Compression::kNone:
      break;
  }
  return "none";
}

Compression CompressionByMagic(ByteView head) {
  const std::string_view text = AsText(head);
  if (text.starts_with("\x1F\x8B")) return Compression::kGzip;
  if (text.starts_with("\x04\x22\x4D\x18")) return Compression::kLz4;
  if (text.starts_with("\x28\xB5\x2F\xFD")) return Compression::kZstd;
  constexpr size_t kBzip2Magic = 4;
  if (text.size() >= kBzip2Magic && text.starts_with("BZh") && text[3] >= '1' && text[3] <= '9') {
    return Compression::kBzip2;
  }
  return Compression::kNone;
}

NameWithoutSuffix CompressionBySuffix(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, Compression>, 4> kSuffixes = {{{".gz", Compression::kGzip},
                                                                                  {".lz4", Compression::kLz4},
                                                                                  {".zst", Compression::kZstd},
                                                                                  {".bz2", Compression::kBzip2}}};
  for (const auto& [suffix, compression] : kSuffixes) {
    if (name.ends_with(suffix))
      return {.stem = name.substr(0, name.size() - suffix.size()), .compression = compression};
  }
  return {.stem = name, .compression = Compression::kNone};
}

Result<std::unique_ptr<Decompressor>> Decompressor::Create(Compression compression) {
  switch (compression) {
    case Compression::kGzip:
    case Compression::kZlib:
      return Started<DeflateDecompressor>(compression);
    case Compression::kLz4:
      return Started<Lz4Decompressor>();
    case Compression::kZstd:
      return Started<ZstdDecompressor>();
    case Compression::kBzip2:
      return Started<Bzip2Decompressor>();
    case Compression::kNone:
      break;
  }
  return Fail(ErrorCode::kInvalidArgument, "nothing to decompress");
}

Result<std::vector<std::byte>> Decompress(Compression compression, ByteView input, uint64_t limit, Ending ending) {
  if (compression == Compression::kNone) {
    if (input.size() > limit) return TooLarge(limit);
    return std::vector<std::byte>(input.begin(), input.end());
  }
  constexpr uint64_t kFirstRoom = 1ULL << 20;
  PGS_ASSIGN(const auto decompressor, Decompressor::Create(compression));
  std::vector<std::byte> output(std::min(limit, kFirstRoom));
  size_t filled = 0;
  while (true) {
    // At the limit one more byte is asked for: whether there is one says whether it is exceeded.
    std::array<std::byte, 1> beyond{};
    const bool full = filled == limit;
    if (!full && filled == output.size()) output.resize(std::min<uint64_t>(limit, output.size() * 2));
    const MutableBytes room = full ? MutableBytes(beyond) : MutableBytes(output).subspan(filled);
    PGS_ASSIGN(const auto step, decompressor->Decode(input, room));
    if (full && step.produced > 0) return TooLarge(limit);
    filled += step.produced;
    input = input.subspan(step.consumed);
    if (step.consumed > 0 || step.produced > 0) continue;
    const bool whole = decompressor->AtBoundary() && input.empty();
    if (!whole && ending == Ending::kMustBeWhole) return Damaged(compression, "it ends early");
    output.resize(filled);
    return output;
  }
}

}  // namespace pgstrata::codec
