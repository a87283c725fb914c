#include "bench/direct_server.h"

#include <stdexcept>

#include "foundation/base/clock.h"
#include "foundation/io/directory.h"
#include "postgres/instance/server.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {
namespace {

constexpr int kDirectPort = 5432;

instance::Server Start(const OpenConfiguration& configuration, const std::string& data_directory) {
  const std::string& own = configuration.directory();
  instance::Settings settings;
  settings.Set("hba_file", configuration.access_file())
      .Set("ident_file", own + "/pg_ident.conf")
      .Set("external_pid_file", own + "/server.pid");
  return Must(instance::Server::Start({.bin_directory = test::PostgresBin(),
                                       .data_directory = data_directory,
                                       .config_file = configuration.file(),
                                       .log_file = own + "/server.log",
                                       .socket_directory = own,
                                       .port = kDirectPort,
                                       .user = test::PostgresUser(),
                                       .settings = std::move(settings),
                                       .stop_when_parent_dies = true}));
}

void WaitUntilReady(instance::Server& server, const std::string& socket_directory) {
  const auto connection = instance::WaitUntilReady(
      server, {.socket_directory = socket_directory, .port = kDirectPort, .database = "postgres", .user = "postgres"});
  if (!connection) throw std::runtime_error(connection.error().message());
}

}  // namespace

OpenConfiguration::OpenConfiguration(const std::string& program, const std::string& home, const std::string& source,
                                     const std::string& directory)
    : directory_(directory) {
  const std::string script =
      "d=$(dirname \"$(\"$1\" -XAtc 'show config_file')\") && cp -- \"$d/postgresql.conf\" "
      "\"$d/pg_hba.conf\" \"$d/pg_ident.conf\" \"$2\"";
  io::Environment environment = io::CurrentEnvironment();
  environment["PGSTRATA_HOME"] = home;
  RunProgram({.argv = {program, "open", "-q", source, "--exec", "--", "sh", "-c", script, "sh",
                       test::PostgresProgram("psql"), directory},
              .environment = environment});
  for (const std::string& name : Must(io::ListDirectory(directory))) test::GiveToPostgres(directory + '/' + name);
}

ProgramRun RunDirectly(const OpenConfiguration& configuration, const std::string& data_directory,
                       const std::vector<std::string>& arguments, Ending ending) {
  std::vector<std::string> argv = {test::PostgresProgram("psql")};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  io::Environment environment = io::CurrentEnvironment();
  environment["PGHOST"] = configuration.directory();
  environment["PGPORT"] = std::to_string(kDirectPort);
  environment["PGUSER"] = environment["PGDATABASE"] = "postgres";
  const double cpu_before = ChildrenCpuMs();
  const Stopwatch watch;
  instance::Server server = Start(configuration, data_directory);
  WaitUntilReady(server, configuration.directory());
  const double ready_ms = watch.milliseconds();
  ProgramRun run = RunProgram({.argv = argv, .environment = environment});
  run.first_output_ms += ready_ms;
  if (ending == Ending::kAtOnce) Must(instance::StopServer(server, instance::StopMode::kImmediate));
  run.whole.wall_ms = watch.milliseconds();
  if (ending == Ending::kCleanly) {
    Must(instance::StopServer(server, instance::StopMode::kFast, std::chrono::minutes(1)));
  }
  run.whole.cpu_ms = ChildrenCpuMs() - cpu_before;
  return run;
}

}  // namespace pgstrata::bench
