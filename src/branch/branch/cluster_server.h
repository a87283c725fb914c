// A server on a mounted cluster, from its start until the client's login is known: what `open` and kept branches share.
#pragma once

#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "branch/branch/login.h"
#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "postgres/client/connection.h"
#include "postgres/instance/installation.h"
#include "postgres/instance/server.h"

namespace pgstrata::branch {

inline constexpr int kServerPort = 5432;  // the number in the socket's name; nothing listens on a network

struct ServerRequest {
  std::string bin_directory;
  int major_version = 0;
  io::UserIdentity owner;
  std::string data_directory;  // the mountpoint
  std::string config_file;
  std::string log_file;
  std::string socket_directory;
  std::vector<std::string> may_write_only;  // as in instance::ServerOptions
  instance::Settings settings;              // by -c
  std::vector<int> keep_open;               // as in instance::ServerOptions
  bool allow_network = false;
  bool ends_with_command = false;
  bool replays = false;        // WAL is replayed at the start
  bool no_text_index = false;  // as for CheckAfterStart
  std::string database;        // the user's wish, or empty
  std::string role;            // likewise
  Login first_login;           // see GuessLogin
};

struct ServerEvents {
  std::function<void(const std::string&)> warning;
  std::function<void(const std::string&)> progress;  // long waits only: recovery
  int cancel_fd = -1;                                // readable: give up
  // Optional. Called when a start takes long, and as instance::WaitOptions does.
  std::function<void()> takes_long;
  std::function<void()> on_taken;
  std::function<void()> on_lost;
};

// A login for the first connection, from files that recovery may yet prove wrong. `read` as for ChooseLogin.
Login GuessLogin(int major_version, bool settled, const std::string& database, const ClusterFileReader& read);

// Move-only; destruction ends the server at once, unless it was released.
class ClusterServer {
 public:
  ClusterServer() = default;
  // Starts postgres; returns before it is ready.
  static Result<ClusterServer> Start(ServerRequest request, ServerEvents events);
  // Waits until a connection of our own stands. Its errors are the server's own words.
  std::expected<void, instance::StartError> AwaitLogin();
  // The looks of CheckAfterStart, as far as a superuser can log in, and the client's login. Our own connection is
  // closed then.
  Status MakeReady();

  // What our own connection uses: known once it stands.
  [[nodiscard]] const Login& own_login() const { return own_login_; }
  // The client's, after MakeReady; before, what it is unless the user asked for another role.
  [[nodiscard]] const Login& login() const { return login_; }
  instance::Server& server() { return server_; }
  [[nodiscard]] const instance::Server& server() const { return server_; }
  // Closes our own connection, if it stands.
  void Disconnect() { connection_.reset(); }

 private:
  [[nodiscard]] client::ConnectionParameters Parameters(const Login& login) const;
  void WarnOfFreedom();
  Status ChooseClientLogin();

  ServerRequest request_;
  ServerEvents events_;
  Login own_login_;  // for what we do ourselves: a superuser's, where one can log in
  Login login_;
  instance::Server server_;
  std::optional<client::Connection> connection_;
};

}  // namespace pgstrata::branch
