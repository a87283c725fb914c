#include "branch/branch/socket_directory.h"

#include <sys/un.h>
#include <unistd.h>

#include <string_view>

#include "foundation/io/directory.h"

namespace pgstrata::branch {
namespace {

constexpr std::string_view kPrefix = "/tmp/pgstrata-";
// ".s.PGSQL.5432.lock" and its slash.
constexpr size_t kLongestSocketName = 20;

// A link may lie where its server could write: it is believed only as far as it was made here.
bool IsOurs(std::string_view path) {
  return path.starts_with(kPrefix) && path.size() == kPrefix.size() + io::kRandomSuffix &&
         path.find('/', kPrefix.size()) == std::string_view::npos;
}

}  // namespace

Result<std::string> MakeSocketDirectory(const std::string& directory, const std::string& link,
                                        const io::UserIdentity& owner) {
  if (directory.size() + kLongestSocketName < sizeof(sockaddr_un::sun_path)) return directory;
  PGS_ASSIGN(std::string made, io::MakeTemporaryDirectory(std::string(kPrefix)));
  PGS_TRY(io::ChangeOwner(made, owner.uid, owner.gid));
  if (::symlink(made.c_str(), link.c_str()) != 0) return FailErrno("could not create \"" + link + '"');
  return made;
}

Status RemoveSocketDirectory(const std::string& link) {
  const auto target = io::ReadLink(link);
  if (!target) return {};
  if (IsOurs(*target)) PGS_TRY(io::RemoveTree(*target));
  return io::RemoveFile(link);
}

}  // namespace pgstrata::branch
