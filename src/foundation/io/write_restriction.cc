#include "foundation/io/write_restriction.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

namespace pgstrata::io {
namespace {

// The first version that allows moving files between directories.
constexpr long kOldestVersion = 2;
constexpr long kVersionWithTruncate = 3;
constexpr uint64_t kTruncate = uint64_t{1} << 14;  // LANDLOCK_ACCESS_FS_TRUNCATE of later headers
constexpr uint64_t kRefer = uint64_t{1} << 13;     // LANDLOCK_ACCESS_FS_REFER
constexpr uint64_t kOfFiles = LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;

long Version() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION); }

uint64_t RightsToWrite() {
  uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                    LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                    LANDLOCK_ACCESS_FS_MAKE_SYM | kRefer;
  if (Version() >= kVersionWithTruncate) rights |= kTruncate;
  return rights;
}

bool Allow(int ruleset, const char* path, uint64_t rights) {
  const int fd = ::open(path, O_PATH | O_CLOEXEC);
  if (fd < 0) return true;
  struct stat status{};
  landlock_path_beneath_attr rule{};
  rule.parent_fd = fd;
  rule.allowed_access = ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? rights : rights & kOfFiles;
  const bool ok = ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  ::close(fd);
  return ok;
}

}  // namespace

WriteRestriction::WriteRestriction(std::vector<std::string> writable)
    : writable_(std::move(writable)), rights_(RightsToWrite()) {}

bool WriteRestriction::IsPossible() { return Version() >= kOldestVersion; }

bool WriteRestriction::Apply() const {
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = rights_;
  const auto ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0));
  if (ruleset < 0) return false;
  bool ok = true;
  for (const auto& path : writable_) ok = ok && Allow(ruleset, path.c_str(), rights_);
  if (ok && ::geteuid() != 0) ok = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  ok = ok && ::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
  ::close(ruleset);
  return ok;
}

}  // namespace pgstrata::io
