#include "postgres/client/environment.h"

#include <libpq-fe.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <set>

#include "postgres/client/libpq_loader.h"

namespace pgstrata::client {
namespace {

// What libpq 14 to 18 reads: connection options; and without listing them as such, service files and message
// catalogues, session settings that go into the startup packet, what earlier versions read, and what later ones will (a
// child may be linked with another libpq than we are). PGDATA is the server programs' own.
constexpr std::array kKnown = {
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATA",
    "PGDATABASE",
    "PGDATESTYLE",
    "PGGEQO",
    "PGGSSDELEGATION",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGHOST",
    "PGHOSTADDR",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGLOCALEDIR",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOAUTHCAFILE",
    "PGOAUTHDEBUG",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREALM",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCOMPRESSION",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLKEYLOGFILE",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSSLSNI",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGTTY",
    "PGTZ",
    "PGUSER",
};

std::vector<std::string> Collect() {
  std::set<std::string> names(kKnown.begin(), kKnown.end());
  if (!LoadLibpq()) return {names.begin(), names.end()};
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> defaults(PQconndefaults(), &PQconninfoFree);
  for (const PQconninfoOption* option = defaults.get(); option != nullptr && option->keyword != nullptr; ++option) {
    if (option->envvar != nullptr) names.insert(option->envvar);
  }
  return {names.begin(), names.end()};
}

}  // namespace

const std::vector<std::string>& LibpqEnvironmentVariables() {
  static const std::vector<std::string> names = Collect();
  return names;
}

void RemoveLibpqEnvironment(std::map<std::string, std::string>& environment) {
  for (const auto& name : LibpqEnvironmentVariables()) environment.erase(name);
}

void RemovePostgresEnvironment(std::map<std::string, std::string>& environment) {
  std::erase_if(environment, [](const auto& variable) { return variable.first.starts_with("PG"); });
}

void ClearOwnLibpqEnvironment() {
  for (const auto& name : LibpqEnvironmentVariables()) {
    if (std::getenv(name.c_str()) != nullptr) ::unsetenv(name.c_str());
  }
}

}  // namespace pgstrata::client
