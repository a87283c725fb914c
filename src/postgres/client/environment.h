// The variables through which libpq is steered from outside. A child that inherits one of them (PGHOSTADDR, PGSERVICE)
// may talk to another server than the one we start it for.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace pgstrata::client {

// Every variable that libpq reads by PQconndefaults, those it or older and newer ones read without listing them
// (PGSERVICEFILE, PGSYSCONFDIR, PGREALM, ...), and PGDATA. Sorted. Loads libpq; where that is not installed, those of
// 14 to 18 are known all the same.
const std::vector<std::string>& LibpqEnvironmentVariables();

// Takes them out of an environment for a child.
void RemoveLibpqEnvironment(std::map<std::string, std::string>& environment);

// Takes every variable that begins with PG out of the environment of a server, without loading libpq: neither it nor
// what it runs is to be steered from outside.
void RemovePostgresEnvironment(std::map<std::string, std::string>& environment);

// Takes them out of this process's environment. Not safe while another thread reads the environment.
void ClearOwnLibpqEnvironment();

}  // namespace pgstrata::client
