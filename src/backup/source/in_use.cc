#include "backup/source/in_use.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string_view>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"

namespace pgstrata::source {
namespace {

constexpr uint64_t kLockFileLimit = 64 << 10;
constexpr std::string_view kTablespaces = "pg_tblspc";
constexpr std::string_view kWal = "pg_wal";

// One file of this machine, by whatever path it is reached.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const FileId&) const = default;

  static std::optional<FileId> Of(const std::string& path) {
    const auto status = io::StatTarget(path);
    return status ? std::optional(FileId{status->st_dev, status->st_ino}) : std::nullopt;
  }
};

// Line 1 of postmaster.pid; a stand-alone backend writes its pid with a minus.
pid_t ParsePid(std::string_view line) {
  line = TrimWhitespace(line);
  if (line.starts_with('-')) line.remove_prefix(1);
  const auto pid = ParseDecimal(line);
  constexpr uint64_t kLargestPid = 1U << 22;
  return pid && *pid <= kLargestPid ? static_cast<pid_t>(*pid) : 0;
}

bool IsAlive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

// Some distributions start the server by the name "postmaster".
bool IsServerProcess(pid_t pid) {
  const auto program = io::ReadWholeFile(io::ProcPath(pid, "comm"), kLockFileLimit);
  if (!program) return false;
  const std::string_view name = TrimWhitespace(*program);
  return name == "postgres" || name == "postmaster";
}

// The oldest first, which is the postmaster as a rule.
std::vector<pid_t> ServerProcesses() {
  auto pids = io::ListProcesses();
  std::erase_if(pids, [](pid_t pid) { return !IsServerProcess(pid); });
  std::ranges::sort(pids);
  return pids;
}

// As far as the kernel knows it without asking the file system: it may be a mount that answers nobody.
std::optional<FileId> WorkingDirectoryOf(pid_t pid) {
  struct statx status{};
  if (::statx(AT_FDCWD, io::ProcPath(pid, "cwd").c_str(), AT_STATX_DONT_SYNC, STATX_INO, &status) != 0)
    return std::nullopt;
  return FileId{::makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino};
}

// `own` is the directory, `written` the one that postmaster.pid names.
bool ProcessUses(pid_t pid, const FileId& own, const std::string& written) {
  if (const auto working_directory = WorkingDirectoryOf(pid)) return *working_directory == own;
  if (!IsServerProcess(pid)) return false;
  const auto other = FileId::Of(written);
  return !other || *other == own;
}

struct Graft {
  std::string part;  // as in RunningServer
  std::string location;
  FileId id;
};

Result<std::vector<Graft>> GraftsOf(const image::Image& image) {
  std::vector<Graft> grafts;
  const auto add = [&grafts](const image::Entry& entry, std::string part) {
    if (entry.grafted_from.empty()) return;
    if (const auto id = FileId::Of(entry.grafted_from)) grafts.push_back({std::move(part), entry.grafted_from, *id});
  };
  const auto wal = image.Stat(kWal);
  if (wal) {
    add(*wal, std::string(kWal));
  } else if (wal.error().code() != ErrorCode::kNotFound) {
    return Fail(wal.error());
  }
  const auto tablespaces = image.List(kTablespaces);
  if (!tablespaces) {
    if (tablespaces.error().code() == ErrorCode::kNotFound) return grafts;
    return Fail(tablespaces.error());
  }
  for (const auto& entry : *tablespaces) add(entry, "tablespace " + entry.name);
  return grafts;
}

// Whether the process works on the mount of a branch of this program, which shows directories of its own. Such a mount
// may be one that answers nobody: no path below it may be looked up.
bool WorksInABranch(pid_t pid, const FileId& working_directory) {
  const auto mounts = io::ReadWholeFile(io::ProcPath(pid, "mountinfo"));
  if (!mounts) return false;
  const std::string device =
      std::to_string(::major(working_directory.device)) + ':' + std::to_string(::minor(working_directory.device));
  constexpr size_t kDeviceField = 2;  // "36 35 98:0 /root /mountpoint options - type source options"
  return std::ranges::any_of(SplitLines(*mounts), [&](std::string_view line) {
    const auto fields = Split(line, ' ');
    return fields.size() > kDeviceField && fields[kDeviceField] == device && line.contains(" - fuse.pgstrata ");
  });
}

// What `name` of the process's working directory is. The process may have another root: its links are read there.
std::optional<FileId> PartOf(pid_t pid, const std::string& name) {
  const std::string path = JoinPath(io::ProcPath(pid, "cwd"), name);
  const auto target = io::ReadLink(path);
  return FileId::Of(target && target->starts_with('/') ? io::ProcPath(pid, "root") + *target : path);
}

std::vector<FileId> PartsOf(pid_t pid) {
  std::vector<std::string> names = {std::string(kWal)};
  if (const auto tablespaces = io::ListDirectory(JoinPath(io::ProcPath(pid, "cwd"), kTablespaces))) {
    for (const auto& name : *tablespaces) names.push_back(JoinPath(kTablespaces, name));
  }
  std::vector<FileId> parts;
  for (const auto& name : names) {
    if (const auto part = PartOf(pid, name)) parts.push_back(*part);
  }
  return parts;
}

}  // namespace

Result<std::optional<RunningServer>> FindServerUsing(const std::string& directory) {
  const std::string path = JoinPath(directory, "postmaster.pid");
  const auto text = io::ReadWholeFile(path, kLockFileLimit);
  if (!text) {
    if (text.error().code() == ErrorCode::kNotFound) return std::nullopt;
    return Fail(text.error());
  }
  const auto lines = SplitLines(*text);
  const pid_t pid = lines.empty() ? 0 : ParsePid(lines[0]);
  PGS_ASSIGN(const struct stat status, io::StatTarget(directory));
  const FileId own{status.st_dev, status.st_ino};
  const std::string written = lines.size() > 1 ? std::string(lines[1]) : std::string();
  if (IsAlive(pid) && ProcessUses(pid, own, written)) return RunningServer{.pid = pid};
  for (const pid_t other : ServerProcesses()) {
    if (WorkingDirectoryOf(other) == own) return RunningServer{.pid = other};
  }
  return std::nullopt;
}

Result<std::optional<RunningServer>> FindServerBehindLinks(const image::Image& image) {
  PGS_ASSIGN(const auto grafts, GraftsOf(image));
  if (grafts.empty()) return std::nullopt;
  std::vector<FileId> looked_at;  // the processes of one server have the same working directory
  for (const pid_t pid : ServerProcesses()) {
    const auto directory = WorkingDirectoryOf(pid);
    if (!directory || std::ranges::find(looked_at, *directory) != looked_at.end()) continue;
    looked_at.push_back(*directory);
    if (WorksInABranch(pid, *directory)) continue;
    const auto parts = PartsOf(pid);
    for (const auto& graft : grafts) {
      if (std::ranges::find(parts, graft.id) == parts.end()) continue;
      return RunningServer{.pid = pid, .linked_part = graft.part, .part_location = graft.location};
    }
  }
  return std::nullopt;
}

Error InUseError(const RunningServer& server, const std::string& name) {
  const std::string who = "a running server (process " + std::to_string(server.pid) + ") uses ";
  if (server.linked_part.empty()) {
    return Error(ErrorCode::kBusy, who + Quoted(name))
        .WithHint("take a base backup of it with pg_basebackup and open that, or stop the server first");
  }
  return Error(ErrorCode::kBusy, who + server.linked_part + " of " + Quoted(name) + ", which is a link to " +
                                     Quoted(server.part_location))
      .WithHint("take a base backup of that server (pg_basebackup, with -T OLD=NEW for each tablespace), or copy " +
                Quoted(server.part_location) + " too and lead the link to the copy");
}

}  // namespace pgstrata::source
