// Waiting for a server.
//
// A refused connection is not free: for each, the postmaster forks a child that writes two lines to the log, and a
// poller that asks every millisecond takes the processor from the recovery that it waits for. postmaster.pid says the
// same for a read of 100 bytes: its last line is "ready" (or "standby", where read-only connections are accepted) as
// soon as a connection will not be refused. So a connection is tried only then. A recovery with hot_standby = off says
// "standby" too early: after a refusal the next word is waited for. Where the file cannot be read, connections are
// tried at once, less and less often.

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "postgres/client/libpq_loader.h"
#include "postgres/instance/server.h"

namespace pgstrata::instance {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

class ReadinessWait {
 public:
  ReadinessWait(Server& server, client::ConnectionParameters parameters, const WaitOptions& options)
      : server_(server), parameters_(std::move(parameters)), options_(options) {
    parameters_.socket_directory = server.options_.socket_directory;
    parameters_.port = server.options_.port;
    parameters_.cancel_fd = options.cancel_fd;
  }

  std::expected<client::Connection, StartError> Run() {
    milliseconds pause(0);
    while (true) {
      if (auto error = Pause(pause)) return std::unexpected(std::move(*error));
      if (MayAccept()) {
        auto connection = Connect();
        if (connection) return *std::move(connection);
        if (auto error = FinalErrorOf(connection.error())) return std::unexpected(std::move(*error));
      }
      if (auto error = TimeoutError()) return std::unexpected(std::move(*error));
      ReportProgress();
      pause = NextPause();
    }
  }

 private:
  static constexpr milliseconds kPatience{100};

  [[nodiscard]] milliseconds Waited() const { return std::chrono::duration_cast<milliseconds>(Clock::now() - start_); }

  // 1 ms at first; a recovery of minutes is not watched a thousand times a second.
  [[nodiscard]] milliseconds NextPause() const {
    if (Waited() < milliseconds(1000)) return milliseconds(1);
    return blind_ ? milliseconds(100) : milliseconds(5);
  }

  // Sleeps, unless the server ends or the caller cancels meanwhile.
  std::optional<StartError> Pause(milliseconds pause) {
    std::array<pollfd, 2> polled{pollfd{server_.pidfd(), POLLIN, 0}, pollfd{options_.cancel_fd, POLLIN, 0}};
    if (::poll(polled.data(), polled.size(), static_cast<int>(pause.count())) <= 0) return std::nullopt;
    if (polled[1].revents != 0) return Cancelled();
    return EndedError();
  }

  bool MayAccept() {
    const auto text = io::ReadWholeFile(server_.options_.data_directory + "/postmaster.pid", 1 << 16);
    blind_ = !text && text.error().code() != ErrorCode::kNotFound;
    if (blind_) return true;
    if (!text) return false;
    auto file = ParsePostmasterFile(*text);
    if (!file || file->pid != server_.pid()) return false;  // not written yet
    server_.postmaster_ = std::move(file);
    const std::string& status = server_.postmaster_->status;
    if (status != "ready" && status != "standby") return false;
    return status != refused_status_ || Waited() >= next_try_;
  }

  std::expected<client::Connection, client::ConnectError> Connect() {
    bool taken = false;
    parameters_.on_taken = nullptr;
    if (options_.on_taken && server_.postmaster_ && server_.postmaster_->status == "ready") {
      parameters_.on_taken = [this, &taken] {
        taken = true;
        options_.on_taken();
      };
    }
    auto connection = client::Connection::Connect(parameters_);
    if (!connection && taken && options_.on_lost) options_.on_lost();
    return connection;
  }

  // An error unless trying again can help.
  std::optional<StartError> FinalErrorOf(const client::ConnectError& error) {
    switch (error.failure()) {
      case client::ConnectFailure::kNotYet:
        last_refusal_ = error.message();
        if (server_.postmaster_) refused_status_ = server_.postmaster_->status;
        next_try_ = Waited() + kPatience;
        return std::nullopt;
      case client::ConnectFailure::kRoleOrDatabase:
        return StartError(Error(error.code(), "could not connect to database \"" + parameters_.database +
                                                  "\" as role \"" + parameters_.user + "\": " + error.message()),
                          StartProblem::kRoleOrDatabase);
      case client::ConnectFailure::kFatal:
        break;
    }
    if (error.code() == ErrorCode::kCancelled) return Cancelled();
    return Diagnose("the server runs but does not accept a connection to database \"" + parameters_.database + '"',
                    "FATAL:  " + error.message());
  }

  static StartError Cancelled() {
    return {Error(ErrorCode::kCancelled, "waiting for the server was cancelled"), StartProblem::kCancelled};
  }

  StartError EndedError() {
    const auto status = server_.TryWait();
    std::string what = "the server ended";
    if (status && *status && (*status)->signal != 0) {
      what += std::string(" by signal ") + ::strsignal((*status)->signal);
    } else if (status && *status) {
      what += " with exit status " + std::to_string((*status)->code);
    }
    return Diagnose(what, server_.Log());
  }

  std::optional<StartError> TimeoutError() {
    if (!options_.timeout || Waited() < *options_.timeout) return std::nullopt;
    std::string message = "the server was not ready after " + std::to_string(options_.timeout->count()) + " ms";
    if (!last_refusal_.empty()) message += " (" + last_refusal_ + ')';
    const std::string line = LastLogLine();
    if (!line.empty()) message += "; the last line of its log is \"" + line + '"';
    return StartError(Error(ErrorCode::kUnavailable, std::move(message)), StartProblem::kTimeout);
  }

  [[nodiscard]] std::string LastLogLine() const {
    const std::string log = server_.Log();
    std::string_view last;
    for (const auto line : SplitLines(log)) {
      if (!TrimWhitespace(line).empty()) last = TrimWhitespace(line);
    }
    return std::string(last);
  }

  void ReportProgress() {
    constexpr milliseconds kInterval(500);
    if (!options_.progress || Waited() < next_report_) return;
    options_.progress(Waited(), LastLogLine());
    next_report_ = Waited() + kInterval;
  }

  Server& server_;
  client::ConnectionParameters parameters_;
  const WaitOptions& options_;
  const Clock::time_point start_ = Clock::now();
  milliseconds next_report_{500};
  bool blind_ = false;  // postmaster.pid cannot be read
  std::string last_refusal_;
  std::string refused_status_;  // what postmaster.pid said then
  milliseconds next_try_{0};    // for as long as it says the same
};

std::expected<client::Connection, StartError> WaitUntilReady(Server& server, client::ConnectionParameters parameters,
                                                             const WaitOptions& options) {
  static_cast<void>(client::LoadLibpq());  // while the server starts; what is wrong with it, Connect says
  return ReadinessWait(server, std::move(parameters), options).Run();
}

}  // namespace pgstrata::instance
