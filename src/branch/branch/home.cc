#include "branch/branch/home.h"

#include <unistd.h>

#include <cstdlib>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/process.h"

namespace pgstrata::branch {
namespace {

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

Result<std::string> HomeDirectory() {
  if (std::string home = FromEnvironment("PGSTRATA_HOME"); !home.empty()) {
    if (home.starts_with('/')) return home;
    return std::unexpected(
        Error(ErrorCode::kInvalidArgument, "PGSTRATA_HOME is not an absolute path: \"" + home + '"'));
  }
  if (::geteuid() == 0) return "/var/lib/pgstrata";
  if (const std::string state = FromEnvironment("XDG_STATE_HOME"); state.starts_with('/')) {
    return JoinPath(state, "pgstrata");
  }
  PGS_ASSIGN(const io::UserIdentity user, io::CurrentUser());
  const std::string home = FromEnvironment("HOME");
  return JoinPath(home.empty() ? user.home : home, ".local/state/pgstrata");
}

Result<std::string> ResolvedHomeDirectory() {
  PGS_ASSIGN(const std::string home, HomeDirectory());
  return io::ResolvePath(home).value_or(home);
}

std::string SessionsDirectory(const std::string& home) { return JoinPath(home, "run"); }

}  // namespace pgstrata::branch
