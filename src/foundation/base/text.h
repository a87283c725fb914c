// Small text functions that every floor uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgstrata {

// "1.3 GB", "37 MB", "512 bytes": powers of 1024 named as PostgreSQL's pg_size_pretty names them.
std::string FormatBytes(uint64_t bytes);

std::vector<std::string_view> SplitLines(std::string_view text);
std::vector<std::string_view> Split(std::string_view text, char separator);
std::string_view TrimWhitespace(std::string_view text);

// A decimal number that fills all of `text`; nothing otherwise (empty, sign, overflow, trailing characters).
std::optional<uint64_t> ParseDecimal(std::string_view text);
// Likewise hexadecimal, either case, no prefix.
std::optional<uint64_t> ParseHex(std::string_view text);

// "dir/name", without a doubled or leading slash where `directory` is empty.
std::string JoinPath(std::string_view directory, std::string_view name);
// The other way round: "a/b/c" is {"a/b", "c"}, and "c" is {"", "c"}.
std::pair<std::string_view, std::string_view> SplitLast(std::string_view path);
// In double quotes, for a message. Nothing in it is escaped.
std::string Quoted(std::string_view text);

}  // namespace pgstrata
