// What the tests of `mount` share: one backup, a mountpoint and a diff directory for each test, and a server that is
// started on the mount as a user would.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "foundation/codec/json.h"
#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {

// `postgres -D DIRECTORY` on a private socket, with everything that was acknowledged on disk.
class HandStartedServer {
 public:
  // Returns when it answers; throws with its log where it does not.
  HandStartedServer(std::string data_directory, const std::string& name, const TemporaryDirectory& place);
  ~HandStartedServer();
  HandStartedServer(const HandStartedServer&) = delete;
  HandStartedServer& operator=(const HandStartedServer&) = delete;

  // What psql prints, unaligned; throws where it fails.
  std::string Sql(const std::string& sql) const;
  io::Captured TrySql(const std::string& sql) const;
  // A fast shutdown.
  void Stop();
  // As a crash of the machine would end it: all its processes at once.
  void Kill();
  [[nodiscard]] std::string Log() const;

 private:
  std::string data_directory_;
  std::string socket_directory_;
  std::string log_file_;
  io::Process process_;
};

class Mounts : public ::testing::Test {
 protected:
  // A base backup of a cluster with a table t of the numbers 1 to 1000.
  static const std::string& Backup();

  Mounts();
  ~Mounts() override;

  // Runs the program as us, or as an ordinary user where as_user is set.
  [[nodiscard]] io::Captured Run(const std::vector<std::string>& arguments) const;
  // The same, expected to succeed; what it printed.
  std::string Done(const std::vector<std::string>& arguments) const;
  // Expected to fail with `status`; what it said.
  std::string Failure(int status, const std::vector<std::string>& arguments) const;
  // mount of the backup at mnt() with diff(), `more` added.
  std::string Mount(const std::vector<std::string>& more = {}) const;
  std::string Unmount() const { return Done({"unmount", mnt()}); }
  [[nodiscard]] codec::Json Stat(const std::string& place) const;
  [[nodiscard]] pid_t WorkerPid() const;
  // SIGKILL; returns when nobody serves mnt() any more.
  void KillWorker() const;

  [[nodiscard]] bool IsMounted() const;
  // Writes and reads a file of the mount as the server's user.
  void Write(const std::string& name, const std::string& text) const;
  [[nodiscard]] std::string Read(const std::string& name) const;

  [[nodiscard]] std::string mnt() const { return program_.directory().Path("mnt"); }
  [[nodiscard]] std::string diff() const { return program_.directory().Path("diff"); }
  [[nodiscard]] std::string Path(const std::string& name) const { return program_.directory().Path(name); }

  PgstrataProgram program_;
  bool as_user_ = false;
};

// As us, and as an ordinary user, by the parameter.
class MountsAs : public Mounts, public ::testing::WithParamInterface<bool> {
 protected:
  MountsAs() { as_user_ = GetParam(); }
};
// The name of the parameter.
std::string UserName(const ::testing::TestParamInfo<bool>& info);

}  // namespace pgstrata::test
