// PostgreSQL settings as data: an ordered list of names and values, written as a postgresql.conf or as -c arguments.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postgres/instance/version.h"

namespace pgstrata::instance {

// Whether a server of `version` (14 to 18) knows the setting `name`. Names that came after 14.0 and that pgstrata sets
// are in a table; of any other name it is taken to be true. Without a minor number, the oldest is assumed.
bool Exists(std::string_view name, const ServerVersion& version);

class Settings {
 public:
  // Sets a value, in place if the name is there already, else at the end. Names are compared as PostgreSQL does,
  // without regard to ASCII case.
  Settings& Set(std::string_view name, std::string_view value);
  // Likewise, unless `version` does not know the name.
  Settings& SetIfExists(std::string_view name, std::string_view value, const ServerVersion& version);
  // Sets all of `other`, in its order.
  Settings& Merge(const Settings& other);
  // The value, or nothing.
  [[nodiscard]] const std::string* Find(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }

  // "name = 'value'\n" for each, quoted so that any value but one with a NUL byte is read back as it is.
  [[nodiscard]] std::string ToConfigurationFile() const;
  // "-c", "name=value", ... for postgres.
  [[nodiscard]] std::vector<std::string> ToArguments() const;

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace pgstrata::instance
