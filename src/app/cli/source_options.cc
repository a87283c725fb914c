#include "app/cli/source_options.h"

namespace pgstrata::cli {

void AddSourceArguments(CLI::App& command, SourceArguments& arguments) {
  command.add_option("SOURCE", arguments.source, "A backup: the directory of a cluster")->required();
  command.add_option("--wal", arguments.wal_directories, "A directory with more WAL, plain or compressed (repeatable)")
      ->type_name("DIR")
      ->expected(1)
      ->take_all();
}

void AddServerArguments(CLI::App& command, std::string& pg_bin, std::string& user) {
  command.add_option("--pg-bin", pg_bin, "Directory of PostgreSQL's programs (default: searched for)")
      ->type_name("DIR");
  command.add_option("--user", user, "User that the server runs as, when started by root (default: postgres)")
      ->type_name("USER");
}

Result<source::ResolvedSource> ResolveSource(const SourceArguments& arguments) {
  return source::Resolve({.source = arguments.source, .wal_directories = arguments.wal_directories});
}

}  // namespace pgstrata::cli
