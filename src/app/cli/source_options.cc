#include "app/cli/source_options.h"

namespace pgstrata::cli {

void AddSourceArguments(Command& command, SourceArguments& arguments) {
  command.Required("SOURCE", arguments.source, "A backup: the directory of a cluster");
  command.Repeatable("--wal", "DIR", arguments.wal_directories,
                     "A directory with more WAL, plain or compressed (repeatable)");
}

void AddServerArguments(Command& command, std::string& pg_bin, std::string& user) {
  command.Option("--pg-bin", "DIR", pg_bin, "Directory of PostgreSQL's programs (default: searched for)");
  command.Option("--user", "USER", user, "User that the server runs as, when started by root (default: postgres)");
}

Result<source::ResolvedSource> ResolveSource(const SourceArguments& arguments) {
  return source::Resolve({.source = arguments.source, .wal_directories = arguments.wal_directories});
}

}  // namespace pgstrata::cli
