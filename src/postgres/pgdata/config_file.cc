// The scanner takes the longest token that one of PostgreSQL's patterns matches, and the earlier pattern where two
// match the same text, as flex does. So `a.b` is a qualified name and no value, while `a-b` is a value without quotes.
#include "postgres/pgdata/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "foundation/base/text.h"

namespace pgstrata::pgdata {
namespace {

enum class Token { kName, kQualifiedName, kString, kInteger, kReal, kUnquoted, kEquals, kNewline, kEnd, kError };

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool IsAsciiLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsLetter(char c) { return IsAsciiLetter(c) || c == '_' || (static_cast<unsigned char>(c) & 0x80U) != 0; }
bool IsLetterOrDigit(char c) { return IsLetter(c) || IsDigit(c); }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
std::string ToLower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return ToLower(c); });
  return lower;
}

template <typename Predicate>
size_t CountWhile(std::string_view text, size_t from, Predicate&& predicate) {
  size_t end = from;
  while (end < text.size() && predicate(text[end])) ++end;
  return end - from;
}

// Lengths of what each pattern matches at the start of `text`; 0 for nothing.
size_t MatchName(std::string_view text) {
  return text.empty() || !IsLetter(text[0]) ? 0 : CountWhile(text, 0, IsLetterOrDigit);
}

size_t MatchQualifiedName(std::string_view text) {
  const size_t first = MatchName(text);
  if (first == 0 || first >= text.size() || text[first] != '.') return 0;
  const size_t second = MatchName(text.substr(first + 1));
  return second == 0 ? 0 : first + 1 + second;
}

size_t MatchUnquoted(std::string_view text) {
  if (text.empty() || !IsLetter(text[0])) return 0;
  return CountWhile(text, 0, [](char c) { return IsLetterOrDigit(c) || c == '-' || c == '.' || c == ':' || c == '/'; });
}

size_t SignLength(std::string_view text, size_t from) {
  return from < text.size() && (text[from] == '+' || text[from] == '-') ? 1 : 0;
}

size_t MatchInteger(std::string_view text) {
  const size_t sign = SignLength(text, 0);
  size_t end = sign + CountWhile(text, sign, IsDigit);
  if (end == sign) return 0;
  if (text[sign] == '0' && sign + 1 < text.size() && text[sign + 1] == 'x') {
    const size_t digits = CountWhile(text, sign + 2, IsHexDigit);
    if (digits > 0) end = std::max(end, sign + 2 + digits);
  }
  return end + CountWhile(text, end, IsAsciiLetter);
}

size_t MatchReal(std::string_view text) {
  size_t end = SignLength(text, 0);
  end += CountWhile(text, end, IsDigit);
  if (end >= text.size() || text[end] != '.') return 0;
  end += 1 + CountWhile(text, end + 1, IsDigit);
  if (end < text.size() && (text[end] == 'e' || text[end] == 'E')) {
    const size_t sign = SignLength(text, end + 1);
    const size_t digits = CountWhile(text, end + 1 + sign, IsDigit);
    if (digits > 0) end += 1 + sign + digits;
  }
  return end;
}

// A string ends on its line, but for '' and escapes in it.
size_t MatchString(std::string_view text) {
  if (text.empty() || text[0] != '\'') return 0;
  size_t end = 1;
  size_t longest = 0;
  while (end < text.size() && text[end] != '\n') {
    if (text[end] == '\\') {
      if (end + 1 >= text.size() || text[end + 1] == '\n') break;
      end += 2;
    } else if (text[end] == '\'') {
      longest = end + 1;
      if (end + 1 >= text.size() || text[end + 1] != '\'') break;
      end += 2;
    } else {
      ++end;
    }
  }
  return longest;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  Token Next() {
    SkipBlanksAndComment();
    if (rest_.empty()) return Take(Token::kEnd, 0);
    if (rest_[0] == '\n') return Take(Token::kNewline, 1);
    if (rest_[0] == '=') return Take(Token::kEquals, 1);
    struct Pattern {
      Token token;
      size_t length;
    };
    const Pattern patterns[] = {
        {Token::kName, MatchName(rest_)},       {Token::kQualifiedName, MatchQualifiedName(rest_)},
        {Token::kString, MatchString(rest_)},   {Token::kUnquoted, MatchUnquoted(rest_)},
        {Token::kInteger, MatchInteger(rest_)}, {Token::kReal, MatchReal(rest_)}};
    const Pattern& longest = *std::ranges::max_element(patterns, {}, &Pattern::length);
    return longest.length == 0 ? Take(Token::kError, 1) : Take(longest.token, longest.length);
  }
  [[nodiscard]] std::string_view word() const { return word_; }
  // Of the token that Next gave.
  [[nodiscard]] int line() const { return line_; }

 private:
  Token Take(Token token, size_t length) {
    line_ = next_line_;
    if (token == Token::kNewline) ++next_line_;
    word_ = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return token;
  }
  void SkipBlanksAndComment() {
    rest_.remove_prefix(CountWhile(rest_, 0, [](char c) { return c == ' ' || c == '\t' || c == '\r'; }));
    if (rest_.starts_with('#')) rest_.remove_prefix(CountWhile(rest_, 0, [](char c) { return c != '\n'; }));
  }

  std::string_view rest_;
  std::string_view word_;
  int line_ = 1;
  int next_line_ = 1;
};

char SimpleEscape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;
  }
}

// Up to three octal digits at `from`; moves it behind them.
char OctalEscape(std::string_view text, size_t& from) {
  unsigned value = 0;
  const size_t limit = std::min(from + 3, text.size());
  while (from < limit && text[from] >= '0' && text[from] <= '7')
    value = value * 8 + static_cast<unsigned>(text[from++] - '0');
  return static_cast<char>(value);
}

// `quoted` has its quotes still on (GUC_scanstr).
std::string Unquote(std::string_view quoted) {
  const std::string_view inner = quoted.substr(1, quoted.size() - 2);
  std::string value;
  for (size_t i = 0; i < inner.size();) {
    if (inner[i] == '\\' && i + 1 < inner.size()) {
      ++i;
      if (inner[i] >= '0' && inner[i] <= '7') {
        value += OctalEscape(inner, i);
      } else {
        value += SimpleEscape(inner[i++]);
      }
    } else {
      value += inner[i];
      i += inner[i] == '\'' ? 2 : 1;
    }
  }
  return value;
}

ConfigEntry::Kind KindOf(std::string_view name) {
  if (name == "include") return ConfigEntry::Kind::kInclude;
  if (name == "include_if_exists") return ConfigEntry::Kind::kIncludeIfExists;
  if (name == "include_dir") return ConfigEntry::Kind::kIncludeDirectory;
  return ConfigEntry::Kind::kSetting;
}

std::unexpected<Error> SyntaxError(const Scanner& scanner, Token token) {
  const bool at_end = token == Token::kNewline || token == Token::kEnd;
  return Fail(ErrorCode::kInvalidArgument,
              at_end ? fmt::format("syntax error at the end of line {}", scanner.line())
                     : fmt::format("syntax error in line {}, near \"{}\"", scanner.line(), scanner.word()));
}

// The entry whose name is the scanner's token; `token` becomes the one behind the entry.
Result<ConfigEntry> ReadEntry(Scanner& scanner, Token& token) {
  if (token != Token::kName && token != Token::kQualifiedName) return SyntaxError(scanner, token);
  ConfigEntry entry;
  entry.name = ToLower(scanner.word());
  entry.kind = KindOf(entry.name);
  entry.line = scanner.line();
  token = scanner.Next();
  if (token == Token::kEquals) token = scanner.Next();
  switch (token) {
    case Token::kString:
      entry.value = Unquote(scanner.word());
      break;
    case Token::kName:
    case Token::kInteger:
    case Token::kReal:
    case Token::kUnquoted:
      entry.value = scanner.word();
      break;
    default:
      return SyntaxError(scanner, token);
  }
  token = scanner.Next();
  if (token != Token::kNewline && token != Token::kEnd) return SyntaxError(scanner, token);
  return entry;
}

std::unexpected<Error> ListError(std::string_view value) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("\"{}\" is no list of libraries", value));
}

void SkipBlanks(std::string_view& text) { text.remove_prefix(CountWhile(text, 0, IsBlank)); }

// Takes "name" off `rest`, which begins with a double quote; nothing where it does not end.
std::optional<std::string> TakeQuotedName(std::string_view& rest) {
  std::string name;
  rest.remove_prefix(1);
  while (!rest.empty()) {
    const bool quote = rest[0] == '"';
    if (quote && !rest.starts_with("\"\"")) {
      rest.remove_prefix(1);
      return name;
    }
    name += rest[0];
    rest.remove_prefix(quote ? 2 : 1);
  }
  return std::nullopt;
}

// Takes what stands before the next comma; nothing where that is nothing.
std::optional<std::string> TakeBareName(std::string_view& rest) {
  const size_t length = std::min(rest.find(','), rest.size());
  const std::string_view name = TrimWhitespace(rest.substr(0, length));
  rest.remove_prefix(length);
  if (name.empty()) return std::nullopt;
  return std::string(name);
}

}  // namespace

Result<std::vector<ConfigEntry>> ParseConfigFile(std::string_view text) {
  std::vector<ConfigEntry> entries;
  Scanner scanner(text);
  for (Token token = scanner.Next(); token != Token::kEnd;) {
    if (token != Token::kNewline) {
      PGS_ASSIGN(ConfigEntry entry, ReadEntry(scanner, token));
      entries.push_back(std::move(entry));
    }
    if (token == Token::kNewline) token = scanner.Next();
  }
  return entries;
}

std::optional<std::string> LastValue(const std::vector<ConfigEntry>& entries, std::string_view name) {
  const std::string lower = ToLower(name);
  for (size_t i = entries.size(); i-- > 0;) {
    if (entries[i].kind == ConfigEntry::Kind::kSetting && entries[i].name == lower) return entries[i].value;
  }
  return std::nullopt;
}

std::string QuoteConfigValue(std::string_view value) {
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\n') {
      quoted += "\\n";
      continue;
    }
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted + '\'';
}

Result<std::vector<std::string>> SplitLibraryList(std::string_view value) {
  std::vector<std::string> libraries;
  std::string_view rest = value;
  SkipBlanks(rest);
  while (!rest.empty()) {
    auto name = rest[0] == '"' ? TakeQuotedName(rest) : TakeBareName(rest);
    if (!name) return ListError(value);
    libraries.push_back(*std::move(name));
    SkipBlanks(rest);
    if (rest.empty()) return libraries;
    if (rest[0] != ',') return ListError(value);
    rest.remove_prefix(1);
    SkipBlanks(rest);
    if (rest.empty()) return ListError(value);
  }
  return libraries;
}

std::string LibraryName(std::string_view entry) {
  const size_t slash = entry.find_last_of('/');
  if (slash != std::string_view::npos) entry.remove_prefix(slash + 1);
  if (entry.ends_with(".so")) entry.remove_suffix(3);
  return std::string(entry);
}

std::string JoinLibraryList(const std::vector<std::string>& libraries) {
  std::string list;
  for (const std::string& library : libraries) {
    if (!list.empty()) list += ", ";
    const bool plain =
        !library.empty() && std::ranges::none_of(library, [](char c) { return IsBlank(c) || c == ',' || c == '"'; });
    if (plain) {
      list += library;
      continue;
    }
    list += '"';
    for (const char c : library) {
      if (c == '"') list += '"';
      list += c;
    }
    list += '"';
  }
  return list;
}

}  // namespace pgstrata::pgdata
