#include "app/cli/source_options.h"

#include <unistd.h>

#include <iostream>

#include "app/cli/passphrase_prompt.h"
#include "branch/branch/home.h"
#include "foundation/base/text.h"

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

Result<source::ResolvedSource> ResolveSource(const SourceArguments& arguments, bool may_be_in_use) {
  const auto home = branch::HomeDirectory();
  source::SourceRequest request{.source = arguments.source,
                                .wal_directories = arguments.wal_directories,
                                .chain = arguments.chain,
                                .choose = {},
                                .may_be_in_use = may_be_in_use,
                                .force = arguments.force,
                                .cache_directory = home ? JoinPath(*home, "cache/decoded") : std::string(),
                                .passphrase_file = arguments.cipher_pass_file,
                                .ask_passphrase = AskPassphrase};
  if (::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0) request.choose = Choose;
  return source::Resolve(request);
}

}  // namespace pgstrata::cli
