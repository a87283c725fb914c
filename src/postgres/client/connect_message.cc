#include "postgres/client/connect_message.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "foundation/base/text.h"

namespace pgstrata::client {
namespace {

struct Parts {
  std::string sqlstate;
  std::string message;
  std::string detail;
  std::string hint;
};

// "FATAL:  57P03: the database system is starting up" -> its SQLSTATE, and `line` without severity and SQLSTATE.
std::string TakeSqlstate(std::string_view& line) {
  constexpr std::string_view kAfterSeverity = ":  ";
  constexpr size_t kLength = 5;
  const size_t colon = line.find(kAfterSeverity);
  if (colon == std::string_view::npos) return {};
  const std::string_view rest = line.substr(colon + kAfterSeverity.size());
  const bool is_state = rest.size() > kLength + 1 && rest.substr(kLength, 2) == ": " &&
                        std::ranges::all_of(rest.substr(0, kLength),
                                            [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
  if (!is_state) return {};
  line = rest.substr(kLength + 2);
  return std::string(rest.substr(0, kLength));
}

std::string_view WithoutPreamble(std::string_view line) {
  constexpr std::string_view kFailed = "\" failed: ";
  if (!line.starts_with("connection to server ")) return line;
  const size_t at = line.find(kFailed);
  return at == std::string_view::npos ? line : line.substr(at + kFailed.size());
}

Parts Dissect(std::string_view text) {
  Parts parts;
  bool first = true;
  for (std::string_view line : SplitLines(text)) {
    const std::string_view content = TrimWhitespace(line);
    if (first) {
      line = WithoutPreamble(line);
      parts.sqlstate = TakeSqlstate(line);
      parts.message = TrimWhitespace(line);
      first = false;
    } else if (content.starts_with("DETAIL:")) {
      parts.detail = TrimWhitespace(content.substr(7));
    } else if (content.starts_with("HINT:")) {
      parts.hint = TrimWhitespace(content.substr(5));
    }  // LOCATION, and libpq's own question whether the server is running
  }
  return parts;
}

ConnectFailure FailureOf(const Parts& parts) {
  // Wrong role, wrong or no password, no such database, no CONNECT right, a database that takes no connections or too
  // many.
  constexpr std::array<std::string_view, 6> kRoleOrDatabase = {"28000", "28P01", "3D000", "42501", "55000", "53300"};
  // Starting up, in recovery; or ended by a shutdown or a crash while it was connecting.
  const bool passing = parts.sqlstate == "57P03" || parts.sqlstate == "57P01" || parts.sqlstate == "57P02";
  if (passing) return ConnectFailure::kNotYet;
  const bool refused = std::ranges::find(kRoleOrDatabase, parts.sqlstate) != kRoleOrDatabase.end();
  if (refused) return ConnectFailure::kRoleOrDatabase;
  if (!parts.sqlstate.empty()) return ConnectFailure::kFatal;
  for (const int problem : {ENOENT, ECONNREFUSED, EAGAIN, ECONNRESET, EPIPE}) {
    if (parts.message.contains(std::strerror(problem))) return ConnectFailure::kNotYet;
  }
  // The postmaster went away between accept and answer; whoever watches its process knows whether that was the end.
  return parts.message.contains("closed the connection unexpectedly") ? ConnectFailure::kNotYet
                                                                      : ConnectFailure::kFatal;
}

ErrorCode CodeOf(const Parts& parts, ConnectFailure failure) {
  if (failure == ConnectFailure::kNotYet) return ErrorCode::kUnavailable;
  if (parts.sqlstate == "3D000") return ErrorCode::kNotFound;
  if (failure == ConnectFailure::kRoleOrDatabase || parts.message.contains(std::strerror(EACCES))) {
    return ErrorCode::kPermission;
  }
  return ErrorCode::kUnavailable;
}

}  // namespace

ConnectError ClassifyConnectMessage(std::string_view message) {
  const Parts parts = Dissect(message);
  const ConnectFailure failure = FailureOf(parts);
  const std::string text = parts.detail.empty() ? parts.message : parts.message + ": " + parts.detail;
  ConnectError error(CodeOf(parts, failure), failure, parts.sqlstate, text);
  if (!parts.hint.empty()) static_cast<Error&>(error) = Error(error.code(), text).WithHint(parts.hint);
  return error;
}

}  // namespace pgstrata::client
