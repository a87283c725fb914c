// The configuration of an opened database: what keeps it from reaching production, what makes it start fast, what its
// data need in order to mean the same. docs/safety.md gives the reasons, trap by trap.
#pragma once

#include <string>
#include <vector>

#include "branch/branch/cluster_facts.h"
#include "branch/branch/recovery_plan.h"
#include "branch/branch/source_configuration.h"
#include "foundation/base/error.h"
#include "postgres/instance/installation.h"
#include "postgres/instance/settings.h"

namespace pgstrata::branch {

// What the user says about shared_preload_libraries.
struct LibraryRequest {
  std::vector<std::string> without;  // not these
  std::vector<std::string> with;     // these too, although not known to be quiet
};

struct ServerPlan {
  instance::Settings settings;
  std::vector<std::string> warnings;  // what was left out, and why
};

// `session` is the directory of the server's own files; pg_hba.conf and pg_ident.conf lie there.
Result<ServerPlan> PlanServer(const ClusterFacts& facts, const RecoveryPlan& recovery,
                              const SourceConfiguration& configuration, const LibraryRequest& libraries,
                              const instance::Installation& installation, const std::string& session);

// pg_hba.conf: everybody who can enter the private socket directory, and nobody else.
std::string HostBasedAuthentication();

// PGOPTIONS for clients: what ALTER ROLE or ALTER DATABASE ... SET would otherwise impose on their sessions (trap 36).
std::string ClientOptions(bool superuser);

}  // namespace pgstrata::branch
