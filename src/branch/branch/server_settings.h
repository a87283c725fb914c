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
  std::vector<std::string> without;        // not these
  std::vector<std::string> with;           // these too, although not known to be quiet
  std::string advice = "--with-preload ";  // what to say, before its name, to load one all the same
};

struct ServerPlan {
  instance::Settings settings;
  std::vector<std::string> warnings;  // what was left out, and why
};

// How long what the server writes is wanted.
enum class Lifetime {
  kThrowaway,  // until the command ends: nothing is durable, nothing tidies up
  kEphemeral,  // kept until the next crash: nothing is durable
  kDurable,    // kept: all that PostgreSQL promises
};

struct ServerFiles {
  std::string hba_file;
  std::string ident_file;
  std::string external_pid_file;
};

Result<ServerPlan> PlanServer(const ClusterFacts& facts, const RecoveryPlan& recovery,
                              const SourceConfiguration& configuration, const LibraryRequest& libraries,
                              const instance::Installation& installation, const ServerFiles& files, Lifetime lifetime);

// Where recovery is to stop, as settings; none where it stops nowhere.
instance::Settings MomentSettings(const RecoveryPlan& recovery, const ClusterFacts& facts);

// Those of `settings` that keep a branch safe and its data whole. They go on the command line, where no ALTER SYSTEM
// reaches them, and `branch set` refuses them.
instance::Settings GuardedSettings(const instance::Settings& settings);
// Whether `name` is such a setting, in any version.
bool IsGuarded(std::string_view name);

// pg_hba.conf: everybody who can enter the private socket directory, and nobody else.
std::string HostBasedAuthentication();

// PGOPTIONS for clients: what ALTER ROLE or ALTER DATABASE ... SET would otherwise impose on their sessions (trap 36).
std::string ClientOptions(bool superuser);

}  // namespace pgstrata::branch
