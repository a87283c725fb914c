// The built program, run as a user runs it, in a home of its own.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/io/process.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::test {

// How long a test waits for what should come soon, on a machine that does much else.
inline constexpr std::chrono::seconds kPatience{60};

class PgstrataProgram {
 public:
  // The path of the program: as built beside the tests.
  static std::string Path();

  // Runs it to the end, without a terminal. `extra` is added to the environment.
  [[nodiscard]] io::Captured Run(const std::vector<std::string>& arguments, const io::Environment& extra = {}) const;
  // `open SOURCE -c SQL` for one value, quiet, unaligned; throws with what it said unless the status is 0.
  [[nodiscard]] std::string Query(const std::string& source, const std::string& sql,
                                  const std::vector<std::string>& arguments = {}) const;
  // Starts it and returns at once; output into files "out" and "err" of directory().
  [[nodiscard]] io::Process Start(const std::vector<std::string>& arguments, const io::Environment& extra = {}) const;
  // Starts `open SOURCE` and waits until its client runs: a shell that has created a file and waits.
  [[nodiscard]] io::Process StartWaiting(const std::string& source) const;

  // PGSTRATA_HOME of these runs.
  [[nodiscard]] std::string home() const { return directory_.Path("home"); }
  [[nodiscard]] const TemporaryDirectory& directory() const { return directory_; }
  // What still lies, runs or is mounted below the home: empty when nothing was left behind.
  [[nodiscard]] std::string Leftovers() const;

  // The environment of these runs.
  [[nodiscard]] io::Environment Environment(const io::Environment& extra = {}) const;

 private:
  TemporaryDirectory directory_;
};

// What a machine that does not allow network namespaces is warned of, which depends on where the tests run.
inline constexpr std::string_view kSharedNetworkWarning = "warning: the server shares this machine's network";
// The lines of `text` but that one.
std::vector<std::string_view> LinesWithoutNetworkWarning(std::string_view text);

// Whether it comes true within kPatience.
bool Eventually(const std::function<bool()>& condition);

// Kills any process, and waits until it is dead: until then it holds what it had, and may answer.
bool KillAndWait(pid_t pid);

// sha256 of every file below `directory`, for comparing before and after; with modes, sizes, times and link targets.
std::string TreeState(const std::string& directory);

}  // namespace pgstrata::test
