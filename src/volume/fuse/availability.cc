#include "volume/fuse/availability.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/fd.h"
#include "foundation/io/file.h"
#include "foundation/io/process.h"
#include "volume/fuse/command_ring.h"
#include "volume/fuse/ring_source.h"

namespace pgstrata::fuse {
namespace {

bool UserAllowOther() {
  const auto config = io::ReadWholeFile("/etc/fuse.conf");
  if (!config) return false;
  const auto lines = SplitLines(*config);
  return std::ranges::any_of(lines, [](std::string_view line) { return TrimWhitespace(line) == "user_allow_other"; });
}

Availability Unusable(std::string problem, std::string hint) {
  return {.problem = std::move(problem), .hint = std::move(hint)};
}

Availability DeviceProblem(int error_number) {
  switch (error_number) {
    case ENOENT:
      return Unusable("/dev/fuse does not exist",
                      "load the module with \"modprobe fuse\"; in a container, start it with --device /dev/fuse");
    case EACCES:
      return Unusable("/dev/fuse may not be opened", "make it accessible: \"chmod 666 /dev/fuse\" as root");
    case EPERM:
      return Unusable("/dev/fuse is forbidden here",
                      "a container needs --device /dev/fuse and --cap-add SYS_ADMIN (and, under AppArmor, "
                      "--security-opt apparmor=unconfined)");
    case ENODEV:
    case ENXIO:
      return Unusable("the kernel has no FUSE", "load the module with \"modprobe fuse\"");
    default:
      return Unusable("/dev/fuse cannot be opened: " + Error::FromErrno(error_number, "open").message(), "");
  }
}

bool MayMountDirectly() {
  constexpr uint64_t kSysAdmin = uint64_t{1} << 21;  // CAP_SYS_ADMIN
  const auto status = io::ReadWholeFile("/proc/self/status");
  if (!status) return false;
  for (const std::string_view line : SplitLines(*status)) {
    if (line.starts_with("CapEff:")) return (ParseHex(TrimWhitespace(line.substr(7))).value_or(0) & kSysAdmin) != 0;
  }
  return false;
}

// For a user, fusermount3 mounts and unmounts. What it may unmount it looks up in /etc/mtab.
Availability CheckFusermount() {
  const auto program = io::FindInPath("fusermount3");
  if (!program) return Unusable("fusermount3 is not installed", "install the package fuse3, or run as root");
  const auto found = io::StatTarget(*program);
  if (found && (found->st_mode & S_ISUID) == 0) {
    return Unusable('"' + *program + "\" is not setuid root",
                    "install the package fuse3 anew (chmod u+s " + *program + "), or run as root");
  }
  if (!io::Exists("/etc/mtab")) {
    return Unusable("/etc/mtab does not exist: fusermount3 could not unmount",
                    "make it as root: \"ln -s ../proc/self/mounts /etc/mtab\"");
  }
  return {.usable = true, .allow_other = UserAllowOther()};
}

}  // namespace

Availability CheckFuse() {
  const io::UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!device.valid()) return DeviceProblem(errno);
  if (::geteuid() == 0) {
    if (MayMountDirectly()) return {.usable = true, .allow_other = true};
    return Unusable("root may not mount here", "a container needs --cap-add SYS_ADMIN to mount");
  }
  return CheckFusermount();
}

RingSupport CheckRings() {
  const auto parameter = io::ReadWholeFile("/sys/module/fuse/parameters/enable_uring");
  if (!parameter) return RingSupport::kAbsent;
  if (TrimWhitespace(*parameter) != "Y") return RingSupport::kSwitchedOff;
  if (CountQueues() == 0) return RingSupport::kManyProcessors;
  return CommandRing::Make(-1) ? RingSupport::kUsable : RingSupport::kForbidden;
}

}  // namespace pgstrata::fuse
