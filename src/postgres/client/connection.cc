#include "postgres/client/connection.h"

#include <libpq-fe.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "postgres/client/connect_message.h"
#include "postgres/client/environment.h"
#include "postgres/client/libpq_loader.h"

namespace pgstrata::client {
namespace {

using Clock = std::chrono::steady_clock;
using ResultPointer = std::unique_ptr<PGresult, void (*)(PGresult*)>;

// A password file that cannot exist: with an empty name libpq would look for ~/.pgpass.
constexpr const char* kNoPasswordFile = "/dev/null/none";

ConnectError Fatal(ErrorCode code, std::string message) {
  return {code, ConnectFailure::kFatal, {}, std::move(message)};
}

pg_conn* StartConnection(const ConnectionParameters& parameters) {
  const std::string port = std::to_string(parameters.port);
  const std::array keywords = {"host",
                               "port",
                               "dbname",
                               "user",
                               "options",
                               "application_name",
                               "client_encoding",
                               "sslmode",
                               "gssencmode",
                               "passfile",
                               "target_session_attrs",
                               static_cast<const char*>(nullptr)};
  const std::array values = {parameters.socket_directory.c_str(),
                             port.c_str(),
                             parameters.database.c_str(),
                             parameters.user.c_str(),
                             parameters.options.c_str(),
                             parameters.application_name.c_str(),
                             "UTF8",
                             "disable",
                             "disable",
                             kNoPasswordFile,
                             "any",
                             static_cast<const char*>(nullptr)};
  return PQconnectStartParams(keywords.data(), values.data(), /*expand_dbname=*/0);
}

enum class Waited { kReady, kTimeout, kCancelled, kFailed };

Waited WaitFor(int fd, short events, int cancel_fd, Clock::time_point deadline) {
  while (true) {
    const bool forever = deadline == Clock::time_point::max();
    const auto left = forever ? -1 : std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0 && !forever) return Waited::kTimeout;
    std::array<pollfd, 2> polled{pollfd{fd, events, 0}, pollfd{cancel_fd, POLLIN, 0}};
    const int ready = ::poll(polled.data(), polled.size(), static_cast<int>(left));
    if (ready < 0 && errno != EINTR) return Waited::kFailed;
    if (ready > 0 && polled[1].revents != 0) return Waited::kCancelled;
    if (ready > 0) return Waited::kReady;
  }
}

// Until a process of the server has read what was sent: the postmaster accepts a connection and forks, but never reads
// from it. That answer itself, which may take a while, is left to be read.
Waited WaitUntilTaken(int fd, int cancel_fd, Clock::time_point deadline) {
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 200'000};
  while (Clock::now() < deadline) {
    int unread = 0;
    if (::ioctl(fd, SIOCOUTQ, &unread) != 0) return Waited::kFailed;
    if (unread == 0) return Waited::kReady;
    std::array<pollfd, 2> polled{pollfd{fd, POLLIN, 0}, pollfd{cancel_fd, POLLIN, 0}};
    if (::ppoll(polled.data(), polled.size(), &kPause, nullptr) < 0 && errno != EINTR) return Waited::kFailed;
    if (polled[1].revents != 0) return Waited::kCancelled;
    if (polled[0].revents != 0) return Waited::kReady;
  }
  return Waited::kTimeout;
}

// Drives the connection to its end; nothing when it is usable.
std::optional<ConnectError> Drive(pg_conn* connection, const ConnectionParameters& parameters) {
  const auto deadline = Clock::now() + parameters.timeout;
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  bool taken = !parameters.on_taken;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED || PQstatus(connection) == CONNECTION_BAD) {
      return ClassifyConnectMessage(PQerrorMessage(connection));
    }
    const short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    Waited waited = Waited::kReady;
    if (!taken && state == PGRES_POLLING_READING) {
      waited = WaitUntilTaken(PQsocket(connection), parameters.cancel_fd, deadline);
      taken = waited == Waited::kReady;
      if (taken) parameters.on_taken();
    }
    if (waited == Waited::kReady) waited = WaitFor(PQsocket(connection), events, parameters.cancel_fd, deadline);
    switch (waited) {
      case Waited::kReady:
        break;
      case Waited::kTimeout:
        return ConnectError(ErrorCode::kUnavailable, ConnectFailure::kNotYet, {},
                            "the server did not answer within " + std::to_string(parameters.timeout.count()) + " ms");
      case Waited::kCancelled:
        return Fatal(ErrorCode::kCancelled, "connecting was cancelled");
      case Waited::kFailed:
        return Fatal(ErrorCode::kIo, std::string("could not poll a connection: ") + std::strerror(errno));
    }
    state = PQconnectPoll(connection);
  }
  return std::nullopt;
}

ErrorCode CodeOf(std::string_view sqlstate) {
  if (sqlstate == "42501") return ErrorCode::kPermission;
  if (sqlstate == "53100") return ErrorCode::kNoSpace;
  if (sqlstate == "57014") return ErrorCode::kCancelled;
  if (sqlstate == "XX001" || sqlstate == "XX002") return ErrorCode::kCorrupt;
  if (sqlstate == "58030" || sqlstate.empty()) return ErrorCode::kIo;
  if (sqlstate.starts_with("57") || sqlstate.starts_with("53")) return ErrorCode::kUnavailable;
  if (sqlstate.starts_with("0A")) return ErrorCode::kUnsupported;
  return ErrorCode::kInvalidArgument;
}

std::string Field(const PGresult* result, int field) {
  const char* text = PQresultErrorField(result, field);
  return text != nullptr ? text : "";
}

SqlError ErrorOf(pg_conn* connection, const PGresult* result) {
  const std::string sqlstate = Field(result, PG_DIAG_SQLSTATE);
  std::string message = Field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (message.empty()) message = PQerrorMessage(connection);  // libpq's own trouble: it has no fields
  while (message.ends_with('\n')) message.pop_back();
  if (const auto detail = Field(result, PG_DIAG_MESSAGE_DETAIL); !detail.empty()) message += ": " + detail;
  Error error = Error(CodeOf(sqlstate), std::move(message)).WithHint(Field(result, PG_DIAG_MESSAGE_HINT));
  return {std::move(error), sqlstate};
}

std::expected<Rows, SqlError> Collect(pg_conn* connection, const PGresult* result) {
  const ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) return Rows{};
  if (status != PGRES_TUPLES_OK) return std::unexpected(ErrorOf(connection, result));
  Rows rows(static_cast<size_t>(PQntuples(result)));
  for (size_t r = 0; r < rows.size(); ++r) {
    for (int column = 0; column < PQnfields(result); ++column) {
      const int row = static_cast<int>(r);
      if (PQgetisnull(result, row, column) != 0) {
        rows[r].emplace_back(std::nullopt);
      } else {
        rows[r].emplace_back(
            std::string(PQgetvalue(result, row, column), static_cast<size_t>(PQgetlength(result, row, column))));
      }
    }
  }
  return rows;
}

std::string InQuotes(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') result += c;
    result += c;
  }
  return result + '\'';
}

}  // namespace

void Connection::Close::operator()(pg_conn* connection) const { PQfinish(connection); }

std::expected<Connection, ConnectError> Connection::Connect(const ConnectionParameters& parameters) {
  // A relative or empty host would be a name to resolve, and libpq takes an empty value as not given.
  if (!parameters.socket_directory.starts_with('/') || parameters.database.empty() || parameters.user.empty()) {
    return std::unexpected(Fatal(ErrorCode::kInternal, "a connection needs a socket directory, a database and a role"));
  }
  if (const auto loaded = LoadLibpq(); !loaded) {
    return std::unexpected(Fatal(loaded.error().code(), loaded.error().message() + "; " + loaded.error().hint()));
  }
  ClearOwnLibpqEnvironment();
  pg_conn* raw = StartConnection(parameters);
  if (raw == nullptr) return std::unexpected(Fatal(ErrorCode::kInternal, "out of memory"));
  Connection connection(raw, parameters.cancel_fd);
  PQsetErrorVerbosity(raw, PQERRORS_VERBOSE);  // the only way to a SQLSTATE before the connection stands
  PQsetNoticeProcessor(raw, [](void*, const char*) {}, nullptr);
  if (auto error = Drive(raw, parameters)) return std::unexpected(std::move(*error));
  PQsetErrorVerbosity(raw, PQERRORS_DEFAULT);
  return connection;
}

// The rows of the last statement, or the first error.
std::expected<Rows, SqlError> Connection::Await() {
  std::expected<Rows, SqlError> answer = Rows{};
  while (true) {
    while (PQisBusy(connection_.get()) != 0) {
      const auto waited = WaitFor(PQsocket(connection_.get()), POLLIN, cancel_fd_, Clock::time_point::max());
      if (waited == Waited::kCancelled) {
        return std::unexpected(SqlError(Error(ErrorCode::kCancelled, "a statement was cancelled"), ""));
      }
      if (PQconsumeInput(connection_.get()) == 0) return std::unexpected(ErrorOf(connection_.get(), nullptr));
    }
    const ResultPointer result(PQgetResult(connection_.get()), &PQclear);
    if (!result) return answer;
    if (answer) answer = Collect(connection_.get(), result.get());
  }
}

std::expected<Rows, SqlError> Connection::Query(const std::string& sql) {
  if (PQsendQuery(connection_.get(), sql.c_str()) == 0) return std::unexpected(ErrorOf(connection_.get(), nullptr));
  return Await();
}

std::expected<Rows, SqlError> Connection::Query(const std::string& sql, const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const auto& parameter : parameters) values.push_back(parameter.c_str());
  const int sent = PQsendQueryParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                     values.data(), nullptr, nullptr, 0);
  if (sent == 0) return std::unexpected(ErrorOf(connection_.get(), nullptr));
  return Await();
}

std::expected<void, SqlError> Connection::Execute(const std::string& sql) {
  if (auto rows = Query(sql); !rows) return std::unexpected(std::move(rows).error());
  return {};
}

Result<std::string> Connection::QueryValue(const std::string& sql) {
  PGS_ASSIGN(const Rows rows, Query(sql));
  if (rows.size() != 1 || rows[0].size() != 1 || !rows[0][0]) {
    return Fail(ErrorCode::kInternal, "not one value from \"" + sql + '"');
  }
  return *rows[0][0];
}

int Connection::server_version() const { return PQserverVersion(connection_.get()); }

std::string QuoteLiteral(std::string_view value) {
  if (!value.contains('\\')) return InQuotes(value);
  // E'' reads backslashes alike whatever standard_conforming_strings says.
  std::string doubled;
  for (const char c : value) doubled.append(c == '\\' ? 2 : 1, c);
  return " E" + InQuotes(doubled);
}

}  // namespace pgstrata::client
