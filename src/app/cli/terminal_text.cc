#include "app/cli/terminal_text.h"

#include <fmt/format.h>

#include <cstdint>

namespace pgstrata::cli {
namespace {

struct Character {
  uint32_t value = 0;
  size_t length = 0;  // in bytes; 0: no UTF-8
};

uint32_t ByteAt(std::string_view text, size_t index) { return static_cast<unsigned char>(text[index]); }

// The first character of `text`, which is not empty. Overlong forms, surrogates and values beyond Unicode are no UTF-8.
Character FirstCharacter(std::string_view text) {
  const uint32_t lead = ByteAt(text, 0);
  if (lead < 0x80) return {.value = lead, .length = 1};
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {};
  uint32_t value = lead & (0x7FU >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((ByteAt(text, i) & 0xC0U) != 0x80) return {};
    value = (value << 6U) | (ByteAt(text, i) & 0x3FU);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (value < kSmallest[length] || value > 0x10FFFF || surrogate) return {};
  return {.value = value, .length = length};
}

bool IsPrintable(uint32_t value) {
  const bool control = value < 0x20 || (value >= 0x7F && value <= 0x9F);
  const bool line_end = value == 0x2028 || value == 0x2029;
  const bool turns_direction = value == 0x200E || value == 0x200F || (value >= 0x202A && value <= 0x202E) ||
                               (value >= 0x2066 && value <= 0x2069);
  return !control && !line_end && !turns_direction;
}

std::string EscapedBytes(std::string_view bytes) {
  if (bytes == "\n") return "\\n";
  if (bytes == "\r") return "\\r";
  if (bytes == "\t") return "\\t";
  std::string escaped;
  for (size_t i = 0; i < bytes.size(); ++i) escaped += fmt::format("\\{:03o}", ByteAt(bytes, i));
  return escaped;
}

}  // namespace

std::string EscapeForTerminal(std::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    const std::string_view bytes = text.substr(0, character.length == 0 ? 1 : character.length);
    text.remove_prefix(bytes.size());
    if (character.length == 0 || !IsPrintable(character.value)) {
      escaped += EscapedBytes(bytes);
    } else if (bytes == "\\") {
      escaped += "\\\\";
    } else {
      escaped += bytes;
    }
  }
  return escaped;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = FirstCharacter(text).length;
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace pgstrata::cli
