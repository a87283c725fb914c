#include "catalog/pgbackrest/json_reader.h"

#include <charconv>

namespace pgstrata::pgbackrest {
namespace {

constexpr int kDeepest = 32;

void AppendUtf8(uint32_t point, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80U | ((point >> shift) & 0x3FU)); };
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xC0U | (point >> 6));
    tail(0);
  } else if (point < 0x10000) {
    text += static_cast<char>(0xE0U | (point >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0U | (point >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

char JsonReader::Peek() {
  while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\t' || text_[position_] == '\n' ||
                                      text_[position_] == '\r')) {
    ++position_;
  }
  return ok_ && position_ < text_.size() ? text_[position_] : '\0';
}

bool JsonReader::Take(char expected) {
  if (Peek() != expected) return false;
  ++position_;
  return true;
}

void JsonReader::Expect(char expected) {
  if (!Take(expected)) ok_ = false;
}

void JsonReader::Word(std::string_view word) {
  if (!text_.substr(position_).starts_with(word)) ok_ = false;
  position_ += ok_ ? word.size() : 0;
}

void JsonReader::BeginObject() {
  Expect('{');
  if (++depth_ > kDeepest) ok_ = false;
  first_ = true;
}

void JsonReader::BeginArray() {
  Expect('[');
  if (++depth_ > kDeepest) ok_ = false;
  first_ = true;
}

bool JsonReader::Next(char closing) {
  if (!ok_) return false;
  if (Take(closing)) {
    --depth_;
    first_ = false;
    return false;
  }
  if (!first_) Expect(',');
  first_ = false;
  return ok_;
}

bool JsonReader::NextKey(std::string& key) {
  if (!Next('}')) return false;
  key = String();
  Expect(':');
  return ok_;
}

bool JsonReader::NextElement() { return Next(']'); }

uint32_t JsonReader::FourDigits() {
  constexpr size_t kDigits = 4;
  uint32_t value = 0;
  const std::string_view digits = text_.substr(position_, kDigits);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  if (digits.size() != kDigits || error != std::errc() || end != digits.data() + digits.size()) ok_ = false;
  position_ += digits.size();
  return ok_ ? value : 0;
}

void JsonReader::Escape(std::string& text) {
  const char c = position_ < text_.size() ? text_[position_++] : '\0';
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
  if (const size_t found = kNames.find(c); c != '\0' && found != std::string_view::npos) {
    text += kValues[found];
    return;
  }
  if (c != 'u') {
    ok_ = false;
    return;
  }
  uint32_t point = FourDigits();
  if (point >= 0xD800 && point < 0xDC00 && text_.substr(position_).starts_with("\\u")) {
    position_ += 2;
    const uint32_t low = FourDigits();
    if (low < 0xDC00 || low > 0xDFFF) ok_ = false;
    point = 0x10000 + ((point - 0xD800) << 10) + (ok_ ? low - 0xDC00 : 0);
  }
  AppendUtf8(point, text);
}

bool JsonReader::IsString() { return Peek() == '"'; }
bool JsonReader::IsNull() { return Peek() == 'n'; }

std::string JsonReader::String() {
  std::string text;
  Expect('"');
  while (ok_) {
    const size_t begin = position_;
    const size_t end = text_.find_first_of("\"\\", begin);
    if (end == std::string_view::npos) {
      ok_ = false;
      break;
    }
    text.append(text_.substr(begin, end - begin));
    position_ = end + 1;
    if (text_[end] == '"') return text;
    Escape(text);
  }
  return {};
}

uint64_t JsonReader::Unsigned() {
  uint64_t value = 0;
  Peek();
  const char* begin = text_.data() + position_;
  const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), value);
  if (!ok_ || error != std::errc()) {
    ok_ = false;
    return 0;
  }
  position_ += static_cast<size_t>(end - begin);
  return value;
}

bool JsonReader::Bool() {
  const bool value = Peek() == 't';
  Word(value ? "true" : "false");
  return ok_ && value;
}

void JsonReader::Number() {
  if (position_ < text_.size() && text_[position_] == '-') ++position_;
  if (position_ >= text_.size() || !IsDigit(text_[position_])) ok_ = false;
  while (position_ < text_.size() &&
         (IsDigit(text_[position_]) || std::string_view("+-.eE").contains(text_[position_]))) {
    ++position_;
  }
}

void JsonReader::Skip() {
  std::string key;
  switch (Peek()) {
    case '{':
      for (BeginObject(); NextKey(key);) Skip();
      return;
    case '[':
      for (BeginArray(); NextElement();) Skip();
      return;
    case '"':
      String();
      return;
    case 't':
    case 'f':
      Bool();
      return;
    case 'n':
      Word("null");
      return;
    default:
      Number();
  }
}

bool JsonReader::AtEnd() { return Peek() == '\0' && ok_ && position_ == text_.size() && depth_ == 0; }

bool IsJson(std::string_view text) {
  JsonReader reader(text);
  reader.Skip();
  return reader.AtEnd();
}

std::string ToJsonString(std::string_view text) {
  constexpr std::string_view kValues = "\"\\\b\f\n\r\t";
  constexpr std::string_view kNames = "\"\\bfnrt";
  std::string json = "\"";
  for (const char c : text) {
    if (const size_t found = kValues.find(c); found != std::string_view::npos) {
      json += '\\';
      json += kNames[found];
    } else {
      json += c;
    }
  }
  return json + '"';
}

}  // namespace pgstrata::pgbackrest
