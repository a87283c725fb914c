// JSON as pgBackRest writes it, read once from front to back: a manifest has a value for each of 100,000 files. Strings
// may hold bytes that are not UTF-8 (paths). Values of 64 bits keep all of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pgstrata::pgbackrest {

// Every step is checked. After the first one that does not fit, ok() is false for good and all values are empty.
class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : text_(text) {}

  // "{ ... }": BeginObject, then NextKey until it is false; after each key exactly one value is read or skipped.
  void BeginObject();
  bool NextKey(std::string& key);
  // "[ ... ]": BeginArray, then NextElement until it is false; each element is read or skipped.
  void BeginArray();
  bool NextElement();

  std::string String();
  uint64_t Unsigned();
  bool Bool();
  // Whether a string comes next.
  [[nodiscard]] bool IsString();
  // Whether null comes next.
  [[nodiscard]] bool IsNull();
  void Skip();

  [[nodiscard]] bool ok() const { return ok_; }
  // ok, and nothing but blanks is left.
  [[nodiscard]] bool AtEnd();

 private:
  char Peek();
  bool Take(char expected);
  void Expect(char expected);
  void Word(std::string_view word);
  void Number();
  void Escape(std::string& text);
  uint32_t FourDigits();
  bool Next(char closing);

  std::string_view text_;
  size_t position_ = 0;
  int depth_ = 0;
  bool first_ = false;  // nothing of the innermost object or array was read
  bool ok_ = true;
};

// One JSON value and nothing else.
bool IsJson(std::string_view text);

// A string as JSON, as pgBackRest writes it: bytes beyond ASCII stay as they are.
std::string ToJsonString(std::string_view text);

}  // namespace pgstrata::pgbackrest
