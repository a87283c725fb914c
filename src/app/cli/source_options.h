// The arguments that every command with a SOURCE shares.
#pragma once

#include <string>
#include <vector>

#include "app/cli/command_line.h"
#include "backup/source/source.h"
#include "foundation/base/error.h"

namespace pgstrata::cli {

struct SourceArguments {
  std::string source;
  std::vector<std::string> wal_directories;
};

// SOURCE and --wal.
void AddSourceArguments(Command& command, SourceArguments& arguments);
// --pg-bin and --user.
void AddServerArguments(Command& command, std::string& pg_bin, std::string& user);
Result<source::ResolvedSource> ResolveSource(const SourceArguments& arguments);

}  // namespace pgstrata::cli
