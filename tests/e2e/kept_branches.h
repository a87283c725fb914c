// What the tests of kept branches share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {

// As us, and as an ordinary user: "postgres", where the tests run as root.
class KeptBranches : public ::testing::TestWithParam<bool> {
 protected:
  ~KeptBranches() override;
  void TearDown() override;

  [[nodiscard]] bool without_root() const { return GetParam(); }
  // Runs `pgstrata ARGUMENTS...`.
  [[nodiscard]] io::Captured Pgstrata(std::vector<std::string> arguments) const;
  // Runs `pgstrata branch ARGUMENTS...`.
  [[nodiscard]] io::Captured Branch(const std::vector<std::string>& arguments) const;
  // Likewise; it succeeds. What it printed.
  std::string Do(const std::vector<std::string>& arguments) const;
  // Likewise; it fails with `status`. What it said.
  std::string Refused(int status, const std::vector<std::string>& arguments) const;
  // Starts one of them and returns at once.
  [[nodiscard]] io::Process StartPgstrata(const std::vector<std::string>& arguments, const std::string& output) const;
  [[nodiscard]] io::Process StartBranch(const std::vector<std::string>& arguments, const std::string& output) const;
  // `branch psql NAME` for one value.
  std::string Sql(const std::string& name, const std::string& sql) const;
  // A member of `branch show NAME --json`; null is "".
  std::string Shown(const std::string& name, const std::string& member) const;
  // The directory of a branch.
  [[nodiscard]] std::string Directory(const std::string& name) const;
  // The process that serves it.
  [[nodiscard]] pid_t Worker(const std::string& name) const;
  // What `doctor` says was left behind, one a line.
  [[nodiscard]] std::string LeftBehind() const;

  // A cleanly stopped cluster with a table t of 1,000 rows; each test may read it only.
  static const std::string& Source();

  PgstrataProgram program_;
};

}  // namespace pgstrata::test
