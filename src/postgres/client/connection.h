// One connection to a server of ours over its Unix socket. This room is the only one that knows libpq.
//
// Always true: where a connection goes is said by ConnectionParameters alone. libpq takes whatever is not given from
// the environment (and cannot be told otherwise for PGHOSTADDR and PGSERVICE), so Connect first removes libpq's
// variables from this process's environment (environment.h): a statement meant for a backup never reaches production.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"

struct pg_conn;

namespace pgstrata::client {

struct ConnectionParameters {
  std::string socket_directory;  // absolute
  int port = 5432;
  std::string database = "postgres";
  std::string user = "postgres";
  std::string application_name = "pgstrata";
  std::string options;                        // "-c name=value ...", as in PGOPTIONS; empty is none
  std::chrono::milliseconds timeout{10'000};  // from the call to a usable connection
  int cancel_fd = -1;  // the attempt, and later each statement, ends with kCancelled once it is readable; -1 is none
  // Called once a process of the server has begun to serve this connection, which it may yet refuse.
  std::function<void()> on_taken;
};

enum class ConnectFailure {
  kNotYet,          // no socket, refused, starting up: trying again can succeed while the server lives
  kRoleOrDatabase,  // the server works, but not with this role or this database
  kFatal,           // anything else
};

// Why there is no connection; message() is the server's own, without libpq's preamble.
class ConnectError : public Error {
 public:
  ConnectError(ErrorCode code, ConnectFailure failure, std::string sqlstate, std::string message)
      : Error(code, std::move(message)), failure_(failure), sqlstate_(std::move(sqlstate)) {}
  [[nodiscard]] ConnectFailure failure() const { return failure_; }
  // Five characters, or empty when the server said nothing.
  [[nodiscard]] const std::string& sqlstate() const { return sqlstate_; }

 private:
  ConnectFailure failure_;
  std::string sqlstate_;
};

// A statement that the server refused; message() holds its message and detail, hint() its hint.
class SqlError : public Error {
 public:
  SqlError(Error error, std::string sqlstate) : Error(std::move(error)), sqlstate_(std::move(sqlstate)) {}
  // Five characters, or empty when the connection broke.
  [[nodiscard]] const std::string& sqlstate() const { return sqlstate_; }

 private:
  std::string sqlstate_;
};

using Row = std::vector<std::optional<std::string>>;  // text form; nothing is NULL
using Rows = std::vector<Row>;

// Move-only; closed at the end. One thread at a time. ConnectError and SqlError turn into Error where PGS_TRY needs it.
class Connection {
 public:
  // The first call in a process changes its environment: make it before other threads read theirs.
  static std::expected<Connection, ConnectError> Connect(const ConnectionParameters& parameters);

  // After kCancelled the statement may still run, and the connection is of no further use.
  // Runs one or more statements in one simple query and returns the rows of the last one; `parameters` allow one only.
  std::expected<Rows, SqlError> Query(const std::string& sql);
  std::expected<Rows, SqlError> Query(const std::string& sql, const std::vector<std::string>& parameters);
  std::expected<void, SqlError> Execute(const std::string& sql);
  // The only value of the only row; any other shape is kInternal.
  Result<std::string> QueryValue(const std::string& sql);

  // As the server counts it: 150020 is 15.20.
  [[nodiscard]] int server_version() const;

 private:
  struct Close {
    void operator()(pg_conn* connection) const;
  };
  Connection(pg_conn* connection, int cancel_fd) : connection_(connection), cancel_fd_(cancel_fd) {}
  std::expected<Rows, SqlError> Await();

  std::unique_ptr<pg_conn, Close> connection_;
  int cancel_fd_;
};

// `value` as a literal that any standard_conforming_strings reads alike; in UTF-8 or another encoding that keeps ASCII
// bytes apart.
std::string QuoteLiteral(std::string_view value);

}  // namespace pgstrata::client
