#include "branch/branch/cluster_server.h"

#include <fmt/core.h>
#include <unistd.h>

#include <utility>

#include "branch/branch/post_start.h"
#include "branch/branch/server_settings.h"
#include "foundation/base/text.h"
#include "foundation/io/file.h"

namespace pgstrata::branch {

Login GuessLogin(int major_version, bool settled, const std::string& database, const ClusterFileReader& read) {
  return ChooseLogin(major_version, settled, database, read)
      .value_or(Login{.role = "postgres", .database = database.empty() ? "postgres" : database});
}

Result<ClusterServer> ClusterServer::Start(ServerRequest request, ServerEvents events) {
  ClusterServer cluster;
  PGS_ASSIGN(cluster.server_,
             instance::Server::Start({.bin_directory = request.bin_directory,
                                      .data_directory = request.data_directory,
                                      .config_file = request.config_file,
                                      .log_file = request.log_file,
                                      .socket_directory = request.socket_directory,
                                      .port = kServerPort,
                                      .user = ::geteuid() == 0 ? std::optional(request.owner) : std::nullopt,
                                      .settings = request.settings,
                                      .without_network = !request.allow_network,
                                      .may_write_only = request.may_write_only,
                                      .stop_when_parent_dies = request.ends_with_command,
                                      .keep_open = request.keep_open}));
  cluster.request_ = std::move(request);
  cluster.events_ = std::move(events);
  cluster.login_ = cluster.own_login_ = cluster.request_.first_login;
  cluster.WarnOfFreedom();
  return cluster;
}

void ClusterServer::WarnOfFreedom() {
  if (!request_.allow_network && !server_.isolated()) {
    events_.warning("the server shares this machine's network (without one: " + server_.why_not_isolated() +
                    "; pgstrata doctor tells more): extensions and programs that it runs could reach other servers");
  }
  if (!server_.confined() && request_.replays) {
    events_.warning(
        "what the server writes cannot be confined on this machine (pgstrata doctor tells why): if the WAL to be "
        "replayed creates a tablespace, that reaches the place where production has it");
  }
}

client::ConnectionParameters ClusterServer::Parameters(const Login& login) const {
  return {.socket_directory = request_.socket_directory,
          .port = kServerPort,
          .database = login.database,
          .user = login.role,
          // Workers of a parallel query could not start while the server holds its connections.
          .options = ClientOptions(login.superuser) + " -c max_parallel_workers_per_gather=0",
          .cancel_fd = events_.cancel_fd};
}

std::expected<void, instance::StartError> ClusterServer::AwaitLogin() {
  const instance::WaitOptions options{
      .cancel_fd = events_.cancel_fd,
      .progress =
          [this](std::chrono::milliseconds waited, std::string_view line) {
            if (events_.takes_long) events_.takes_long();
            events_.progress(
                fmt::format("recovering for {:.1f} s: {}", static_cast<double>(waited.count()) / 1000, line));
          },
      .on_taken = events_.on_taken,
      .on_lost = events_.on_lost};
  auto connection = instance::WaitUntilReady(server_, Parameters(own_login_), options);
  if (!connection && connection.error().problem() == instance::StartProblem::kRoleOrDatabase) {
    // Recovery may have brought another truth than the files held before.
    const auto login = ChooseLogin(request_.major_version, true, request_.database, [this](std::string_view path) {
      return io::ReadWholeFile(JoinPath(request_.data_directory, path));
    });
    if (login && (login->role != own_login_.role || login->database != own_login_.database)) {
      login_ = own_login_ = *login;
      connection = instance::WaitUntilReady(server_, Parameters(own_login_), options);
    }
  }
  if (!connection) return std::unexpected(std::move(connection).error());
  connection_ = *std::move(connection);
  return {};
}

Status ClusterServer::MakeReady() {
  if (own_login_.superuser) {
    PGS_ASSIGN(const auto report, CheckAfterStart(*connection_, request_.no_text_index));
    for (const auto& warning : report.warnings) events_.warning(warning);
  } else {
    events_.warning("role \"" + own_login_.role +
                    "\" is no superuser, and no superuser can log in: subscriptions, prepared transactions and "
                    "collations were not looked at");
  }
  PGS_TRY(ChooseClientLogin());
  Disconnect();
  return {};
}

Status ClusterServer::ChooseClientLogin() {
  login_ = own_login_;
  if (request_.role.empty() || request_.role == own_login_.role) return {};
  login_.role = request_.role;
  PGS_ASSIGN(const auto rows,
             connection_->Query("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = $1", {request_.role}));
  login_.superuser = !rows.empty() && rows[0][0] == "t";
  if (own_login_.superuser && !login_.superuser) PGS_TRY(ForgetSessionLibraries(*connection_));
  PGS_TRY(client::Connection::Connect(Parameters(login_)));
  return {};
}

}  // namespace pgstrata::branch
