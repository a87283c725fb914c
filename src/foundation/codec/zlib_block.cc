#include "foundation/codec/zlib_block.h"

#include <zlib.h>

#include <limits>
#include <string>

namespace pgstrata::codec {
namespace {

// A stream that is made anew for each block would take longer than most blocks.
class ReusedStream {
 public:
  ReusedStream() : usable_(inflateInit(&stream_) == Z_OK) {}
  ReusedStream(const ReusedStream&) = delete;
  ReusedStream& operator=(const ReusedStream&) = delete;
  ~ReusedStream() {
    if (usable_) inflateEnd(&stream_);
  }

  z_stream* Reset() { return usable_ && inflateReset(&stream_) == Z_OK ? &stream_ : nullptr; }

 private:
  z_stream stream_{};
  const bool usable_;
};

}  // namespace

Status DecompressZlibBlock(ByteView input, MutableBytes output) {
  constexpr size_t kLargest = std::numeric_limits<uInt>::max();
  if (input.size() > kLargest || output.size() > kLargest) {
    return Fail(ErrorCode::kUnsupported, "a zlib block of more than 4 GB");
  }
  thread_local ReusedStream reused;
  z_stream* const stream = reused.Reset();
  if (stream == nullptr) return Fail(ErrorCode::kInternal, "could not start zlib");
  std::byte nothing{};
  // zlib does not write to next_in.
  stream->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
  stream->avail_in = static_cast<uInt>(input.size());
  stream->next_out = reinterpret_cast<Bytef*>(output.empty() ? &nothing : output.data());
  stream->avail_out = static_cast<uInt>(output.size());
  const int result = inflate(stream, Z_FINISH);
  if (result == Z_STREAM_END && stream->avail_in == 0 && stream->avail_out == 0) return {};
  std::string reason = "it is cut or gives more than it should";
  if (result == Z_STREAM_END) reason = stream->avail_in == 0 ? "it ends early" : "more follows its end";
  if (result == Z_DATA_ERROR && stream->msg != nullptr) reason = stream->msg;
  return Fail(ErrorCode::kCorrupt, "damaged zlib data: " + reason);
}

}  // namespace pgstrata::codec
