#pragma once

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "foundation/codec/byte_source.h"

namespace pgstrata::codec {

// Gives a text in pieces.
class TextSource final : public ByteSource {
 public:
  explicit TextSource(std::string text) : text_(std::move(text)) {}
  Result<size_t> Read(MutableBytes out) override {
    const size_t count = std::min(out.size(), text_.size() - taken_);
    std::memcpy(out.data(), text_.data() + taken_, count);
    taken_ += count;
    return count;
  }

 private:
  const std::string text_;
  size_t taken_ = 0;
};

}  // namespace pgstrata::codec
