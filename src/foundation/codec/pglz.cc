#include "foundation/codec/pglz.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace pgstrata::codec {
namespace {

constexpr size_t kShortestCopy = 3;
constexpr size_t kLongestShortCopy = 18;  // what the tag holds; one more byte is added to it
constexpr int kItemsOfControl = 8;

std::unexpected<Error> Damaged(const char* reason) {
  return Fail(ErrorCode::kCorrupt, std::string("damaged pglz data: ") + reason);
}

// [from, from + length) may reach into what it writes: the same few bytes again and again.
void CopyWithin(std::byte* to, size_t distance, size_t length) {
  const std::byte* const from = to - distance;
  if (distance >= length) {
    std::memcpy(to, from, length);
    return;
  }
  for (size_t i = 0; i < length; ++i) to[i] = from[i];
}

}  // namespace

Status DecompressPglz(ByteView input, MutableBytes output) {
  size_t in = 0;
  size_t out = 0;
  while (in < input.size() && out < output.size()) {
    auto control = static_cast<unsigned>(input[in++]);
    for (int item = 0; item < kItemsOfControl && in < input.size() && out < output.size(); ++item, control >>= 1) {
      if ((control & 1U) == 0) {
        output[out++] = input[in++];
        continue;
      }
      if (input.size() - in < 2) return Damaged("it is cut");
      const auto first = static_cast<unsigned>(input[in]);
      const size_t distance = ((first & 0xF0U) << 4) | static_cast<unsigned>(input[in + 1]);
      size_t length = (first & 0x0FU) + kShortestCopy;
      in += 2;
      if (length == kLongestShortCopy) {
        if (in == input.size()) return Damaged("it is cut");
        length += static_cast<size_t>(input[in++]);
      }
      if (distance == 0 || distance > out) return Damaged("it copies from before its beginning");
      length = std::min(length, output.size() - out);
      CopyWithin(output.data() + out, distance, length);
      out += length;
    }
  }
  if (out != output.size()) return Damaged("it ends early");
  if (in != input.size()) return Damaged("more follows its end");
  return {};
}

}  // namespace pgstrata::codec
