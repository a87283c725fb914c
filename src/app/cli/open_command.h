// What the two kinds of `open` share: that which throws the changes away, and --keep. Private to cmd_open*.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/command_line.h"
#include "app/cli/signals.h"
#include "app/cli/source_options.h"
#include "backup/source/source.h"
#include "branch/branch/session.h"
#include "foundation/base/clock.h"
#include "foundation/base/error.h"
#include "postgres/instance/installation.h"

namespace pgstrata::cli {

struct OpenArguments {
  SourceArguments source;
  branch::OpenRequest request;
  std::optional<std::string> keep;       // the branch that is to stay
  std::vector<std::string> psql_script;  // -c and -f with their values, in the order of the command line
  std::vector<std::string> trailing;     // after "--"
  bool prefetch = false;
  bool shell = false;
  bool exec = false;
  bool quiet = false;
  std::string json_file;
};

// The client's command line.
Result<std::vector<std::string>> ClientCommand(const OpenArguments& arguments,
                                               const instance::Installation& installation);

// What --json writes.
struct OpenReport {
  std::string source;
  std::string server_version;
  std::vector<branch::StepTime> steps;
  double total_ms = 0;
  uint64_t layer_bytes = 0;
  std::string branch;  // with --keep
};
Status WriteOpenReport(const std::string& path, const OpenReport& report);

// `open --keep`, from the resolved source on; `watch` since the command began. Returns the exit status.
Result<int> RunOpenKept(const OpenArguments& arguments, source::ResolvedSource source, SignalQueue signals,
                        const Stopwatch& watch, Output& output);

}  // namespace pgstrata::cli
