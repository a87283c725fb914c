// Taking compression off: gzip, zlib (gzip's method in a shorter frame), lz4 frames, zstd frames, bzip2. Several
// members or frames one after another are one stream, as the tools of these formats write and read them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"

namespace pgstrata::codec {

enum class Compression { kNone, kGzip, kZlib, kLz4, kZstd, kBzip2 };

// "gzip", "zlib", "lz4", "zstd", "bzip2", "none".
std::string_view CompressionName(Compression compression);

// What the first bytes of a file say; kNone where they are no magic number of these (four bytes are enough). zlib has
// no magic number.
Compression CompressionByMagic(ByteView head);

// A name taken apart: "x.gz" is "x" and kGzip; "x" is "x" and kNone. Suffixes: .gz, .lz4, .zst, .bz2.
struct NameWithoutSuffix {
  std::string_view stem;
  Compression compression = Compression::kNone;
};
NameWithoutSuffix CompressionBySuffix(std::string_view name);

// One stream, decoded step by step. For one thread.
class Decompressor {
 public:
  struct Step {
    size_t consumed = 0;  // bytes of `input` that are done with
    size_t produced = 0;  // bytes of `output` that were filled
  };
  virtual ~Decompressor() = default;
  // Decodes from `input` into `output` until one of them is used up. The rest of `input` is offered again by the next
  // call. Output may be pending although all input is consumed: call again, with empty input, until nothing is
  // produced. kCorrupt where the bytes are not what the format promises.
  virtual Result<Step> Decode(ByteView input, MutableBytes output) = 0;
  // Whether the stream may end here: after a whole member or frame.
  [[nodiscard]] virtual bool AtBoundary() const = 0;

  // `compression` is not kNone.
  static Result<std::unique_ptr<Decompressor>> Create(Compression compression);
};

enum class Ending { kMustBeWhole, kMayBeCut };

// The whole of a compressed buffer. kCorrupt where it is damaged, cut short or empty; kUnsupported where it unpacks to
// more than `limit` bytes. With kMayBeCut a buffer that was cut short gives what it holds. kNone copies.
Result<std::vector<std::byte>> Decompress(Compression compression, ByteView input, uint64_t limit,
                                          Ending ending = Ending::kMustBeWhole);

}  // namespace pgstrata::codec
