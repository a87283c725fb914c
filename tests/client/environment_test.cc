#include "postgres/client/environment.h"

#include <gmock/gmock.h>

#include <cstdlib>

namespace pgstrata::client {
namespace {

TEST(LibpqEnvironment, HoldsWhatPqconndefaultsListsAndWhatItDoesNot) {
  EXPECT_THAT(LibpqEnvironmentVariables(),
              testing::IsSupersetOf({"PGHOST",        "PGHOSTADDR",    "PGPORT",           "PGDATABASE",
                                     "PGUSER",        "PGPASSWORD",    "PGPASSFILE",       "PGSERVICE",
                                     "PGSERVICEFILE", "PGSYSCONFDIR",  "PGOPTIONS",        "PGSSLMODE",
                                     "PGREALM",       "PGREQUIREPEER", "PGCHANNELBINDING", "PGTARGETSESSIONATTRS",
                                     "PGLOCALEDIR",   "PGDATA",        "PGSSLNEGOTIATION", "PGLOADBALANCEHOSTS",
                                     "PGREQUIREAUTH"}));
  EXPECT_TRUE(std::ranges::is_sorted(LibpqEnvironmentVariables()));
}

TEST(LibpqEnvironment, RemovalLeavesOtherVariablesAlone) {
  std::map<std::string, std::string> environment = {
      {"PGHOSTADDR", "10.0.0.1"}, {"PGSERVICE", "production"}, {"PATH", "/bin"}, {"PSQLRC", "x"}, {"PG_COLOR", "auto"}};
  RemoveLibpqEnvironment(environment);
  EXPECT_EQ(environment, (std::map<std::string, std::string>{{"PATH", "/bin"}, {"PSQLRC", "x"}, {"PG_COLOR", "auto"}}));
}

TEST(LibpqEnvironment, OwnEnvironmentIsCleared) {
  ::setenv("PGSERVICEFILE", "/x", 1);
  ::setenv("PG_BIN", "/y", 1);
  ClearOwnLibpqEnvironment();
  EXPECT_EQ(std::getenv("PGSERVICEFILE"), nullptr);
  EXPECT_STREQ(std::getenv("PG_BIN"), "/y");
}

}  // namespace
}  // namespace pgstrata::client
