#include "volume/fuse/mount.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/fd.h"
#include "foundation/io/file.h"
#include "foundation/io/process.h"

namespace pgstrata::fuse {
namespace {

constexpr const char* kMountInfo = "/proc/self/mountinfo";

// proc(5): space, tab, newline and backslash are written as \040, \011, \012 and \134.
std::string Unescape(std::string_view text) {
  const auto is_octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && std::all_of(&text[i + 1], &text[i + 1] + 3, is_octal)) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

bool HasOption(std::string_view options, std::string_view option) {
  const auto all = Split(options, ',');
  return std::ranges::find(all, option) != all.end();
}

// "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue"
std::optional<MountEntry> ParseLine(std::string_view line) {
  const auto fields = Split(line, ' ');
  const auto separator = std::ranges::find(fields, "-");
  if (fields.size() < 6 || fields.end() - separator < 4) return std::nullopt;
  const auto device = Split(fields[2], ':');
  if (device.size() != 2) return std::nullopt;
  const auto major = ParseDecimal(device[0]);
  const auto minor = ParseDecimal(device[1]);
  if (!major || !minor) return std::nullopt;
  return MountEntry{.mountpoint = Unescape(fields[4]),
                    .source = Unescape(separator[2]),
                    .type = Unescape(separator[1]),
                    .device_major = static_cast<uint32_t>(*major),
                    .device_minor = static_cast<uint32_t>(*minor),
                    .read_only = HasOption(fields[5], "ro") || HasOption(separator[3], "ro")};
}

bool WriteSetting(const std::string& path, std::string_view value) {
  auto file = io::File::Open(path, O_WRONLY);
  return file && file->WriteAt(0, AsBytes(value));
}

// Every device's limits, in sysfs. A sysfs of our own is attached nowhere and ends with the descriptor.
io::UniqueFd OpenBdiDirectory() {
  io::UniqueFd mounted(::open("/sys/class/bdi", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (mounted.valid()) return mounted;
  const io::UniqueFd context(::fsopen("sysfs", FSOPEN_CLOEXEC));
  if (!context.valid() || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return {};
  const io::UniqueFd own(
      ::fsmount(context.get(), FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
  if (!own.valid()) return {};
  return io::UniqueFd(::openat(own.get(), "class/bdi", O_PATH | O_DIRECTORY | O_CLOEXEC));
}

std::vector<std::string> UnmountCommand(const std::string& mountpoint, bool lazy) {
  std::vector<std::string> argv{"fusermount3", "-u"};
  if (lazy) argv.emplace_back("-z");
  argv.insert(argv.end(), {"--", mountpoint});
  return argv;
}

Status UnmountAsUser(const std::string& mountpoint, bool lazy) {
  PGS_ASSIGN(const auto run, io::RunAndCapture({.argv = UnmountCommand(mountpoint, lazy)}));
  if (run.status.AsShell() == 0) return {};
  const bool busy = run.standard_error.find("busy") != std::string::npos;
  return Fail(Error(busy ? ErrorCode::kBusy : ErrorCode::kIo,
                    fmt::format("could not unmount \"{}\": {}", mountpoint, TrimWhitespace(run.standard_error))));
}

Status UnmountAsRoot(const std::string& mountpoint, const UnmountOptions& options) {
  int flags = UMOUNT_NOFOLLOW;
  if (options.lazy) flags |= MNT_DETACH;
  // For FUSE this is an abort, and unlike fusectl it needs nothing mounted.
  if (options.abort_first) flags |= MNT_FORCE;
  if (::umount2(mountpoint.c_str(), flags) == 0 || errno == EINVAL) return {};
  return FailErrno(fmt::format("could not unmount \"{}\"", mountpoint));
}

}  // namespace

std::vector<MountEntry> ParseMountInfo(std::string_view text) {
  std::vector<MountEntry> mounts;
  for (const std::string_view line : SplitLines(text)) {
    if (auto mount = ParseLine(line)) mounts.push_back(*std::move(mount));
  }
  return mounts;
}

Result<std::vector<MountEntry>> ListMounts(std::string_view subtype) {
  PGS_ASSIGN(const std::string text, io::ReadWholeFile(kMountInfo));
  auto mounts = ParseMountInfo(text);
  std::erase_if(mounts, [&](const MountEntry& mount) { return mount.type != fmt::format("fuse.{}", subtype); });
  return mounts;
}

Result<std::optional<MountEntry>> FindMount(const std::string& mountpoint) {
  PGS_ASSIGN(const std::string text, io::ReadWholeFile(kMountInfo));
  std::optional<MountEntry> found;
  for (auto& mount : ParseMountInfo(text)) {
    if (mount.mountpoint == mountpoint) found = std::move(mount);
  }
  return found;
}

Result<std::string> ResolveMountpoint(const std::string& path) {
  std::string trimmed = path;
  while (trimmed.size() > 1 && trimmed.ends_with('/')) trimmed.pop_back();
  const auto [parent, name] = SplitLast(trimmed);
  if (name.empty() || name == "." || name == "..") return io::ResolvePath(trimmed);
  const std::string above = parent.empty() && !trimmed.starts_with('/') ? "." : std::string(parent) + '/';
  PGS_ASSIGN(const std::string resolved, io::ResolvePath(above));
  std::string place = resolved == "/" ? resolved + std::string(name) : resolved + '/' + std::string(name);
  PGS_ASSIGN(const auto mount, FindMount(place));
  if (mount) return place;
  return io::ResolvePath(trimmed);
}

Status Unmount(const std::string& mountpoint, const UnmountOptions& options) {
  PGS_ASSIGN(const auto mount, FindMount(mountpoint));
  if (!mount) return {};
  if (::geteuid() == 0) return UnmountAsRoot(mountpoint, options);
  if (options.abort_first) {
    WriteSetting(fmt::format("/sys/fs/fuse/connections/{}/abort", mount->device_minor), "1");
  }
  return UnmountAsUser(mountpoint, options.lazy);
}

Result<std::optional<io::Process>> BeginToDetach(const std::string& mountpoint) {
  PGS_ASSIGN(const auto mount, FindMount(mountpoint));
  if (!mount) return std::nullopt;
  if (::geteuid() != 0) {
    return io::Process::Spawn(
        {.argv = UnmountCommand(mountpoint, true), .standard_input = -1, .standard_output = -1, .standard_error = -1});
  }
  PGS_TRY(Unmount(mountpoint, {.lazy = true, .abort_first = false}));
  return std::nullopt;
}

BdiLimits RaiseBdiLimits(const MountEntry& mount) {
  if (::geteuid() != 0) return {};
  const io::UniqueFd all = OpenBdiDirectory();
  const auto write = [&](const char* setting, std::string_view value) {
    return WriteSetting(
        fmt::format("/proc/self/fd/{}/{}:{}/{}", all.get(), mount.device_major, mount.device_minor, setting), value);
  };
  const bool bounded = write("max_bytes", std::to_string(kMostDirtyBytes)) && write("strict_limit", "1");
  return {.dirty = bounded || (write("strict_limit", "0") && write("max_ratio", "100")),
          .read_ahead = write("read_ahead_kb", std::to_string(kReadAheadKb))};
}

bool CanRaiseBdiLimits() {
  if (::geteuid() != 0) return false;
  const io::UniqueFd all = OpenBdiDirectory();
  struct statvfs found{};
  return all.valid() && ::fstatvfs(all.get(), &found) == 0 && (found.f_flag & ST_RDONLY) == 0;
}

}  // namespace pgstrata::fuse
