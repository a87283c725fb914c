// Views of bytes and checked readers of integers. PostgreSQL's files are in the byte order of the machine that wrote
// them; pgstrata opens little-endian clusters only (pgdata checks), so every reader here is little-endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace pgstrata {

using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline ByteView AsBytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
inline std::string_view AsText(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Reads a little-endian integer at `offset`. The caller has checked that [offset, offset + sizeof(T)) lies inside.
template <std::integral T>
T LoadLe(ByteView bytes, size_t offset) {
  static_assert(std::endian::native == std::endian::little);
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

// Walks over untrusted bytes; every step is checked. After the first step beyond the end, ok() is false for good and
// all values read are zero.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : bytes_(bytes) {}

  template <std::integral T>
  T Read() {
    if (!ok_ || bytes_.size() - position_ < sizeof(T)) {
      ok_ = false;
      return T{};
    }
    const T value = LoadLe<T>(bytes_, position_);
    position_ += sizeof(T);
    return value;
  }
  ByteView Take(size_t count) {
    if (!ok_ || bytes_.size() - position_ < count) {
      ok_ = false;
      return {};
    }
    const ByteView taken = bytes_.subspan(position_, count);
    position_ += count;
    return taken;
  }
  void Skip(size_t count) { Take(count); }

  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] size_t position() const { return position_; }
  [[nodiscard]] size_t remaining() const { return ok_ ? bytes_.size() - position_ : 0; }

 private:
  ByteView bytes_;
  size_t position_ = 0;
  bool ok_ = true;
};

}  // namespace pgstrata
