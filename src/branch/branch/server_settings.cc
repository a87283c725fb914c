#include "branch/branch/server_settings.h"

#include <algorithm>
#include <array>
#include <clocale>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/process.h"
#include "postgres/pgdata/config_file.h"

namespace pgstrata::branch {
namespace {

using instance::Settings;
using SourceSettings = std::map<std::string, std::string>;

// Settings that give stored data or SQL texts their meaning; all others are ours. Names with a dot (of extensions and
// applications) are kept too.
constexpr std::array kMeaningful = {
    "array_nulls",
    "backslash_quote",
    "bytea_output",
    "datestyle",
    "default_table_access_method",
    "default_text_search_config",
    "default_toast_compression",
    "extra_float_digits",
    "intervalstyle",
    "quote_all_identifiers",
    "search_path",
    "standard_conforming_strings",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
};
// Kept where this machine has the locale.
constexpr std::array kLocales = {"lc_monetary", "lc_numeric", "lc_time"};

// Libraries that watch or plan, and neither connect anywhere nor start jobs (trap 23). Others need --with-preload.
constexpr std::array kQuietLibraries = {
    "auto_explain",     "pg_hint_plan",  "pg_qualstats", "pg_stat_kcache", "pg_stat_statements",
    "pg_wait_sampling", "passwordcheck", "pgaudit",      "plpgsql_check",  "set_user",
};
// Libraries whose purpose is to act: run jobs, connect to other servers. Left out without a question.
constexpr std::array kActingLibraries = {
    "basic_archive", "bdr",       "citus",      "citus_columnar", "pg_cron",     "pg_net",     "pg_partman_bgw",
    "pg_prewarm",    "pglogical", "pg_squeeze", "spock",          "timescaledb", "worker_spi",
};

// What keeps a branch away from production and its data whole: not for `branch set` and ALTER SYSTEM to change.
constexpr std::array<std::string_view, 29> kGuarded = {
    "allow_in_place_tablespaces",
    "archive_cleanup_command",
    "archive_command",
    "archive_library",
    "archive_mode",
    "event_triggers",
    "external_pid_file",
    "fsync",
    "full_page_writes",
    "hba_file",
    "hot_standby",
    "ident_file",
    "listen_addresses",
    "log_destination",
    "logging_collector",
    "max_logical_replication_workers",
    "primary_conninfo",
    "primary_slot_name",
    "recovery_end_command",
    "recovery_init_sync_method",
    "recovery_min_apply_delay",
    "restart_after_crash",
    "restore_command",
    "ssl",
    "summarize_wal",
    "sync_replication_slots",
    "synchronous_standby_names",
    "wal_level",
    "wal_recycle",
};

template <size_t N>
bool Contains(const std::array<const char*, N>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool Contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

bool LocaleExists(const std::string& name) {
  const locale_t locale = ::newlocale(LC_ALL_MASK, name.c_str(), nullptr);
  if (locale == nullptr) return false;
  ::freelocale(locale);
  return true;
}

bool TimeZoneExists(const std::string& name) {
  return !name.contains("..") && io::Exists("/usr/share/zoneinfo/" + name);
}

void KeepMeaning(const SourceSettings& source, const instance::ServerVersion& version, ServerPlan& plan) {
  for (const auto& [name, value] : source) {
    if (Contains(kMeaningful, name) || name.contains('.')) plan.settings.SetIfExists(name, value, version);
    if (Contains(kLocales, name) && LocaleExists(value)) plan.settings.Set(name, value);
    if (name == "timezone" && TimeZoneExists(value)) plan.settings.Set(name, value);
  }
}

// Where this server finds libraries by name.
Result<std::string> LibraryDirectory(const instance::Installation& installation) {
  if (std::string beside = installation.bin_directory + "/../lib"; io::Exists(beside + "/dict_snowball.so")) {
    return beside;
  }
  if (std::string below = installation.bin_directory + "/../lib/postgresql"; io::Exists(below + "/dict_snowball.so")) {
    return below;
  }
  const std::string pg_config = installation.Program("pg_config");
  PGS_ASSIGN(const auto run, io::RunAndCapture({.argv = {pg_config, "--pkglibdir"}}));
  if (run.status.AsShell() != 0) return Fail(ErrorCode::kUnavailable, '"' + pg_config + "\" failed");
  return std::string(TrimWhitespace(run.standard_output));
}

bool IsInstalled(const std::string& entry, const instance::Installation& installation) {
  if (entry.starts_with('/')) return io::Exists(entry);
  const auto directory = LibraryDirectory(installation);
  return !directory || io::Exists(JoinPath(*directory, pgdata::LibraryName(entry) + ".so"));
}

// The entries of shared_preload_libraries that are loaded. One that is missing here is loaded all the same, so that the
// server says so: silently another database than the user expects would be worse.
Result<std::vector<std::string>> ChooseLibraries(const std::string& list, const LibraryRequest& request,
                                                 const instance::Installation& installation, ServerPlan& plan) {
  PGS_ASSIGN(const auto entries, pgdata::SplitLibraryList(list));
  std::vector<std::string> chosen;
  for (const auto& entry : entries) {
    const std::string name = pgdata::LibraryName(entry);
    if (Contains(request.without, name) || Contains(request.without, entry)) continue;
    const bool wanted = Contains(request.with, name) || Contains(request.with, entry);
    const bool quiet = Contains(kQuietLibraries, name);
    const bool unknown_and_missing = !quiet && !Contains(kActingLibraries, name) && !IsInstalled(entry, installation);
    if (wanted || quiet || unknown_and_missing) {
      chosen.push_back(entry);
    } else {
      plan.warnings.push_back("library \"" + name +
                              "\" of shared_preload_libraries is not loaded, because it may act on "
                              "its own; load it with " +
                              request.advice + name);
    }
  }
  for (const auto& name : request.with) {
    if (!Contains(chosen, name)) chosen.push_back(name);
  }
  return chosen;
}

void StayAwayFromProduction(const instance::ServerVersion& version, Settings& settings) {
  settings.Set("listen_addresses", "")
      .Set("archive_mode", "off")
      .SetIfExists("archive_library", "", version)
      .Set("archive_cleanup_command", "")
      .Set("recovery_end_command", "")
      .Set("primary_conninfo", "")
      .Set("primary_slot_name", "")
      .SetIfExists("sync_replication_slots", "off", version)
      .Set("synchronous_standby_names", "")
      .Set("max_logical_replication_workers", "0")
      .Set("session_preload_libraries", "")
      .Set("local_preload_libraries", "")
      .SetIfExists("event_triggers", "off", version)
      .Set("ssl", "off");
}

// A timeline's number names a history file, which timeline 1 and a backup's own may not have.
std::string TimelineSetting(const Moment& moment, const ClusterFacts& facts) {
  return moment.timeline == facts.timeline ? "current" : std::to_string(moment.timeline.value);
}

void DropRecoveryTargets(Settings& settings) {
  for (const char* target :
       {"recovery_target", "recovery_target_name", "recovery_target_time", "recovery_target_xid"}) {
    settings.Set(target, "");
  }
  settings.Set("recovery_target_timeline", "current").Set("recovery_min_apply_delay", "0");
}

// What every server of a branch gets, however long it lives.
void SetForBranch(const instance::ServerVersion& version, Settings& settings) {
  settings.Set("recovery_init_sync_method", "syncfs")
      .SetIfExists("recovery_prefetch", "off", version)
      .Set("wal_init_zero", "off")
      .Set("wal_recycle", "off")
      .Set("wal_compression", "on")
      .SetIfExists("summarize_wal", "off", version)
      .SetIfExists("io_method", "sync", version)
      .SetIfExists("allow_in_place_tablespaces", "on", version)
      .Set("temp_tablespaces", "")
      .Set("default_tablespace", "")
      .Set("autovacuum_freeze_max_age", "2000000000")
      .Set("autovacuum_multixact_freeze_max_age", "2000000000")
      .Set("default_transaction_read_only", "off")
      // A server that starts again by itself would not sync what the one before it wrote: the volume is closed and
      // opened in between, and that syncs it.
      .Set("restart_after_crash", "off")
      .Set("logging_collector", "off")
      .Set("log_destination", "stderr")
      .Set("huge_pages", "off")
      .Set("shared_buffers", "128MB");
}

void SetLifetime(Lifetime lifetime, Settings& settings) {
  const bool durable = lifetime == Lifetime::kDurable;
  settings.Set("fsync", durable ? "on" : "off").Set("full_page_writes", durable ? "on" : "off");
  if (!durable) settings.Set("synchronous_commit", "off");
  if (lifetime == Lifetime::kThrowaway) settings.Set("checkpoint_timeout", "1d").Set("autovacuum", "off");
}

// In a container or chroot /dev/shm may be missing or closed to the server's user, and the server would not start.
void SetSharedMemory(Settings& settings) {
  const auto directory = io::StatTarget("/dev/shm");
  const bool open_to_all = directory && S_ISDIR(directory->st_mode) && (directory->st_mode & S_IWOTH) != 0;
  settings.Set("dynamic_shared_memory_type", open_to_all ? "posix" : "sysv");
}

// Not below what the WAL was written under (trap 11); a standby's recovery refuses lower values, and prepared
// transactions need their slots even after a clean stop (trap 34).
void SetCapacities(const pgdata::ControlFile& control, const instance::ServerVersion& version, Settings& settings) {
  const auto at_least = [&](const char* name, uint32_t control_value, uint32_t ours) {
    settings.Set(name, std::to_string(std::max(control_value, ours)));
  };
  at_least("max_connections", control.max_connections, 100);
  at_least("max_worker_processes", control.max_worker_processes, 8);
  at_least("max_wal_senders", control.max_wal_senders, 0);
  at_least("max_prepared_transactions", control.max_prepared_transactions, 0);
  at_least("max_locks_per_transaction", control.max_locks_per_transaction, 64);
  // pg_control does not say for how many origins of replication (of a subscriber) the start has to find room.
  constexpr const char* kOrigins = "1024";
  settings.Set("max_replication_slots", kOrigins).SetIfExists("max_active_replication_origins", kOrigins, version);
}

// The server wants room for two segments, however large they are (trap 39), and keeps no more than that.
void SetWalSize(const pgdata::ControlFile& control, Settings& settings) {
  constexpr uint64_t kMegabyte = 1 << 20;
  constexpr uint64_t kUsualMaximum = 1024;
  const uint64_t two_segments = 2 * control.wal_segment_size.bytes() / kMegabyte;
  settings.Set("min_wal_size", std::to_string(two_segments) + "MB")
      .Set("max_wal_size", std::to_string(std::max(two_segments, kUsualMaximum)) + "MB");
}

// As the cluster has it: another level would be written into the branch's pg_control and WAL. "minimal" excludes
// senders.
void SetWalLevel(const pgdata::ControlFile& control, Settings& settings) {
  settings.Set("wal_level", std::string(pgdata::WalLevelName(control.wal_level)));
  if (control.wal_level == pgdata::WalLevel::kMinimal) settings.Set("max_wal_senders", "0");
  if (control.track_commit_timestamp) settings.Set("track_commit_timestamp", "on");
  if (control.wal_log_hints) settings.Set("wal_log_hints", "on");
}

}  // namespace

Result<ServerPlan> PlanServer(const ClusterFacts& facts, const RecoveryPlan& recovery,
                              const SourceConfiguration& configuration, const LibraryRequest& libraries,
                              const instance::Installation& installation, const ServerFiles& files, Lifetime lifetime) {
  ServerPlan plan;
  plan.warnings = configuration.notes;
  const auto& source = configuration.settings;
  KeepMeaning(source, installation.version, plan);
  const auto listed = source.find("shared_preload_libraries");
  PGS_ASSIGN(const auto loaded,
             ChooseLibraries(listed == source.end() ? "" : listed->second, libraries, installation, plan));
  plan.settings.Set("shared_preload_libraries", pgdata::JoinLibraryList(loaded));
  StayAwayFromProduction(installation.version, plan.settings);
  DropRecoveryTargets(plan.settings);
  // The last of all targets: to the server even an empty one is a second target behind one that is set.
  plan.settings.Set("recovery_target_lsn", "").Merge(MomentSettings(recovery, facts));
  SetForBranch(installation.version, plan.settings);
  SetLifetime(lifetime, plan.settings);
  SetSharedMemory(plan.settings);
  SetCapacities(facts.control, installation.version, plan.settings);
  SetWalSize(facts.control, plan.settings);
  SetWalLevel(facts.control, plan.settings);
  // Asked only in archive recovery, and answered "there is none" every time (trap 9): all WAL is in pg_wal already.
  plan.settings.Set("restore_command", recovery.mode == RecoveryMode::kArchive ? "false" : "");
  plan.settings.Set("hot_standby", "off");
  plan.settings.Set("hba_file", files.hba_file)
      .Set("ident_file", files.ident_file)
      .Set("external_pid_file", files.external_pid_file);
  return plan;
}

// The server promotes itself at the moment: paused, whatever held locks then would hold them for ever.
instance::Settings MomentSettings(const RecoveryPlan& recovery, const ClusterFacts& facts) {
  Settings settings;
  if (!recovery.moment) return settings;
  settings.Set("recovery_target_timeline", TimelineSetting(*recovery.moment, facts));
  if (!recovery.moment->stop) return settings;
  return settings.Set("recovery_target_lsn", recovery.moment->stop->ToString())
      .Set("recovery_target_inclusive", "off")
      .Set("recovery_target_action", "promote");
}

bool IsGuarded(std::string_view name) {
  return std::ranges::find(kGuarded, name) != kGuarded.end() || name == "data_directory" || name == "config_file" ||
         name == "port" || name.starts_with("unix_socket_") || name.starts_with("recovery_target");
}

instance::Settings GuardedSettings(const instance::Settings& settings) {
  Settings guarded;
  for (const auto& [name, value] : settings.entries()) {
    if (IsGuarded(name)) guarded.Set(name, value);
  }
  return guarded;
}

std::string HostBasedAuthentication() { return "local all all trust\nlocal replication all trust\n"; }

std::string ClientOptions(bool superuser) {
  std::string options =
      "-c default_transaction_read_only=off -c temp_tablespaces= -c default_tablespace= -c local_preload_libraries=";
  if (superuser) options += " -c session_preload_libraries=";
  return options;
}

}  // namespace pgstrata::branch
