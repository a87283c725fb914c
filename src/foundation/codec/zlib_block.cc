// libdeflate and not zlib: it takes a third of the time for a page, because it needs to stop and go on nowhere.
#include "foundation/codec/zlib_block.h"

#include <libdeflate.h>

#include <memory>
#include <string>

namespace pgstrata::codec {
namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

std::string ReasonOf(libdeflate_result result, bool is_all_used) {
  switch (result) {
    case LIBDEFLATE_SUCCESS:
      return is_all_used ? "" : "more follows its end";
    case LIBDEFLATE_SHORT_OUTPUT:
      return "it ends early";
    case LIBDEFLATE_INSUFFICIENT_SPACE:
      return "it gives more than it should";
    default:
      return "it is cut, or a byte of it is another";
  }
}

}  // namespace

Status DecompressZlibBlock(ByteView input, MutableBytes output) {
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  if (!decompressor) return Fail(ErrorCode::kInternal, "could not start libdeflate");
  std::byte nothing{};
  size_t used = 0;
  const auto result =
      libdeflate_zlib_decompress_ex(decompressor.get(), input.data(), input.size(),
                                    output.empty() ? &nothing : output.data(), output.size(), &used, nullptr);
  const std::string reason = ReasonOf(result, used == input.size());
  if (reason.empty()) return {};
  return Fail(ErrorCode::kCorrupt, "damaged zlib data: " + reason);
}

}  // namespace pgstrata::codec
