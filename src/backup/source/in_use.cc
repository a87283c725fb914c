#include "backup/source/in_use.h"

#include <cerrno>
#include <csignal>
#include <string_view>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::source {
namespace {

constexpr uint64_t kLockFileLimit = 64 << 10;

bool IsSameFile(const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; }

// Line 1 of postmaster.pid; a stand-alone backend writes its pid with a minus.
pid_t ParsePid(std::string_view line) {
  line = TrimWhitespace(line);
  if (line.starts_with('-')) line.remove_prefix(1);
  const auto pid = ParseDecimal(line);
  constexpr uint64_t kLargestPid = 1U << 22;
  return pid && *pid <= kLargestPid ? static_cast<pid_t>(*pid) : 0;
}

bool IsAlive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

// `own` is the directory, `written` the one that postmaster.pid names.
bool ProcessUses(pid_t pid, const struct stat& own, const std::string& written) {
  const std::string process = "/proc/" + std::to_string(pid);
  if (const auto working_directory = io::StatTarget(process + "/cwd")) return IsSameFile(*working_directory, own);
  const auto program = io::ReadWholeFile(process + "/comm", kLockFileLimit);
  if (!program || TrimWhitespace(*program) != "postgres") return false;
  const auto other = io::StatTarget(written);
  return !other || IsSameFile(*other, own);
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
  if (!IsAlive(pid)) return std::nullopt;
  PGS_ASSIGN(const struct stat own, io::StatTarget(directory));
  const std::string written = lines.size() > 1 ? std::string(lines[1]) : std::string();
  if (!ProcessUses(pid, own, written)) return std::nullopt;
  return RunningServer{.pid = pid};
}

}  // namespace pgstrata::source
