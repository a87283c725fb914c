#include "tests/e2e/traps.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::test {
namespace {

namespace fs = std::filesystem;

std::string WithoutLastNewline(const std::string& text) { return text.substr(0, text.find_last_not_of('\n') + 1); }

constexpr const char* kScriptHead =
    "PATH=$PG_BIN:$PATH; sql() { psql -XAtq -v ON_ERROR_STOP=1 -c \"$1\"; }; MNT=$(sql 'show data_directory'); ";

}  // namespace

Listener::Listener() {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): the sockets interface
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (socket_ < 0 || ::bind(socket_, generic, size) != 0 || ::listen(socket_, 16) != 0 ||
      ::getsockname(socket_, generic, &size) != 0) {
    throw std::runtime_error("could not listen on loopback");
  }
  port_ = ntohs(address.sin_port);
}

Listener::~Listener() { ::close(socket_); }

int Listener::TakeConnections() {
  int count = 0;
  for (int peer = 0; (peer = ::accept(socket_, nullptr, nullptr)) >= 0; ::close(peer)) ++count;
  return count;
}

io::Captured Traps::Open(const std::string& source, const std::string& sql, const std::vector<std::string>& arguments,
                         const io::Environment& environment) {
  std::vector<std::string> all = {"open", source};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.insert(all.end(), {"-c", sql, "--", "-XAtq", "-v", "ON_ERROR_STOP=1"});
  auto run = program_.Run(all, environment);
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_EQ(program_.Leftovers(), "");
  return run;
}

std::string Traps::Query(const std::string& source, const std::string& sql, const std::vector<std::string>& arguments,
                         const io::Environment& environment) {
  return WithoutLastNewline(Open(source, sql, arguments, environment).standard_output);
}

std::string Traps::Script(const std::string& source, const std::string& script,
                          const std::vector<std::string>& arguments, const io::Environment& environment) {
  std::vector<std::string> all = {"open", source};
  all.insert(all.end(), arguments.begin(), arguments.end());
  all.insert(all.end(), {"--exec", "--", "/bin/sh", "-ec", kScriptHead + script});
  const auto run = program_.Run(all, environment);
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
  EXPECT_EQ(program_.Leftovers(), "");
  return WithoutLastNewline(run.standard_output);
}

std::string Traps::Failure(const std::string& source, int status, const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"open", source, "-c", "select 1"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const auto run = program_.Run(all);
  EXPECT_EQ(run.status.AsShell(), status) << run.standard_error;
  EXPECT_EQ(run.standard_output, "");
  EXPECT_EQ(program_.Leftovers(), "");
  return run.standard_error;
}

std::string Traps::Settings(const std::string& source, const std::vector<std::string>& names,
                            const std::vector<std::string>& arguments) {
  std::string sql = "select concat_ws(' '";
  for (const auto& name : names) sql += ", '" + name + "=' || current_setting('" + name + "')";
  return Query(source, sql + ")", arguments);
}

uint64_t Traps::LayerBytesAfter(const std::string& source, const std::string& sql) {
  // fsync of a file brings what the kernel still holds of it into the layer.
  Script(source, "sql \"$SQL\" > /dev/null; sql checkpoint; find \"$MNT\" -type f -exec sync {} +",
         {"-q", "--json", Path("report.json")}, {{"SQL", sql}});
  const auto report = codec::ParseJson(io::ReadWholeFile(Path("report.json")).value_or(""));
  return report ? report->at("layer_bytes").get<uint64_t>() : 0;
}

std::string Traps::Copy(const std::string& source, const std::string& name) const {
  CopyTree(source, Path(name));
  return Path(name);
}

void Append(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::app) << text << '\n'; }

std::string BackupByHand(const PostgresCluster& cluster, const std::string& path, const std::string& meanwhile) {
  auto connection = cluster.Connect();
  const auto value = [&](const std::string& sql) {
    auto rows = connection.Query(sql);
    if (!rows) throw std::runtime_error(rows.error().message());
    return rows->empty() ? "" : rows->front().front().value_or("");
  };
  value("select pg_backup_start('by hand', true)");
  CopyTree(cluster.data_directory(), path);
  cluster.Psql(meanwhile);
  fs::remove(path + "/postmaster.pid");
  fs::remove(path + "/global/pg_control");
  CopyTree(cluster.data_directory() + "/global/pg_control", path + "/global/pg_control");
  const std::string label = value("select labelfile from pg_backup_stop(false)");
  std::ofstream(path + "/backup_label") << label;
  GiveToPostgres(path + "/backup_label");
  fs::remove_all(path + "/pg_wal");
  CopyTree(cluster.data_directory() + "/pg_wal", path + "/pg_wal");
  return path;
}

std::string StoppedStandby(const std::string& source, const std::string& path,
                           const std::vector<std::string>& configuration) {
  PostgresCluster standby({.configuration = configuration, .copy_of = source});
  Append(standby.data_directory() + "/standby.signal", "");
  standby.Start({"-c", "hot_standby=on", "-c", "archive_mode=off", "-c", "restore_command=", "-c",
                 "primary_conninfo=", "-c", "shared_preload_libraries="});
  standby.Stop();
  CopyTree(standby.data_directory(), path);
  return path;
}

std::vector<std::string> SegmentsIn(const std::string& directory) {
  constexpr size_t kLength = 24;
  std::vector<std::string> segments;
  const auto names = io::ListDirectory(directory);
  for (const auto& name : *names) {
    if (name.size() == kLength) segments.push_back(name);
  }
  return segments;
}

}  // namespace pgstrata::test
