// Real PostgreSQL clusters for tests. Everything lies below one temporary directory and is gone at the end, servers
// first.
//
//   PostgresCluster cluster;               // initdb (from a cached template: about 60 ms)
//   cluster.Start();
//   cluster.Psql("create table t as select generate_series(1, 10) as i");
//   const std::string backup = cluster.BaseBackup("backup", {"-X", "stream"});
//   cluster.Stop();
//
// As root everything of PostgreSQL runs as user "postgres", which owns the files; else as the current user. The
// programs are those of $PGSTRATA_TEST_PG_BIN, by default /usr/lib/postgresql/15/bin. Functions throw
// std::runtime_error with the program's own words, which GoogleTest reports as the failure of the test.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "foundation/io/process.h"
#include "postgres/client/connection.h"

namespace pgstrata::test {

// Where the programs of the PostgreSQL under test are.
std::string PostgresBin();
std::string PostgresProgram(const std::string& name);
// Whom PostgreSQL runs as: nothing means as ourselves.
std::optional<io::UserIdentity> PostgresUser();

// Runs a program as PostgresUser() without any libpq variable from outside, `extra` added; looks for it in
// PostgresBin() first, where it has no slash.
io::Captured TryRun(std::vector<std::string> argv, const io::Environment& extra = {});
// Likewise; throws unless it ends with status 0. Returns its standard output.
std::string Run(std::vector<std::string> argv, const io::Environment& extra = {});
// Likewise in the background, its output to the file `output`.
io::Process RunInBackground(std::vector<std::string> argv, const std::string& output,
                            const io::Environment& extra = {});

// A directory below /tmp that PostgresUser() owns; short enough for sockets. Removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string Path(const std::string& name) const { return path_ + '/' + name; }
  // Creates a directory in it that PostgresUser() owns, and returns its path.
  [[nodiscard]] std::string MakeDirectory(const std::string& name) const;
  // Writes a file in it that PostgresUser() owns, and returns its path.
  [[nodiscard]] std::string WriteFile(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

// Copies a tree as it is (cp -a, keeping owners): for crashed or stopped copies of a data directory.
void CopyTree(const std::string& from, const std::string& to);
// Gives a path (not what is below it) to PostgresUser().
void GiveToPostgres(const std::string& path);

struct ClusterOptions {
  std::string superuser = "postgres";
  std::vector<std::string> initdb;         // more arguments: "--data-checksums", "--wal-segsize=1", "--waldir=..."
  std::vector<std::string> configuration;  // lines at the end of postgresql.conf
  // A system identifier of its own: initdb runs (about 1 s). Otherwise clusters with equal initdb arguments share one.
  bool own_identity = false;
  // A copy of this data directory or base backup instead of initdb, as it is: for standbys.
  std::string copy_of;
};

class PostgresCluster {
 public:
  explicit PostgresCluster(ClusterOptions options = {});
  PostgresCluster(const PostgresCluster&) = delete;
  PostgresCluster& operator=(const PostgresCluster&) = delete;
  ~PostgresCluster();

  // Starts the server (fsync off, Unix socket only, small) and waits until it answers. `arguments` go to postgres.
  void Start(std::vector<std::string> arguments = {});
  // A clean (fast) shutdown.
  void Stop();
  // SIGKILL to the postmaster; returns when its children are gone too. The data directory is left as by a crash.
  void Kill();
  [[nodiscard]] bool running() const { return server_.valid(); }

  // What psql prints, unaligned, tuples only, without the last newline. Stops at the first error and throws.
  std::string Psql(const std::string& sql, const std::string& database = "postgres") const;
  // Likewise, without throwing.
  [[nodiscard]] io::Captured TryPsql(const std::string& sql, const std::string& database = "postgres") const;
  [[nodiscard]] client::Connection Connect(const std::string& database = "postgres") const;

  // pg_basebackup of the running server into a new directory `name` of the cluster's temporary directory (or `name`
  // itself, where that is an absolute path), with a fast checkpoint and without syncing; `arguments` are added. Returns
  // its path.
  std::string BaseBackup(const std::string& name, const std::vector<std::string>& arguments = {}) const;
  // Runs one of PostgreSQL's programs with PGHOST, PGPORT and PGUSER set; throws unless it ends with status 0.
  std::string RunProgram(std::vector<std::string> argv) const;

  [[nodiscard]] const TemporaryDirectory& directory() const { return directory_; }
  [[nodiscard]] const std::string& data_directory() const { return data_directory_; }
  [[nodiscard]] const std::string& socket_directory() const { return socket_directory_; }
  [[nodiscard]] std::string log_file() const { return directory_.Path("server.log"); }
  [[nodiscard]] int port() const { return 5432; }
  [[nodiscard]] const std::string& superuser() const { return options_.superuser; }
  [[nodiscard]] pid_t pid() const { return server_.pid(); }
  // PGHOST, PGPORT, PGUSER and PGDATABASE for programs.
  [[nodiscard]] io::Environment ProgramEnvironment(const std::string& database = "postgres") const;
  [[nodiscard]] client::ConnectionParameters Parameters(const std::string& database = "postgres") const;

 private:
  ClusterOptions options_;
  TemporaryDirectory directory_;
  std::string data_directory_;
  std::string socket_directory_;
  io::Process server_;
};

// What many tests read and none may change, made once and kept in the build directory: the data directory of a cleanly
// stopped cluster in which `sql` was run, and a base backup with its WAL of a running one.
std::string StoppedClusterWith(const std::string& sql);
std::string BackupOfClusterWith(const std::string& sql);

}  // namespace pgstrata::test
