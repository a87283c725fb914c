// What the tests of the traps (docs/safety.md) share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/e2e/pgstrata_program.h"

namespace pgstrata::test {

inline constexpr const char* kThousandRows = "create table t as select i from generate_series(1, 1000) i";

// A server on a loopback port that answers nobody and counts who came.
class Listener {
 public:
  Listener();
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] std::string port() const { return std::to_string(port_); }
  // Connections since the last call; each is closed at once.
  int TakeConnections();

 private:
  int socket_ = -1;
  int port_ = 0;
};

class Traps : public ::testing::Test {
 protected:
  // `open SOURCE ARGUMENTS... -c SQL`, unaligned, expected to succeed and to leave nothing behind.
  io::Captured Open(const std::string& source, const std::string& sql, const std::vector<std::string>& arguments = {},
                    const io::Environment& environment = {});
  // What it prints, without the last newline.
  std::string Query(const std::string& source, const std::string& sql, const std::vector<std::string>& arguments = {},
                    const io::Environment& environment = {});
  // `open SOURCE ARGUMENTS... --exec -- /bin/sh -ec SCRIPT`, likewise. $MNT is the data directory inside; "sql TEXT"
  // runs psql.
  std::string Script(const std::string& source, const std::string& script,
                     const std::vector<std::string>& arguments = {}, const io::Environment& environment = {});
  // `open` that is expected to fail with `status` and to leave nothing behind; what it said.
  std::string Failure(const std::string& source, int status, const std::vector<std::string>& arguments = {});

  // Several settings as the session sees them: "a=1 b=2".
  std::string Settings(const std::string& source, const std::vector<std::string>& names,
                       const std::vector<std::string>& arguments = {});
  // Bytes in the layer when the script of an open of `source` is done and everything that it changed is written back.
  uint64_t LayerBytesAfter(const std::string& source, const std::string& sql);

  // A fresh path in this test's directory.
  [[nodiscard]] std::string Path(const std::string& name) const { return program_.directory().Path(name); }
  // A copy of `source` that a test may change.
  [[nodiscard]] std::string Copy(const std::string& source, const std::string& name) const;

  PgstrataProgram program_;
};

// Adds lines to a file.
void Append(const std::string& path, const std::string& text);

// A backup taken by hand, as a script around cp would: files are copied first, `meanwhile` runs, pg_control and WAL are
// copied last, and the label is written from what pg_backup_stop says.
std::string BackupByHand(const PostgresCluster& cluster, const std::string& path, const std::string& meanwhile);

// Makes a standby of a copy of `source` (a backup), lets it become consistent, and stops it. Returns its data
// directory. `configuration` goes into its postgresql.conf.
std::string StoppedStandby(const std::string& source, const std::string& path,
                           const std::vector<std::string>& configuration = {});

// The WAL segments in a directory, sorted.
std::vector<std::string> SegmentsIn(const std::string& directory);

}  // namespace pgstrata::test
