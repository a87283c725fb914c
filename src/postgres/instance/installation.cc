#include "postgres/instance/installation.h"

#include <unistd.h>

#include <algorithm>
#include <climits>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::instance {
namespace {

// The only supported major version of which some minor versions lack a setting that we need
// (allow_in_place_tablespaces).
constexpr int kMinorMatters = 14;

bool IsExecutable(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

std::optional<std::string> VariableOf(const InstallationSearch& search, const std::string& name) {
  const auto found = search.environment.find(name);
  if (found == search.environment.end() || found->second.empty()) return std::nullopt;
  return found->second;
}

// Debian's and the RPMs' layout say the version in the path.
std::optional<int> MajorOfPath(const std::string& bin_directory, const InstallationSearch& search) {
  for (const std::string& prefix : {search.debian_root + '/', search.rpm_root}) {
    if (!bin_directory.starts_with(prefix) || !bin_directory.ends_with("/bin")) continue;
    const std::string_view rest = std::string_view(bin_directory).substr(prefix.size());
    const auto major = ParseDecimal(rest.substr(0, rest.size() - std::string_view("/bin").size()));
    if (major && *major < INT_MAX) return static_cast<int>(*major);
  }
  return std::nullopt;
}

Result<ServerVersion> AskVersion(const std::string& bin_directory) {
  const std::string program = bin_directory + "/postgres";
  PGS_ASSIGN(const io::Captured run, io::RunAndCapture({.argv = {program, "--version"}, .working_directory = "/"}));
  const auto version = ParseVersionOutput(run.standard_output);
  if (run.status.AsShell() != 0 || !version) {
    return Fail(ErrorCode::kUnavailable, "could not learn the version of \"" + program + '"');
  }
  return *version;
}

struct Candidate {
  std::string bin_directory;  // links resolved
  std::optional<int> major;   // if the path says it
};

// bin below the directories that say their version, newest first.
std::vector<Candidate> SystemDirectories(const InstallationSearch& search) {
  std::vector<Candidate> directories;
  const auto append_all = [&](const std::string& parent, const std::string& name_prefix) {
    const auto names = io::ListDirectory(parent);
    if (!names) return;
    for (const auto& name : *names) {
      if (!name.starts_with(name_prefix)) continue;
      const auto major = ParseDecimal(std::string_view(name).substr(name_prefix.size()));
      if (!major || *major > INT_MAX) continue;
      directories.push_back({JoinPath(parent, name) + "/bin", static_cast<int>(*major)});
    }
  };
  append_all(search.debian_root, "");
  const size_t slash = search.rpm_root.rfind('/');
  append_all(search.rpm_root.substr(0, slash), search.rpm_root.substr(slash + 1));
  std::ranges::stable_sort(directories, std::greater<>(), &Candidate::major);
  return directories;
}

// A candidate if `directory` holds an executable postgres. The program itself may be a link into the real bin
// directory.
std::optional<Candidate> CandidateAt(const std::string& directory, const InstallationSearch& search) {
  const std::string program = JoinPath(directory, "postgres");
  if (!IsExecutable(program)) return std::nullopt;
  auto resolved = io::ResolvePath(program);
  if (!resolved) return std::nullopt;
  resolved->resize(resolved->rfind('/'));
  if (!IsExecutable(*resolved + "/postgres")) return std::nullopt;
  return Candidate{*resolved, MajorOfPath(*resolved, search)};
}

void Append(std::vector<Candidate>& candidates, std::optional<Candidate> candidate) {
  if (!candidate) return;
  const bool known = std::ranges::any_of(
      candidates, [&](const Candidate& each) { return each.bin_directory == candidate->bin_directory; });
  if (!known) candidates.push_back(*std::move(candidate));
}

// In the order of preference.
std::vector<Candidate> AllCandidates(const InstallationSearch& search) {
  std::vector<Candidate> candidates;
  if (const auto directory = VariableOf(search, "PG_BIN")) Append(candidates, CandidateAt(*directory, search));
  const std::string path = VariableOf(search, "PATH").value_or("");
  for (const auto directory : Split(path, ':')) {
    if (directory.starts_with('/')) Append(candidates, CandidateAt(std::string(directory), search));
  }
  for (const auto& place : SystemDirectories(search)) Append(candidates, CandidateAt(place.bin_directory, search));
  return candidates;
}

std::string FindPsql(const std::string& bin_directory, const InstallationSearch& search) {
  if (IsExecutable(bin_directory + "/psql")) return bin_directory + "/psql";
  // A client is installed without a server, too: then it is no candidate.
  for (const auto& place : SystemDirectories(search)) {
    if (const std::string program = place.bin_directory + "/psql"; IsExecutable(program)) return program;
  }
  const std::string path = VariableOf(search, "PATH").value_or("");
  for (const auto directory : Split(path, ':')) {
    const std::string program = JoinPath(directory, "psql");
    if (directory.starts_with('/') && IsExecutable(program)) return program;
  }
  return {};
}

// The version, by running the program only where that is needed.
Result<ServerVersion> VersionOf(const Candidate& candidate) {
  if (candidate.major && *candidate.major != kMinorMatters) return ServerVersion{*candidate.major, std::nullopt};
  return AskVersion(candidate.bin_directory);
}

Result<Installation> FromPgBin(int major, const InstallationSearch& search) {
  const auto candidate = CandidateAt(*search.pg_bin, search);
  if (!candidate) {
    return Fail(Error(ErrorCode::kInvalidArgument, "there is no program \"postgres\" in \"" + *search.pg_bin + '"')
                    .WithHint("name the directory of PostgreSQL's programs with --pg-bin"));
  }
  PGS_ASSIGN(const ServerVersion version, VersionOf(*candidate));
  if (version.major != major) {
    return Fail(
        Error(ErrorCode::kInvalidArgument, "\"" + *search.pg_bin + "\" holds PostgreSQL " + version.ToString() +
                                               ", and PostgreSQL " + std::to_string(major) + " is needed")
            .WithHint("the server must have the same major version as the backup; leave --pg-bin out to search"));
  }
  return Installation{candidate->bin_directory, version, FindPsql(candidate->bin_directory, search)};
}

std::unexpected<Error> NotFound(int major, const std::vector<std::string>& found) {
  const std::string version = std::to_string(major);
  std::string list;
  for (const auto& each : found) list += (list.empty() ? "" : ", ") + each;
  return Fail(
      Error(ErrorCode::kUnavailable, "could not find the programs of PostgreSQL " + version + " on this machine; " +
                                         (list.empty() ? "no other version was found either" : "found " + list))
          .WithHint("install them with \"apt-get install postgresql-" + version +
                    "\" (Debian may need the PostgreSQL project's own package repository for it), or name their "
                    "directory with --pg-bin"));
}

}  // namespace

Result<Installation> FindInstallation(int major, const InstallationSearch& search) {
  if (search.pg_bin) return FromPgBin(major, search);
  std::vector<std::string> found;
  for (const auto& candidate : AllCandidates(search)) {
    if (candidate.major && *candidate.major != major) {
      found.push_back(std::to_string(*candidate.major) + " in \"" + candidate.bin_directory + '"');
      continue;
    }
    const auto version = VersionOf(candidate);
    if (!version) continue;  // a broken program in PATH is no reason to fail: the next place may have a good one
    if (version->major == major) {
      return Installation{candidate.bin_directory, *version, FindPsql(candidate.bin_directory, search)};
    }
    found.push_back(version->ToString() + " in \"" + candidate.bin_directory + '"');
  }
  return NotFound(major, found);
}

std::vector<Installation> ListInstallations(const InstallationSearch& search) {
  std::vector<Installation> installations;
  std::vector<Candidate> candidates = AllCandidates(search);
  if (search.pg_bin) Append(candidates, CandidateAt(*search.pg_bin, search));
  for (const auto& candidate : candidates) {
    const auto version = AskVersion(candidate.bin_directory);
    if (!version) continue;
    installations.push_back({candidate.bin_directory, *version, FindPsql(candidate.bin_directory, search)});
  }
  std::ranges::stable_sort(installations, std::greater<>(), [](const Installation& each) {
    return std::pair(each.version.major, each.version.minor.value_or(0));
  });
  return installations;
}

}  // namespace pgstrata::instance
