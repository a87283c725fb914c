// `pgstrata open` as a process: what it prints, how long it takes, what it leaves in its layer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "foundation/io/process.h"

namespace pgstrata::bench {

// Whom `open` runs as.
struct Caller {
  std::string name;
  std::optional<io::UserIdentity> user;  // nothing: as ourselves
  std::string home;                      // PGSTRATA_HOME
};

// `program` open -q SOURCE ARGUMENTS.
ProgramRun Open(const std::string& program, const Caller& caller, const std::string& source,
                const std::vector<std::string>& arguments);

// The bytes in the layer after `select 1` and after everything dirty was written out of the kernel's cache.
double LayerBytesAfterSelect(const std::string& program, const Caller& caller, const std::string& source);

}  // namespace pgstrata::bench
