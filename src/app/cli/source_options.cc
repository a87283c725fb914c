#include "app/cli/source_options.h"

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <iostream>
#include <limits>

#include "app/cli/decoding_progress.h"
#include "app/cli/passphrase_prompt.h"
#include "backup/source/source_name.h"
#include "branch/branch/home.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/recovery_target.h"

namespace pgstrata::cli {
namespace {

constexpr const char* kSourceText = "A backup: the directory of a cluster or of its tar files, or one in a catalog";
constexpr const char* kForceText = "Open what its catalog calls damaged, or what a newer program made";

void AddSource(Command& command, SourceArguments& arguments) {
  command.Required("SOURCE", arguments.source, kSourceText);
}

void AddWal(Command& command, SourceArguments& arguments) {
  command.Repeatable("--wal", "DIR", arguments.wal_directories,
                     "A directory with more WAL, plain or compressed (repeatable)");
}

void AddReading(Command& command, SourceArguments& arguments, const std::string& force_text = kForceText) {
  command.Repeatable("--chain", "PATHS", arguments.chain,
                     "What an incremental backup stands on, oldest first, with commas (default: searched beside it)");
  command.Option("--cipher-pass-file", "FILE", arguments.cipher_pass_file,
                 "A file with the passphrase of an encrypted catalog, or its pgbackrest.conf");
  command.Flag("--force", arguments.force, force_text);
}

Result<size_t> Choose(const std::string& question, const std::vector<std::string>& choices) {
  std::cerr << question << ":\n";
  for (size_t i = 0; i < choices.size(); ++i) std::cerr << "  " << i + 1 << "  " << choices[i] << '\n';
  std::cerr << "which one (1 to " << choices.size() << ")? " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  const auto number = ParseDecimal(TrimWhitespace(answer));
  if (number && *number >= 1 && *number <= choices.size()) return *number - 1;
  return Fail(ErrorCode::kCancelled, "no backup was chosen");
}

Timestamp Now() { return {std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch()).count()}; }

// Of several backups the one to begin from. Which one holds a transaction or a restore point cannot be told from
// outside.
Result<std::optional<source::EndedBefore>> BackupFor(const branch::MomentRequest& moment, const std::string& zone) {
  using Kind = pgdata::RecoveryTarget::Kind;
  PGS_ASSIGN(const auto target, pgdata::ParseRecoveryTarget(moment.at, moment.now, zone));
  switch (target.kind) {
    case Kind::kTime:
      return source::EndedBefore{.time = target.time, .lsn = {}};
    case Kind::kLsn:
      return source::EndedBefore{.time = {}, .lsn = target.lsn};
    case Kind::kLatest:
      return source::EndedBefore{};
    default:
      return std::nullopt;
  }
}

}  // namespace

void AddReadingOptions(Command& command, SourceArguments& arguments) {
  AddWal(command, arguments);
  AddReading(command, arguments);
}

void AddFileReadingOptions(Command& command, SourceArguments& arguments) { AddReading(command, arguments); }

void AddSourceArguments(Command& command, SourceArguments& arguments) {
  AddSource(command, arguments);
  AddReadingOptions(command, arguments);
}

void AddMountSourceArguments(Command& command, SourceArguments& arguments) {
  command.Optional("SOURCE", arguments.source, kSourceText);
  AddWal(command, arguments);
  AddReading(command, arguments,
             std::string(kForceText) + "; use a diff directory that an unsafe mount left without an orderly end");
}

void AddFileSourceArguments(Command& command, SourceArguments& arguments) {
  AddSource(command, arguments);
  AddReading(command, arguments);
}

void AddServerArguments(Command& command, std::string& pg_bin, std::string& user) {
  command.Option("--pg-bin", "DIR", pg_bin, "Directory of PostgreSQL's programs (default: searched for)");
  command.Option("--user", "USER", user, "User that the server runs as, when started by root (default: postgres)");
}

void AddMomentOptions(Command& command, SourceArguments& arguments) {
  command.Option("--at", "TIME", arguments.at,
                 "The database as it was then: a time, \"5min ago\", lsn:LSN, xid:XID, name:POINT, latest");
  command.Option("--timeline", "NUMBER", arguments.timeline,
                 "With --at: on this timeline (default: the newest that grew from the backup's)");
}

Result<std::optional<branch::MomentRequest>> MomentOf(const SourceArguments& arguments) {
  PGS_ASSIGN(const auto name, source::ParseSourceName(arguments.source));
  const auto usage = [](std::string message) { return Fail(ErrorCode::kUsage, std::move(message)); };
  if (arguments.at && !name.time.empty()) return usage("there are two times: " + Quoted(name.time) + " and --at");
  if (!arguments.at && name.time.empty()) {
    return arguments.timeline.empty() ? Result<std::optional<branch::MomentRequest>>()
                                      : usage("--timeline goes with --at");
  }
  branch::MomentRequest request{.at = arguments.at.value_or(name.time), .now = Now(), .timeline = {}};
  PGS_TRY(pgdata::ParseRecoveryTarget(request.at, request.now, ""));
  if (arguments.timeline.empty()) return request;
  const auto timeline = ParseDecimal(arguments.timeline);
  if (!timeline || *timeline == 0 || *timeline > std::numeric_limits<uint32_t>::max()) {
    return usage(Quoted(arguments.timeline) + " is no number of a timeline");
  }
  request.timeline = TimelineId{static_cast<uint32_t>(*timeline)};
  return request;
}

source::SourceRequest RequestOf(const SourceArguments& arguments) {
  const auto home = branch::HomeDirectory();
  source::SourceRequest request{.source = arguments.source,
                                .wal_directories = arguments.wal_directories,
                                .chain = arguments.chain,
                                .choose = {},
                                .newest_before = {},
                                .force = arguments.force,
                                .cache_directory = home ? JoinPath(*home, "cache/decoded") : std::string(),
                                .decoding = arguments.decoding,
                                .passphrase_file = arguments.cipher_pass_file,
                                .ask_passphrase = AskPassphrase};
  if (::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0) request.choose = Choose;
  return request;
}

Result<source::ResolvedSource> ResolveSource(const SourceArguments& arguments, bool may_be_in_use) {
  PGS_ASSIGN(const auto moment, MomentOf(arguments));
  source::SourceRequest request = RequestOf(arguments);
  request.may_be_in_use = may_be_in_use;
  DecodingProgress shown(std::cerr, nullptr, ::isatty(STDERR_FILENO) != 0);
  if (!request.decoding) request.decoding = [&](const image::DecodeStep& step) { return shown.Tell(step); };
  request.all_wal = moment || arguments.all_wal;
  if (!moment) return source::Resolve(request);
  PGS_ASSIGN(request.newest_before, BackupFor(*moment, ""));
  const bool depends_on_zone = pgdata::DependsOnZone(moment->at);
  if (depends_on_zone) request.newest_before.emplace();
  PGS_ASSIGN(auto newest, source::Resolve(request));
  if (!depends_on_zone || !newest.newest_was_taken) return newest;
  PGS_ASSIGN(request.newest_before, BackupFor(*moment, branch::ClusterZone(*newest.image)));
  return source::Resolve(request);
}

}  // namespace pgstrata::cli
