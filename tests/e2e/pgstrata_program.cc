#include "tests/e2e/pgstrata_program.h"

#include <fcntl.h>

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::test {
namespace {

using namespace std::chrono_literals;

void AppendListing(const std::string& directory, const std::string& depth, std::string& text) {
  const auto names = io::ListDirectory(directory);
  if (!names) return;
  for (const auto& name : *names) text += depth + name + '\n';
}

// Processes whose command line names `directory`.
std::string ProcessesNaming(const std::string& directory) {
  std::string text;
  const auto names = io::ListDirectory("/proc");
  for (const auto& name : *names) {
    if (!ParseDecimal(name)) continue;
    const auto command_line = io::ReadWholeFile("/proc/" + name + "/cmdline");
    if (command_line && command_line->contains(directory)) text += "process " + name + '\n';
  }
  return text;
}

}  // namespace

std::string PgstrataProgram::Path() { return PGSTRATA_PROGRAM; }

io::Environment PgstrataProgram::Environment(const io::Environment& extra) const {
  io::Environment environment = io::CurrentEnvironment();
  environment["PGSTRATA_HOME"] = home();
  environment["PG_BIN"] = PostgresBin();
  environment.erase("PSQLRC");
  for (const auto& [name, value] : extra) environment[name] = value;
  return environment;
}

io::Captured PgstrataProgram::Run(const std::vector<std::string>& arguments, const io::Environment& extra) const {
  std::vector<std::string> argv = {Path()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  auto run = io::RunAndCapture({.argv = argv, .environment = Environment(extra), .standard_input = -1});
  if (!run) throw std::runtime_error(run.error().message());
  return *std::move(run);
}

std::string PgstrataProgram::Query(const std::string& source, const std::string& sql,
                                   const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = {"open", source, "-q", "-c", sql};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.insert(all.end(), {"--", "-XAt", "-v", "ON_ERROR_STOP=1"});
  const auto run = Run(all);
  if (run.status.AsShell() != 0) throw std::runtime_error("open failed: " + run.standard_error);
  return std::string(TrimWhitespace(run.standard_output));
}

io::Process PgstrataProgram::Start(const std::vector<std::string>& arguments, const io::Environment& extra) const {
  std::vector<std::string> argv = {Path()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto out = io::File::Open(directory_.Path("out"), O_WRONLY | O_CREAT | O_TRUNC);
  const auto err = io::File::Open(directory_.Path("err"), O_WRONLY | O_CREAT | O_TRUNC);
  auto process = io::Process::Spawn({.argv = argv,
                                     .environment = Environment(extra),
                                     .standard_input = -1,
                                     .standard_output = out->fd(),
                                     .standard_error = err->fd()});
  if (!process) throw std::runtime_error(process.error().message());
  return *std::move(process);
}

io::Process PgstrataProgram::StartWaiting(const std::string& source) const {
  const std::string marker = directory_.Path("running");
  io::Process process =
      Start({"open", source, "--exec", "--", "/bin/sh", "-c", "touch '" + marker + "'; exec sleep 1000"});
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!io::Exists(marker)) {
    const auto ended = process.Wait(5ms);
    if (ended && *ended) {
      throw std::runtime_error("open ended: " + io::ReadWholeFile(directory_.Path("err")).value_or(""));
    }
    if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("open did not start its client");
  }
  static_cast<void>(io::RemoveFile(marker));
  return process;
}

std::string PgstrataProgram::Leftovers() const {
  std::string text;
  const auto names = io::ListDirectory(home() + "/run");
  if (names) {
    for (const auto& name : *names) {
      text += name + '\n';
      AppendListing(home() + "/run/" + name, "  ", text);
    }
  }
  text += ProcessesNaming(home() + "/run");
  const auto mounts = io::ReadWholeFile("/proc/self/mountinfo");
  for (const auto line : SplitLines(*mounts)) {
    if (line.contains(home())) text += "mount " + std::string(line) + '\n';
  }
  return text;
}

std::vector<std::string_view> LinesWithoutNetworkWarning(std::string_view text) {
  auto lines = SplitLines(text);
  std::erase_if(lines, [](std::string_view line) { return line.contains(kSharedNetworkWarning); });
  return lines;
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

bool KillAndWait(pid_t pid) {
  auto process = io::Process::Adopt(pid);
  if (!process || !process->Signal(SIGKILL)) return false;
  const auto ended = process->Wait(kPatience);
  return ended && *ended;
}

std::string TreeState(const std::string& directory) {
  return Run({"/bin/sh", "-c",
              "cd \"$0\" && find . -printf '%p %y %m %s %T@ %l\\n' | LC_ALL=C sort && "
              "find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum",
              directory});
}

}  // namespace pgstrata::test
