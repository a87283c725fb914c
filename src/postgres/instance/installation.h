// Finding PostgreSQL's programs on this machine.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "postgres/instance/version.h"

namespace pgstrata::instance {

struct Installation {
  std::string bin_directory;  // absolute, links resolved; holds postgres
  ServerVersion version;
  std::string psql;  // absolute; empty if there is none on this machine

  [[nodiscard]] std::string Program(std::string_view name) const { return bin_directory + '/' + std::string(name); }
};

// Where to look. The defaults are this machine; tests name their own.
struct InstallationSearch {
  std::optional<std::string> pg_bin;                       // --pg-bin: this directory and no other
  io::Environment environment = io::CurrentEnvironment();  // PG_BIN, then PATH
  std::string debian_root = "/usr/lib/postgresql";         // ROOT/VERSION/bin
  std::string rpm_root = "/usr/pgsql-";                    // ROOTVERSION/bin
};

// The programs of major version `major`: --pg-bin (kInvalidArgument if that is another version), PG_BIN and PATH where
// they hold this version, then the distributions' places. psql is the one beside postgres, else the newest of the
// distributions' places, else PATH's (Debian's /usr/bin/psql is a slow wrapper). kUnavailable, with the package to
// install and the versions found, if there is none. Starts a program only where the path does not tell the version (5
// ms), and for 14, whose minor number decides which settings exist.
Result<Installation> FindInstallation(int major, const InstallationSearch& search = {});

// All that FindInstallation could find, newest first, each with its minor number and once. For `doctor`.
std::vector<Installation> ListInstallations(const InstallationSearch& search = {});

}  // namespace pgstrata::instance
