#include <fmt/core.h>

#include <memory>
#include <ostream>

#include "app/cli/branch_command.h"
#include "app/cli/branch_source.h"
#include "app/cli/source_options.h"
#include "backup/source/source_name.h"
#include "branch/branch/branch_create.h"
#include "branch/branch/home.h"
#include "branch/branch/start_stop.h"
#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::cli {
namespace {

struct CreateArguments {
  SourceArguments source;
  branch::BranchOptions options;
  std::string max_size;
  std::string version;
  bool empty = false;
  bool start = false;
};

bool SaysHowToRead(const SourceArguments& source) {
  return !source.wal_directories.empty() || !source.chain.empty() || !source.cipher_pass_file.empty() || source.force;
}

Status CheckArguments(const CreateArguments& arguments) {
  const auto usage = [](std::string message) {
    return Fail(Error(ErrorCode::kUsage, std::move(message)).WithHint("see pgstrata branch create --help"));
  };
  if (arguments.empty == !arguments.source.source.empty())
    return usage("either --from or --empty says what to branch from");
  if (!arguments.version.empty() && !arguments.empty) return usage("--pg is for --empty: a backup has its version");
  if (arguments.empty && SaysHowToRead(arguments.source)) {
    return usage("--wal, --chain, --cipher-pass-file and --force are for --from");
  }
  if (arguments.empty && arguments.source.at) return usage("--at is for --from");
  return {};
}

// The branch that SOURCE names, or nothing where it is a source of another kind.
Result<std::string> BranchNamed(const std::string& home, const std::string& source) {
  PGS_ASSIGN(const auto name, source::ParseSourceName(source));
  if (name.kind == source::SourceKind::kBranch) return name.rest;
  if (name.kind != source::SourceKind::kName || !name.time.empty()) return std::string();
  PGS_ASSIGN(auto catalogue, branch::Catalogue::OpenIfThere(home));
  if (catalogue && catalogue->Find(name.rest)) return name.rest;
  return std::string();
}

Result<int> MajorVersion(const std::string& text) {
  constexpr int kOldest = 14;
  constexpr int kDefault = 0;
  if (text.empty()) return kDefault;
  const auto number = ParseDecimal(text);
  if (number && *number >= kOldest && *number < 100) return static_cast<int>(*number);
  return Fail(ErrorCode::kUsage, Quoted(text) + " is no major version of PostgreSQL");
}

struct Created {
  branch::BranchRecord record;
  branch::SourceOpener opener;  // of what it stands on, which is open
};

Result<Created> Create(const std::string& home, const CreateArguments& arguments, const branch::BranchEvents& events) {
  auto opener = SourceReopener();
  if (arguments.empty) {
    PGS_ASSIGN(const int major, MajorVersion(arguments.version));
    PGS_ASSIGN(auto record, branch::CreateEmpty(home, arguments.options, major, events));
    return Created{std::move(record), opener};
  }
  PGS_ASSIGN(const std::string parent, BranchNamed(home, arguments.source.source));
  if (!parent.empty()) {
    if (SaysHowToRead(arguments.source)) {
      return Fail(ErrorCode::kUsage,
                  "a branch knows how its source is read: --wal, --chain, --cipher-pass-file and "
                  "--force are for backups");
    }
    if (arguments.source.at) {
      return Fail(Error(ErrorCode::kUnsupported, "a branch has no moments: it keeps no WAL of what it was")
                      .WithHint("name the backup that it was made from, or leave --at out"));
    }
    PGS_ASSIGN(auto record, branch::CreateFromBranch(home, arguments.options, parent, opener, events));
    return Created{std::move(record), opener};
  }
  PGS_ASSIGN(auto at, MomentOf(arguments.source));
  PGS_ASSIGN(auto resolved, ResolveSource(arguments.source));
  PGS_ASSIGN(auto source, BranchSourceOf(std::move(resolved), arguments.source));
  source.at = std::move(at);
  PGS_ASSIGN(auto record, branch::CreateFromSource(home, arguments.options, source, events));
  return Created{std::move(record), branch::AlwaysOpen(source.image)};
}

Result<int> RunCreate(CreateArguments& arguments, Output& output) {
  const Stopwatch watch;
  PGS_TRY(CheckArguments(arguments));
  if (!arguments.max_size.empty()) {
    PGS_ASSIGN(arguments.options.max_size, ParseSize(arguments.max_size));
  }
  if (auto& script = arguments.options.run_script; !script.empty()) {
    PGS_ASSIGN(script, io::ResolvePath(script));
  }
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  return RunHeld(output, [&](const branch::BranchEvents& events) -> Status {
    PGS_ASSIGN(const auto created, Create(home, arguments, events));
    const auto& record = created.record;
    output.err << fmt::format("created {} (PostgreSQL {}, {}) in {:.2f} s", record.name, record.major_version,
                              record.kind, watch.milliseconds() / 1000)
               << std::endl;
    if (!arguments.start) return {};
    PGS_ASSIGN(auto branch, branch::LockBranch(home, record.name, "branch start " + record.name));
    PGS_TRY(branch::StartBranch(branch, created.opener, events));
    TellHowToConnect(branch.record, watch, output);
    MergeWhereDeep(branch);
    return {};
  });
}

}  // namespace

void AddBranchCreate(CommandGroup& group) {
  auto arguments = std::make_shared<CreateArguments>();
  auto& options = arguments->options;
  Command command = group.Add("create", "Make a branch of a backup, of a stopped branch, or of nothing");
  command.Required("NAME", options.name, "The new branch");
  command.Option("--from", "SOURCE", arguments->source.source,
                 "A backup, as for open: a directory, tar files, one in a catalog; or a stopped branch");
  AddReadingOptions(command, arguments->source);
  AddMomentOptions(command, arguments->source);
  command.Flag("--empty", arguments->empty, "Branch from a new cluster, which initdb makes");
  command.Option("--pg", "VERSION", arguments->version, "Its major version (default: the newest that is installed)");
  command.Option("--run", "FILE", options.run_script,
                 "Run these statements before anybody can connect; fail, and there is no branch");
  command.Flag("--start", arguments->start, "Start it");
  command.Option("-d,--dbname", "DB", options.database, "Database that clients connect to (default: postgres)");
  command.Option("-U,--username", "ROLE", options.role,
                 "Role that clients connect as (default: the bootstrap superuser)");
  command.Option("--max-size", "SIZE", arguments->max_size,
                 "Most bytes that its changes may take: 10GB (default: no limit)");
  command.Flag("--ephemeral", options.ephemeral, "Faster, and lost with the next crash");
  command.Flag("--allow-network", options.allow_network, "Let the server and what it runs reach the network");
  AddServerArguments(command, options.pg_bin, options.user);
  command.Examples({"pgstrata branch create test --from /backups/monday --start",
                    "pgstrata branch create before --from /backups/monday --wal /archive --at '2026-11-20 21:30:00+00'",
                    "pgstrata branch create test --from pgbackrest:main --start",
                    "pgstrata branch create masked --from /backups/monday --run mask.sql",
                    "pgstrata branch create mine --from masked"});
  command.Run([arguments](Output& output) { return RunCreate(*arguments, output); });
}

}  // namespace pgstrata::cli
