// Mounts as the system sees them: finding, tuning and removing. Nothing here touches a file inside a mount, so that a
// hung or dead one cannot hang the caller.
#pragma once

#include <sys/sysmacros.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/process.h"

namespace pgstrata::fuse {

// The type of our own mounts.
constexpr std::string_view kMountType = "fuse.pgstrata";

struct MountEntry {
  std::string mountpoint;  // absolute
  std::string source;      // the fsname
  std::string type;        // "fuse.SUBTYPE"
  uint32_t device_major = 0;
  uint32_t device_minor = 0;
  bool read_only = false;

  // st_dev of what is in it.
  [[nodiscard]] dev_t device() const { return ::makedev(device_major, device_minor); }
};

// The text of a mountinfo file, in its order: of two mounts on one directory, the later one is seen. Lines that do not
// follow proc(5) are left out.
std::vector<MountEntry> ParseMountInfo(std::string_view text);
// What this process sees of type "fuse.SUBTYPE".
Result<std::vector<MountEntry>> ListMounts(std::string_view subtype = "pgstrata");
// The mount of any type on top of `mountpoint` (an absolute, resolved path).
Result<std::optional<MountEntry>> FindMount(const std::string& mountpoint);

// The absolute path of a mountpoint, links resolved, without touching what is mounted there: it may be dead.
Result<std::string> ResolveMountpoint(const std::string& path);

struct UnmountOptions {
  // Detach even while somebody uses it; it ends when they are done.
  bool lazy = true;
  // Cut the connection first: requests in progress fail with ECONNABORTED, later ones with ENOTCONN, and what is dirty
  // in the page cache is dropped. Without root this needs a mounted fusectl; where it is not possible, unmounting goes
  // on.
  bool abort_first = false;
};
// Unmounts what is mounted on `mountpoint`, as root by umount2(2), otherwise by fusermount3. Nothing mounted is
// success.
Status Unmount(const std::string& mountpoint, const UnmountOptions& options);
// Takes a mount out of everybody's sight; who is in it may go on. As root it is done at once, otherwise by fusermount3:
// the process is then returned, to be waited for. Nothing mounted is success.
Result<std::optional<io::Process>> BeginToDetach(const std::string& mountpoint);

// What the kernel keeps dirty of a mount, and how far it reads ahead. For FUSE it allows 1 % of memory and 128 KiB.
//
// Dirty bytes are bounded, not set free as on a disk: close(2) of a file, even of one that was only read, writes back
// all that is dirty in it and waits, so that a backend that ends after half a gigabyte was loaded hung for two seconds.
// kMostDirtyBytes are written back within milliseconds, and what was written lies in the layer's own page cache.
// Kernels before 6.2 know no bound in bytes: there the limit is lifted.
constexpr uint64_t kMostDirtyBytes = 16 << 20;
// Four requests of 1 MiB: what comes straight from the disk is not read ahead by the disk's own file system.
constexpr unsigned kReadAheadKb = 4096;
struct BdiLimits {
  bool dirty = false;  // whether each one could be set
  bool read_ahead = false;
  [[nodiscard]] bool all() const { return dirty && read_ahead; }
};
// Needs root: otherwise nothing is set. The mount's INIT has been answered (it sets the read-ahead). The settings are
// files of sysfs; where none is mounted on /sys (a bare root), they are reached through one that nobody else sees.
BdiLimits RaiseBdiLimits(const MountEntry& mount);
// Whether this process may raise them.
bool CanRaiseBdiLimits();

}  // namespace pgstrata::fuse
