#include "postgres/instance/settings.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "postgres/pgdata/config_file.h"

namespace pgstrata::instance {
namespace {

// Known from major version `first` on, and from minor version `first_minor` of `back_patched` on.
struct Since {
  std::string_view name;
  int first = 0;
  int back_patched = 0;
  int first_minor = 0;
};

constexpr std::array kNewcomers = {
    Since{.name = "allow_in_place_tablespaces", .first = 15, .back_patched = 14, .first_minor = 5},
    Since{.name = "archive_library", .first = 15},
    Since{.name = "event_triggers", .first = 17},
    Since{.name = "io_method", .first = 18},
    Since{.name = "max_active_replication_origins", .first = 18},
    Since{.name = "recovery_prefetch", .first = 15},
    Since{.name = "summarize_wal", .first = 17},
    Since{.name = "sync_replication_slots", .first = 17},
};

bool EqualNames(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

bool Exists(std::string_view name, const ServerVersion& version) {
  const auto* since =
      std::ranges::find_if(kNewcomers, [name](const Since& each) { return EqualNames(each.name, name); });
  if (since == kNewcomers.end()) return true;
  if (since->back_patched == version.major) return version.minor.value_or(0) >= since->first_minor;
  return version.major >= since->first;
}

Settings& Settings::Set(std::string_view name, std::string_view value) {
  const auto known =
      std::ranges::find_if(entries_, [name](const auto& entry) { return EqualNames(entry.first, name); });
  if (known != entries_.end()) {
    known->second = value;
  } else {
    entries_.emplace_back(name, value);
  }
  return *this;
}

Settings& Settings::SetIfExists(std::string_view name, std::string_view value, const ServerVersion& version) {
  return Exists(name, version) ? Set(name, value) : *this;
}

Settings& Settings::Merge(const Settings& other) {
  for (const auto& [name, value] : other.entries_) Set(name, value);
  return *this;
}

const std::string* Settings::Find(std::string_view name) const {
  const auto known =
      std::ranges::find_if(entries_, [name](const auto& entry) { return EqualNames(entry.first, name); });
  return known != entries_.end() ? &known->second : nullptr;
}

std::string Settings::ToConfigurationFile() const {
  std::string text;
  for (const auto& [name, value] : entries_) text += name + " = " + pgdata::QuoteConfigValue(value) + '\n';
  return text;
}

std::vector<std::string> Settings::ToArguments() const {
  std::vector<std::string> arguments;
  for (const auto& [name, value] : entries_) arguments.insert(arguments.end(), {"-c", name + '=' + value});
  return arguments;
}

}  // namespace pgstrata::instance
