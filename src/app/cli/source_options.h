// The arguments that every command with a SOURCE shares, and what becomes of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/cli/command_line.h"
#include "backup/image/first_touch.h"
#include "backup/source/source.h"
#include "branch/branch/moment.h"
#include "foundation/base/error.h"

namespace pgstrata::cli {

struct SourceArguments {
  std::string source;
  std::vector<std::string> wal_directories = {};
  std::vector<std::string> chain = {};
  std::string cipher_pass_file = {};
  bool force = false;
  std::optional<std::string> at = {};
  std::string timeline = {};
  bool all_wal = false;  // the catalog's WAL also without --at
  // Is told of archives that are decoded to be opened; without it a terminal is.
  image::DecodeObserver decoding = {};
};

// SOURCE and all options that say how it is read.
void AddSourceArguments(Command& command, SourceArguments& arguments);
// The same for `mount`, which takes SOURCE in another form too (mount_places.h) and a mark of its own for damaged.
void AddMountSourceArguments(Command& command, SourceArguments& arguments);
// The same without --wal, for a command that reads files and no WAL.
void AddFileSourceArguments(Command& command, SourceArguments& arguments);
// All those options, for a command that names its source by an option.
void AddReadingOptions(Command& command, SourceArguments& arguments);
// The same without --wal.
void AddFileReadingOptions(Command& command, SourceArguments& arguments);
// --at and --timeline, for a command that takes SOURCE to be a database.
void AddMomentOptions(Command& command, SourceArguments& arguments);
// What they, or SOURCE as NAME@TIME, ask for. kUsage where that is no moment.
Result<std::optional<branch::MomentRequest>> MomentOf(const SourceArguments& arguments);
// --pg-bin and --user.
void AddServerArguments(Command& command, std::string& pg_bin, std::string& user);
// What the arguments ask for, with what the program adds: see ResolveSource.
source::SourceRequest RequestOf(const SourceArguments& arguments);
// With what the program adds to the arguments: the cache below its home, and a terminal that can be asked for a
// passphrase, and which backup is meant where SOURCE holds several: to come to a moment, the newest that ended before
// it. With `may_be_in_use` what a server uses is resolved too.
Result<source::ResolvedSource> ResolveSource(const SourceArguments& arguments, bool may_be_in_use = false);

}  // namespace pgstrata::cli
