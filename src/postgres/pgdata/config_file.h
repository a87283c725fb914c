// The grammar of postgresql.conf (src/backend/utils/misc/guc-file.l) and of some values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::pgdata {

// One entry, in the order of the file. A directive is not followed here: the caller decides.
struct ConfigEntry {
  enum class Kind { kSetting, kInclude, kIncludeIfExists, kIncludeDirectory };
  Kind kind = Kind::kSetting;
  std::string name;   // in lower case; the directive's own word for the others
  std::string value;  // quotes and escapes taken off, units left alone
  int line = 0;       // from 1
  bool operator==(const ConfigEntry&) const = default;
};

// Names are folded to lower case. kInvalidArgument, naming the line, where the file has a syntax error.
Result<std::vector<ConfigEntry>> ParseConfigFile(std::string_view text);
// The value that wins: the last setting of that name, in any case.
std::optional<std::string> LastValue(const std::vector<ConfigEntry>& entries, std::string_view name);
// 'value' in quotes, escaped so that PostgreSQL (and ParseConfigFile) reads it back as it is.
std::string QuoteConfigValue(std::string_view value);

// shared_preload_libraries: names between commas, double quotes around what holds a comma or blanks. Names keep their
// case (SplitDirectoriesString). kInvalidArgument for a syntax error.
Result<std::vector<std::string>> SplitLibraryList(std::string_view value);
// What CREATE EXTENSION and people call the library of an entry, or of a file: "pg_cron" for "$libdir/pg_cron.so".
std::string LibraryName(std::string_view entry);
// The reverse of SplitLibraryList.
std::string JoinLibraryList(const std::vector<std::string>& libraries);

}  // namespace pgstrata::pgdata
