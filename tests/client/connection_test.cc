#include "postgres/client/connection.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "foundation/io/fd.h"
#include "postgres/client/environment.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::client {
namespace {

using test::PostgresCluster;

// A listener on loopback that stands for production: nobody may knock.
class LoopbackListener {
 public:
  LoopbackListener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (!fd_.valid()) throw std::runtime_error("no socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(fd_.get(), 8), 0);
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] bool WasContacted() const {
    pollfd polled{fd_.get(), POLLIN, 0};
    return ::poll(&polled, 1, 0) > 0;
  }

 private:
  io::UniqueFd fd_;
  int port_ = 0;
};

TEST(Connection, AStatementEndsWhenItIsCancelled) {
  PostgresCluster cluster;
  cluster.Start();
  const io::UniqueFd cancel(::eventfd(0, EFD_CLOEXEC));
  ConnectionParameters parameters = cluster.Parameters();
  parameters.cancel_fd = cancel.get();
  auto connection = Connection::Connect(parameters);
  ASSERT_TRUE(connection.has_value()) << connection.error().message();
  EXPECT_EQ(connection->QueryValue("select 1; select 2").value_or("?"), "2");
  const auto failed = connection->Query("select 1; select 1/0; select 2");
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().sqlstate(), "22012");
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    ::eventfd_write(cancel.get(), 1);
  });
  const auto cancelled = connection->Query("select pg_sleep(60)");
  canceller.join();
  ASSERT_FALSE(cancelled.has_value());
  EXPECT_EQ(cancelled.error().code(), ErrorCode::kCancelled);
}

TEST(Connection, InheritedVariablesDoNotDirectIt) {
  PostgresCluster cluster;
  cluster.Start();
  const LoopbackListener production;
  const std::string service_file = cluster.directory().WriteFile(
      "pg_service.conf",
      "[production]\nhost=127.0.0.1\nhostaddr=127.0.0.1\nport=" + std::to_string(production.port()) + '\n');
  ASSERT_EQ(::chmod(service_file.c_str(), 0644), 0);
  ::setenv("PGHOSTADDR", "127.0.0.1", 1);
  ::setenv("PGPORT", std::to_string(production.port()).c_str(), 1);
  ::setenv("PGSERVICE", "production", 1);
  ::setenv("PGSERVICEFILE", service_file.c_str(), 1);
  ::setenv("PGSSLMODE", "require", 1);
  ::setenv("PGTARGETSESSIONATTRS", "standby", 1);
  ::setenv("PGCHANNELBINDING", "require", 1);
  ::setenv("PGREQUIREPEER", "nobody-at-all", 1);
  ::setenv("PGOPTIONS", "-c no_such_setting=1", 1);
  auto connection = Connection::Connect(cluster.Parameters());
  ASSERT_TRUE(connection.has_value()) << connection.error().message();
  EXPECT_EQ(connection->QueryValue("show data_directory").value_or("?"), cluster.data_directory());
  EXPECT_EQ(cluster.Psql("select 1"), "1");
  EXPECT_FALSE(production.WasContacted());
  EXPECT_EQ(std::getenv("PGSERVICE"), nullptr);
}

TEST(Connection, ReturnsRowsWithNulls) {
  PostgresCluster cluster;
  cluster.Start();
  auto connection = cluster.Connect();
  const auto rows = connection.Query("select i, nullif(i, 2) from generate_series(1, 2) i order by i");
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ(*rows, (Rows{{"1", "1"}, {"2", std::nullopt}}));
  EXPECT_EQ(connection.Query("select $1 || $2", {"a'", "b"})->at(0).at(0), "a'b");
  EXPECT_GE(connection.server_version(), 150000);
}

TEST(Connection, RefusedStatementCarriesSqlstateDetailAndHint) {
  PostgresCluster cluster;
  cluster.Start();
  auto connection = cluster.Connect();
  const auto missing = connection.Execute("select * from no_such_table");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().sqlstate(), "42P01");
  EXPECT_EQ(missing.error().message(), "relation \"no_such_table\" does not exist");
  const auto raised = connection.Execute(
      "do $$ begin raise exception 'no' using detail = 'why', hint = 'do', errcode = '53100'; end $$");
  ASSERT_FALSE(raised.has_value());
  EXPECT_EQ(raised.error().message(), "no: why");
  EXPECT_EQ(raised.error().hint(), "do");
  EXPECT_EQ(raised.error().code(), ErrorCode::kNoSpace);
  EXPECT_TRUE(connection.Execute("select 1").has_value());
  EXPECT_EQ(connection.QueryValue("select 1, 2").error().code(), ErrorCode::kInternal);
}

TEST(Connection, BrokenConnectionIsAnIoError) {
  PostgresCluster cluster;
  cluster.Start();
  auto connection = cluster.Connect();
  cluster.Kill();
  const auto query = connection.Query("select 1");
  ASSERT_FALSE(query.has_value());
  EXPECT_EQ(query.error().code(), ErrorCode::kIo);
  const auto again = Connection::Connect(cluster.Parameters());
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().failure(), ConnectFailure::kNotYet) << again.error().message();
}

TEST(Connection, UnknownRoleAndDatabaseAreToldApartFromOtherFailures) {
  PostgresCluster cluster;
  cluster.Start();
  cluster.Psql("create role sleeper nologin");
  cluster.Psql("create database closed allow_connections false");
  auto parameters = cluster.Parameters("no_such_database");
  auto failed = Connection::Connect(parameters);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().failure(), ConnectFailure::kRoleOrDatabase);
  EXPECT_EQ(failed.error().sqlstate(), "3D000");
  EXPECT_EQ(failed.error().message(), "database \"no_such_database\" does not exist");
  parameters = cluster.Parameters("closed");
  EXPECT_EQ(Connection::Connect(parameters).error().failure(), ConnectFailure::kRoleOrDatabase);
  parameters = cluster.Parameters();
  for (const char* role : {"sleeper", "nobody_here"}) {
    parameters.user = role;
    EXPECT_EQ(Connection::Connect(parameters).error().failure(), ConnectFailure::kRoleOrDatabase) << role;
  }
  parameters = cluster.Parameters();
  parameters.options = "-c no_such_setting=1";
  failed = Connection::Connect(parameters);
  EXPECT_EQ(failed.error().failure(), ConnectFailure::kFatal) << failed.error().message();
}

TEST(Connection, MissingSocketMeansNotYet) {
  const test::TemporaryDirectory directory;
  const auto failed = Connection::Connect({.socket_directory = directory.path()});
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().failure(), ConnectFailure::kNotYet);
  EXPECT_EQ(failed.error().message(), "No such file or directory");
}

TEST(Connection, SilentServerEndsTheAttemptAtItsTimeoutOrWhenCancelled) {
  const test::TemporaryDirectory directory;
  const io::UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_TRUE(listener.valid());
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  directory.Path(".s.PGSQL.5432").copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  ConnectionParameters parameters{.socket_directory = directory.path(), .timeout = std::chrono::milliseconds(50)};
  EXPECT_EQ(Connection::Connect(parameters).error().failure(), ConnectFailure::kNotYet);
  std::array<int, 2> cancel{};
  ASSERT_EQ(::pipe(cancel.data()), 0);
  const io::UniqueFd read_end(cancel[0]);
  const io::UniqueFd write_end(cancel[1]);
  ASSERT_EQ(::write(write_end.get(), "x", 1), 1);
  parameters.timeout = std::chrono::seconds(30);
  parameters.cancel_fd = read_end.get();
  EXPECT_EQ(Connection::Connect(parameters).error().code(), ErrorCode::kCancelled);
}

TEST(Quoting, QuotedValuesComeBackAsTheyWere) {
  PostgresCluster cluster;
  cluster.Start();
  auto connection = cluster.Connect();
  for (const std::string text : {"plain", "it's", "a\"b", "back\\slash'", "ünï", "line\nbreak", "$1; drop"}) {
    EXPECT_EQ(connection.QueryValue("select" + QuoteLiteral(text)).value_or("?"), text);
  }
}

}  // namespace
}  // namespace pgstrata::client
