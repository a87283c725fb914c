#include "postgres/instance/settings.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace pgstrata::instance {
namespace {

constexpr int kNever = 1000;

// Known to major versions [first, end), and from minor version `first_minor` of `back_patched` on.
struct Lifetime {
  std::string_view name;
  int first = 0;
  int end = kNever;
  int back_patched = 0;
  int first_minor = 0;
};

constexpr std::array kLifetimes = {
    Lifetime{.name = "allow_in_place_tablespaces", .first = 15, .back_patched = 14, .first_minor = 5},
    Lifetime{.name = "archive_library", .first = 15},
    Lifetime{.name = "autovacuum_worker_slots", .first = 18},
    Lifetime{.name = "client_connection_check_interval", .first = 14},
    Lifetime{.name = "compute_query_id", .first = 14},
    Lifetime{.name = "debug_io_direct", .first = 16},
    Lifetime{.name = "event_triggers", .first = 17},
    Lifetime{.name = "file_copy_method", .first = 18},
    Lifetime{.name = "huge_page_size", .first = 14},
    Lifetime{.name = "idle_replication_slot_timeout", .first = 18},
    Lifetime{.name = "io_combine_limit", .first = 17},
    Lifetime{.name = "io_max_concurrency", .first = 18},
    Lifetime{.name = "io_method", .first = 18},
    Lifetime{.name = "io_workers", .first = 18},
    Lifetime{.name = "log_startup_progress_interval", .first = 15},
    Lifetime{.name = "max_active_replication_origins", .first = 18},
    Lifetime{.name = "max_parallel_apply_workers_per_subscription", .first = 16},
    Lifetime{.name = "max_slot_wal_keep_size", .first = 13},
    Lifetime{.name = "min_dynamic_shared_memory", .first = 14},
    Lifetime{.name = "old_snapshot_threshold", .end = 17},
    Lifetime{.name = "promote_trigger_file", .end = 16},
    Lifetime{.name = "recovery_init_sync_method", .first = 14},
    Lifetime{.name = "recovery_prefetch", .first = 15},
    Lifetime{.name = "remove_temp_files_after_crash", .first = 14},
    Lifetime{.name = "reserved_connections", .first = 16},
    Lifetime{.name = "stats_temp_directory", .end = 15},
    Lifetime{.name = "summarize_wal", .first = 17},
    Lifetime{.name = "sync_replication_slots", .first = 17},
    Lifetime{.name = "synchronized_standby_slots", .first = 17},
    Lifetime{.name = "transaction_timeout", .first = 17},
    Lifetime{.name = "vacuum_defer_cleanup_age", .end = 16},
    Lifetime{.name = "wal_decode_buffer_size", .first = 15},
    Lifetime{.name = "wal_init_zero", .first = 12},
    Lifetime{.name = "wal_keep_segments", .end = 13},
    Lifetime{.name = "wal_keep_size", .first = 13},
    Lifetime{.name = "wal_recycle", .first = 12},
    Lifetime{.name = "wal_summary_keep_time", .first = 17},
};

bool EqualNames(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

bool Exists(std::string_view name, const ServerVersion& version) {
  const auto* lifetime =
      std::ranges::find_if(kLifetimes, [name](const Lifetime& each) { return EqualNames(each.name, name); });
  if (lifetime == kLifetimes.end()) return true;
  if (lifetime->back_patched == version.major) return version.minor.value_or(0) >= lifetime->first_minor;
  return version.major >= lifetime->first && version.major < lifetime->end;
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
  for (const auto& [name, value] : entries_) text += name + " = " + QuoteSetting(value) + '\n';
  return text;
}

std::vector<std::string> Settings::ToArguments() const {
  std::vector<std::string> arguments;
  for (const auto& [name, value] : entries_) arguments.insert(arguments.end(), {"-c", name + '=' + value});
  return arguments;
}

std::string QuoteSetting(std::string_view value) {
  std::string text = "'";
  for (const char c : value) {
    switch (c) {
      case '\'':
        text += "''";
        break;
      case '\\':
        text += "\\\\";
        break;
      case '\n':  // the file's lexer ends a string at a line's end
        text += "\\n";
        break;
      default:
        text += c;
    }
  }
  return text + '\'';
}

}  // namespace pgstrata::instance
