// Who can log in where, read from the catalogs' files (trap 35): the bootstrap superuser may be renamed or NOLOGIN, and
// database postgres may be gone.
#pragma once

#include <string>
#include <string_view>

#include "branch/branch/cluster_facts.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

struct Login {
  std::string role;
  std::string database;
  bool superuser = true;
};

// The role: OID 10 where it can log in, else another superuser, else any role that can. The database: "postgres", else
// "template1", else the first that allows connections; `database` is the user's wish and taken as it is unless empty.
// `settled`: nothing is left to recover. Before that the files may be behind: after it, a refused
// login is worth choosing again.
Result<Login> ChooseLogin(int major_version, bool settled, const std::string& database, const ClusterFileReader& read);

}  // namespace pgstrata::branch
