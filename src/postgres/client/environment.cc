#include "postgres/client/environment.h"

#include <libpq-fe.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <set>

namespace pgstrata::client {
namespace {

// Read by libpq 12 to 18 without being in the linked library's option list: service files and message catalogues,
// session settings that go into the startup packet, what earlier versions read, and what later ones will (a child may
// be linked with another libpq than we are). PGDATA is the server programs' own.
constexpr std::array kUnlisted = {
    "PGDATA",
    "PGDATESTYLE",
    "PGGEQO",
    "PGGSSDELEGATION",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGLOCALEDIR",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOAUTHCAFILE",
    "PGOAUTHDEBUG",
    "PGPASSFILE",
    "PGREALM",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERTMODE",
    "PGSSLCOMPRESSION",
    "PGSSLKEYLOGFILE",
    "PGSSLNEGOTIATION",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGTTY",
    "PGTZ",
};

std::vector<std::string> Collect() {
  std::set<std::string> names(kUnlisted.begin(), kUnlisted.end());
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

void ClearOwnLibpqEnvironment() {
  for (const auto& name : LibpqEnvironmentVariables()) {
    if (std::getenv(name.c_str()) != nullptr) ::unsetenv(name.c_str());
  }
}

}  // namespace pgstrata::client
