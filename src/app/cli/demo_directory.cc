// Invariant: who makes a directory, and who looks for leftovers, holds the lock of the home meanwhile: nobody sees a
// demo's directory that is not locked yet.
#include "app/cli/demo_directory.h"

#include <string_view>

#include "branch/branch/socket_directory.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "postgres/instance/server.h"

namespace pgstrata::cli {
namespace {

constexpr std::string_view kDemoPrefix = "demo-";
constexpr std::string_view kDemoLock = "lock";
constexpr std::string_view kDemoSocket = "socket";
constexpr std::string_view kDemoProduction = "production";

}  // namespace

Result<DemoDirectory> DemoDirectory::Create(const std::string& home, const io::UserIdentity& owner) {
  constexpr mode_t kPassable = 0711;  // for the owner
  PGS_TRY(io::MakeDirectories(home, kPassable));
  PGS_ASSIGN(const std::string resolved, io::ResolvePath(home));  // servers are found by their working directory
  PGS_ASSIGN(const auto making, io::FileLock::AcquireOnDirectory(resolved));
  DemoDirectory made;
  PGS_ASSIGN(made.path_, io::MakeTemporaryDirectory(JoinPath(resolved, kDemoPrefix)));
  PGS_ASSIGN(made.lock_, io::FileLock::TryAcquire(made.File(kDemoLock)));
  PGS_TRY(io::ChangeOwner(made.path_, owner.uid, owner.gid));
  PGS_ASSIGN(made.socket_directory_, branch::MakeSocketDirectory(made.path_, made.File(kDemoSocket), owner));
  return made;
}

std::string DemoDirectory::production() const { return File(kDemoProduction); }

std::string DemoDirectory::backup() const { return File("backup"); }

std::string DemoDirectory::File(std::string_view name) const { return JoinPath(path_, name); }

Status RemoveDemo(const std::string& path) {
  PGS_TRY(instance::EndServerProcesses(JoinPath(path, kDemoProduction)));
  PGS_TRY(branch::RemoveSocketDirectory(JoinPath(path, kDemoSocket)));
  return io::RemoveTree(path);
}

Result<std::vector<std::string>> FindDemoLeftovers(const std::string& home) {
  std::vector<std::string> found;
  if (!io::Exists(home)) return found;
  PGS_ASSIGN(const std::string resolved, io::ResolvePath(home));
  PGS_ASSIGN(const auto making, io::FileLock::AcquireOnDirectory(resolved));
  PGS_ASSIGN(const auto names, io::ListDirectory(resolved));
  for (const auto& name : names) {
    if (!name.starts_with(kDemoPrefix)) continue;
    std::string path = JoinPath(resolved, name);
    PGS_ASSIGN(const bool held, io::FileLock::IsHeld(JoinPath(path, kDemoLock)));
    if (!held) found.push_back(std::move(path));
  }
  return found;
}

}  // namespace pgstrata::cli
