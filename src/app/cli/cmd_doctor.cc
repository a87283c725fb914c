#include <fmt/core.h>
#include <fmt/ostream.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <ostream>

#include "app/cli/command.h"
#include "app/cli/demo_directory.h"
#include "app/cli/exit_status.h"
#include "branch/branch/branch_leftovers.h"
#include "branch/branch/home.h"
#include "branch/branch/mounted_backup.h"
#include "branch/branch/session_directory.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "foundation/io/process.h"
#include "postgres/instance/installation.h"
#include "volume/fuse/availability.h"
#include "volume/fuse/mount.h"

namespace pgstrata::cli {
namespace {

struct DoctorArguments {
  bool repair = false;
  bool json = false;
};

enum class Verdict { kOk, kNote, kProblem };

struct Finding {
  Verdict verdict = Verdict::kOk;
  std::string subject;
  std::string text;
  std::string hint;
};

constexpr uint64_t kLittleSpace = 1ULL << 30;

std::string_view VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kNote:
      return "note";
    case Verdict::kProblem:
      return "problem";
  }
  return "problem";
}

Finding ExamineFuse() {
  const fuse::Availability fuse = fuse::CheckFuse();
  if (fuse.usable) return {Verdict::kOk, "FUSE", "/dev/fuse can be used", ""};
  return {Verdict::kProblem, "FUSE", fuse.problem, fuse.hint};
}

Finding ExamineTransport() {
  switch (fuse::CheckRings()) {
    case fuse::RingSupport::kUsable:
      return {Verdict::kOk, "requests", "come over io_uring, on the processor that makes them", ""};
    case fuse::RingSupport::kSwitchedOff:
      return {Verdict::kNote, "requests",
              "come by /dev/fuse: FUSE over io_uring is switched off, with which commits in a mount cost less and cold "
              "scans more",
              "as root: echo Y > /sys/module/fuse/parameters/enable_uring (fuse.enable_uring=1 on the kernel's command "
              "line keeps it); mounts that are made afterwards use it"};
    case fuse::RingSupport::kForbidden:
      return {Verdict::kNote, "requests", "come by /dev/fuse: io_uring is forbidden here",
              "sysctl kernel.io_uring_disabled=0; a container's seccomp profile has to allow io_uring too"};
    case fuse::RingSupport::kManyProcessors:
      return {Verdict::kOk, "requests", "come by /dev/fuse: there are too many processors for a thread on each", ""};
    case fuse::RingSupport::kAbsent:
      break;
  }
  return {Verdict::kOk, "requests", "come by /dev/fuse: this kernel has no FUSE over io_uring (Linux 6.14)", ""};
}

Finding ExamineServers() {
  std::string versions;
  for (const auto& found : instance::ListInstallations()) {
    versions += (versions.empty() ? "" : ", ") + found.version.ToString() + " in " + found.bin_directory;
  }
  if (!versions.empty()) return {Verdict::kOk, "PostgreSQL", versions, ""};
  return {Verdict::kProblem, "PostgreSQL", "no server program was found",
          "apt-get install postgresql-VERSION, in the version of the backup"};
}

Finding ExamineServerUser() {
  if (::geteuid() != 0) return {Verdict::kOk, "server user", "servers run as you", ""};
  const auto user = io::FindUser("postgres");
  if (user) return {Verdict::kOk, "server user", "servers run as postgres (or as --user)", ""};
  return {Verdict::kProblem, "server user", user.error().message(), "name another one with --user"};
}

Finding ExamineLimits() {
  if (fuse::CanRaiseBdiLimits()) {
    return {Verdict::kOk, "write-back limits", "set for each mount (max_bytes, strict_limit, read_ahead_kb)", ""};
  }
  return {Verdict::kNote, "write-back limits",
          "as the kernel sets them for FUSE (1 % of memory, 128 kB read ahead): large writes are slower",
          ::geteuid() == 0 ? "a container can raise them with --privileged, where /sys is writable"
                           : "root can raise them; nothing else needs root"};
}

Finding ExamineNetwork() {
  if (io::CanIsolateNetwork()) {
    return {Verdict::kOk, "network", "opened servers run without one (Unix sockets of this machine stay reachable)",
            ""};
  }
  return {Verdict::kNote, "network",
          "opened servers share this machine's: an extension or COPY PROGRAM could reach other servers",
          "run as root, or allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone)"};
}

Finding ExamineWriting() {
  if (io::WriteRestriction::IsPossible()) {
    return {Verdict::kOk, "writing", "opened servers may write their own directory, /tmp, /var/tmp and /dev only", ""};
  }
  return {Verdict::kNote, "writing",
          "opened servers may write whatever their user may: recovery through a CREATE TABLESPACE could touch the "
          "place of a production server on this machine",
          "Linux 5.19 or later, with landlock among the security modules (lsm= on the kernel's command line)"};
}

Finding ExamineSpace(const std::string& home) {
  std::string existing = home;
  while (!io::Exists(existing)) existing = existing.substr(0, std::max<size_t>(existing.find_last_of('/'), 1));
  const auto space = io::DiskSpaceAt(existing);
  if (!space) return {Verdict::kProblem, "disk", space.error().message(), ""};
  const std::string text = fmt::format("{} free for changes in {}", FormatBytes(space->available_bytes), home);
  if (space->available_bytes >= kLittleSpace) return {Verdict::kOk, "disk", text, ""};
  return {Verdict::kNote, "disk", text, "set PGSTRATA_HOME to a directory with more room"};
}

std::string Describe(const branch::Leftover& leftover) {
  std::string text = fmt::format("{} of \"{}\"", leftover.path, leftover.source);
  if (leftover.server) text += fmt::format(", server {} still runs", *leftover.server);
  if (leftover.mounted) text += ", still mounted";
  return text;
}

Finding ReportLeftover(const std::string& text, bool repair, const std::function<Status()>& remove) {
  if (!repair) return {Verdict::kProblem, "left behind", text, "pgstrata doctor --repair removes it"};
  const auto status = remove();
  return status ? Finding{Verdict::kNote, "removed", text, ""}
                : Finding{Verdict::kProblem, "not removed", text, status.error().message()};
}

Result<std::vector<Finding>> ExamineLeftovers(const std::string& home, bool repair) {
  PGS_ASSIGN(const auto leftovers, branch::FindLeftovers(home));
  PGS_ASSIGN(const std::string resolved, branch::ResolvedHomeDirectory());
  PGS_ASSIGN(const auto of_branches, branch::FindBranchLeftovers(resolved));
  std::vector<Finding> findings;
  findings.reserve(leftovers.size() + of_branches.size());
  for (const auto& leftover : leftovers) {
    findings.push_back(ReportLeftover(Describe(leftover), repair, [&] { return branch::Repair(leftover); }));
  }
  for (const auto& leftover : of_branches) {
    findings.push_back(ReportLeftover(leftover.path + ": " + leftover.description, repair,
                                      [&] { return branch::RepairBranch(resolved, leftover); }));
  }
  PGS_ASSIGN(const auto demos, FindDemoLeftovers(home));
  for (const auto& path : demos) {
    findings.push_back(ReportLeftover(path + ": of a demo that was killed", repair, [&] { return RemoveDemo(path); }));
  }
  PGS_ASSIGN(const auto mounts, branch::FindDeadMounts());
  for (const auto& mount : mounts) {
    findings.push_back(ReportLeftover(mount.mountpoint + ": a mount without its process", repair,
                                      [&] { return branch::RemoveDeadMount(mount); }));
  }
  if (findings.empty()) findings.push_back({Verdict::kOk, "left behind", "nothing", ""});
  return findings;
}

void PrintText(std::ostream& out, const std::vector<Finding>& findings) {
  for (const auto& finding : findings) {
    fmt::print(out, "{:<8} {}: {}\n", VerdictName(finding.verdict), finding.subject, finding.text);
    if (!finding.hint.empty()) fmt::print(out, "         {}\n", finding.hint);
  }
}

void PrintJson(std::ostream& out, const std::vector<Finding>& findings) {
  codec::Json json = codec::Json::array();
  for (const auto& finding : findings) {
    json.push_back({{"verdict", VerdictName(finding.verdict)},
                    {"subject", finding.subject},
                    {"text", finding.text},
                    {"hint", finding.hint}});
  }
  out << codec::FormatJson(json, 2) << '\n';
}

Result<int> RunDoctor(const DoctorArguments& arguments, Output& output) {
  PGS_ASSIGN(const std::string home, branch::HomeDirectory());
  std::vector<Finding> findings = {ExamineFuse(),   ExamineTransport(), ExamineServers(), ExamineServerUser(),
                                   ExamineLimits(), ExamineNetwork(),   ExamineWriting(), ExamineSpace(home)};
  PGS_ASSIGN(const auto leftovers, ExamineLeftovers(home, arguments.repair));
  findings.insert(findings.end(), leftovers.begin(), leftovers.end());
  arguments.json ? PrintJson(output.out, findings) : PrintText(output.out, findings);
  const bool healthy =
      std::ranges::none_of(findings, [](const Finding& finding) { return finding.verdict == Verdict::kProblem; });
  return healthy ? kExitOk : kExitUnavailable;
}

}  // namespace

void AddDoctorCommand(CommandLine& line) {
  auto arguments = std::make_shared<DoctorArguments>();
  Command command = line.Add("doctor", "Say what this machine lacks, and what a killed run left behind");
  command.Flag("--repair", arguments->repair, "Remove what was left behind");
  command.Flag("--json", arguments->json, "Print JSON");
  command.Examples({"pgstrata doctor", "pgstrata doctor --repair"});
  command.Run([arguments](Output& output) { return RunDoctor(*arguments, output); });
}

}  // namespace pgstrata::cli
