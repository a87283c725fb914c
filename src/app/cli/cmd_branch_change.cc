#include <fmt/core.h>
#include <fmt/ostream.h>

#include <memory>
#include <ostream>

#include "app/cli/branch_command.h"
#include "app/cli/branch_source.h"
#include "app/cli/source_options.h"
#include "branch/branch/branch_create.h"
#include "branch/branch/branch_edit.h"
#include "branch/branch/home.h"
#include "branch/branch/start_stop.h"
#include "foundation/base/text.h"

namespace pgstrata::cli {
namespace {

struct ForcedArguments {
  std::string name;
  bool force = false;
};

Result<int> RunDrop(const ForcedArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  PGS_ASSIGN(const auto info, branch::DescribeBranch(home, arguments.name));
  PGS_TRY(Confirm(
      fmt::format("drop branch {} ({}) and {} of changes?", arguments.name, info.state, FormatBytes(info.own_bytes)),
      arguments.force, output));
  return RunHeld(output, [&](const branch::BranchEvents&) -> Status {
    PGS_ASSIGN(auto branch, branch::LockBranch(home, arguments.name, "branch drop " + arguments.name));
    PGS_TRY(branch::DropBranch(branch));
    output.err << "dropped " << arguments.name << std::endl;
    return {};
  });
}

Result<int> RunReset(const ForcedArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  PGS_ASSIGN(const auto info, branch::DescribeBranch(home, arguments.name));
  PGS_TRY(Confirm(fmt::format("throw away all that was changed in branch {} since it was made ({})?", arguments.name,
                              FormatBytes(info.own_bytes)),
                  arguments.force, output));
  return RunHeld(output, [&](const branch::BranchEvents& events) -> Status {
    PGS_ASSIGN(auto branch, branch::LockBranch(home, arguments.name, "branch reset " + arguments.name));
    PGS_ASSIGN(const bool ran, branch::EndBranch(branch));
    const auto opener = SourceReopener();
    PGS_TRY(branch::ResetBranch(branch, opener));
    output.err << arguments.name << " is as it was made" << std::endl;
    if (!ran) return {};
    PGS_TRY(branch::StartBranch(branch, opener, events));
    MergeWhereDeep(branch);
    return {};
  });
}

Result<int> RunRename(const std::string& name, const std::string& new_name, Output& output) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  return RunHeld(output, [&](const branch::BranchEvents&) -> Status {
    PGS_ASSIGN(auto branch, branch::LockBranch(home, name, "branch rename " + name));
    return branch::RenameBranch(branch, new_name);
  });
}

struct SetArguments {
  std::string name;
  std::vector<std::string> settings;
  std::vector<std::string> unset;
};

// No parameter of PostgreSQL has such a name.
constexpr std::string_view kMaxSize = "max-size";

Result<branch::BranchChanges> ParseChanges(const SetArguments& arguments) {
  branch::BranchChanges changes;
  for (const auto& setting : arguments.settings) {
    const size_t equals = setting.find('=');
    if (equals == std::string::npos) {
      return Fail(Error(ErrorCode::kUsage, Quoted(setting) + " is no setting").WithHint("write it as work_mem=64MB"));
    }
    const std::string value = setting.substr(equals + 1);
    if (setting.substr(0, equals) != kMaxSize) {
      changes.set.emplace_back(setting.substr(0, equals), value);
    } else if (value == "none") {
      changes.max_size = 0;
    } else {
      PGS_ASSIGN(changes.max_size, ParseSize(value));
    }
  }
  for (const auto& name : arguments.unset) {
    if (name == kMaxSize) {
      changes.max_size = 0;
    } else {
      changes.unset.push_back(name);
    }
  }
  return changes;
}

void PrintSettings(const branch::BranchRecord& record, std::ostream& out) {
  if (record.max_size != 0) fmt::print(out, "{}={}\n", kMaxSize, WriteSize(record.max_size));
  for (const auto& [name, value] : record.parameters) fmt::print(out, "{}={}\n", name, value);
}

Result<int> RunSet(const SetArguments& arguments, Output& output) {
  PGS_ASSIGN(const auto changes, ParseChanges(arguments));
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  if (arguments.settings.empty() && arguments.unset.empty()) {
    PGS_ASSIGN(const auto info, branch::DescribeBranch(home, arguments.name));
    PrintSettings(info.record, output.out);
    return 0;
  }
  return RunHeld(output, [&](const branch::BranchEvents&) -> Status {
    PGS_ASSIGN(auto branch, branch::LockBranch(home, arguments.name, "branch set " + arguments.name));
    PGS_TRY(branch::ChangeBranch(branch, changes));
    if (changes.set.empty() && changes.unset.empty()) return {};
    PGS_ASSIGN(const auto alive, branch::LookAt(branch.directory));
    if (alive.server) {
      output.err << fmt::format("{0} has it from its next start on: pgstrata branch restart {0}", arguments.name)
                 << std::endl;
    }
    return {};
  });
}

struct RelocateArguments {
  std::string name;
  SourceArguments source;
};

Result<int> RunRelocate(const RelocateArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string home, branch::ResolvedHomeDirectory());
  PGS_ASSIGN(const auto info, branch::DescribeBranch(home, arguments.name));
  SourceArguments reading = arguments.source;
  if (reading.cipher_pass_file.empty()) reading.cipher_pass_file = info.record.source.passphrase_file;
  reading.force = reading.force || info.record.source.force;
  PGS_ASSIGN(auto resolved, ResolveSource(reading));
  PGS_ASSIGN(auto source, BranchSourceOf(std::move(resolved), reading));
  source.reference.wal_directories = info.record.source.wal_directories;
  return RunHeld(output, [&](const branch::BranchEvents&) -> Status {
    PGS_ASSIGN(auto branch, branch::LockBranch(home, arguments.name, "branch relocate " + arguments.name));
    return branch::RelocateBranch(branch, source);
  });
}

void AddForced(CommandGroup& group, const std::string& name, const std::string& description,
               Result<int> (*run)(const ForcedArguments&, Output&)) {
  auto arguments = std::make_shared<ForcedArguments>();
  Command command = group.Add(name, description);
  command.Required("NAME", arguments->name, "The branch");
  command.Flag("--force", arguments->force, "Do not ask");
  command.Run([arguments, run](Output& output) { return run(*arguments, output); });
}

void AddRename(CommandGroup& group) {
  auto names = std::make_shared<std::pair<std::string, std::string>>();
  Command command = group.Add("rename", "Give a branch another name");
  command.Required("NAME", names->first, "The branch");
  command.Required("NEW", names->second, "Its new name");
  command.Run([names](Output& output) { return RunRename(names->first, names->second, output); });
}

void AddSet(CommandGroup& group) {
  auto arguments = std::make_shared<SetArguments>();
  Command command = group.Add("set", "Change settings of a branch's server, or list those that were changed");
  command.Required("NAME", arguments->name, "The branch");
  command.Rest("SETTING=VALUE", arguments->settings,
               "In force from the next start on; max-size=SIZE and max-size=none at once");
  command.Repeatable("--unset", "SETTING", arguments->unset, "Back to what it was (repeatable)");
  command.Examples({"pgstrata branch set test shared_buffers=2GB work_mem=64MB",
                    "pgstrata branch set test --unset work_mem", "pgstrata branch set test max-size=20GB"});
  command.Run([arguments](Output& output) { return RunSet(*arguments, output); });
}

void AddRelocate(CommandGroup& group) {
  auto arguments = std::make_shared<RelocateArguments>();
  Command command = group.Add("relocate", "Take a branch's source from where it lies now");
  command.Required("NAME", arguments->name, "The branch, stopped");
  command.Required("SOURCE", arguments->source.source, "The same backup, moved or copied");
  AddFileReadingOptions(command, arguments->source);
  command.Examples({"pgstrata branch relocate test /mnt/backups/monday",
                    "pgstrata branch relocate test pgbackrest:/mnt/repo/main/20261120-210437F"});
  command.Run([arguments](Output& output) { return RunRelocate(*arguments, output); });
}

}  // namespace

void AddBranchChangeCommands(CommandGroup& group) {
  AddForced(group, "reset", "Take a branch back to what it was made as", RunReset);
  AddRename(group);
  AddSet(group);
  AddRelocate(group);
  AddForced(group, "drop", "Remove a branch", RunDrop);
}

}  // namespace pgstrata::cli
