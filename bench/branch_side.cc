#include "bench/branch_side.h"

#include <filesystem>
#include <stdexcept>

#include "foundation/base/text.h"
#include "postgres/client/environment.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {
namespace {

constexpr int kPort = 5432;

// "export PGHOST='/run/x'", one a line, as `branch env` says it for a shell.
void ApplyExports(std::string_view text, io::Environment& environment) {
  constexpr std::string_view kExport = "export ";
  for (std::string_view line : SplitLines(text)) {
    if (!line.starts_with(kExport)) continue;
    line.remove_prefix(kExport.size());
    const size_t equals = line.find('=');
    if (equals == line.npos) continue;
    std::string value(line.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '\'' && value.back() == '\'') value = value.substr(1, value.size() - 2);
    environment[std::string(line.substr(0, equals))] = value;
  }
}

io::Environment WithoutServers() {
  io::Environment environment = io::CurrentEnvironment();
  client::RemoveLibpqEnvironment(environment);
  return environment;
}

}  // namespace

ProgramRun BranchHome::Run(const std::vector<std::string>& arguments) const {
  std::vector<std::string> argv = {program, "branch"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  io::Environment environment = WithoutServers();
  environment["PGSTRATA_HOME"] = home;
  if (user) environment["HOME"] = user->home;
  return RunProgram({.argv = argv, .environment = environment, .user = user});
}

Endpoint BranchHome::Start(const std::string& name, const std::string& source,
                           const std::vector<std::string>& parameters,
                           const std::vector<std::string>& create_arguments) const {
  std::vector<std::string> create = {"create", name, "--from", source};
  create.insert(create.end(), create_arguments.begin(), create_arguments.end());
  Run(create);
  for (const auto& parameter : parameters) Run({"set", name, parameter});
  Run({"start", name});
  return EndpointOf(name);
}

Endpoint BranchHome::EndpointOf(const std::string& name) const {
  Endpoint endpoint{.environment = WithoutServers()};
  ApplyExports(Run({"env", name}).output, endpoint.environment);
  return endpoint;
}

void BranchHome::Drop(const std::string& name) const {
  Run({"stop", name});
  Run({"drop", name, "--force"});
}

NativeServer::NativeServer(const Endpoint& like, std::string data_directory, std::string directory)
    : directory_(std::move(directory)) {
  for (const char* setting : {"config_file", "hba_file", "ident_file"}) {
    const std::filesystem::path file = Ask(like, std::string("SHOW ") + setting);
    const std::string copy = directory_ + '/' + file.filename().string();
    std::filesystem::copy_file(file, copy);
    test::GiveToPostgres(copy);
  }
  instance::Settings settings;
  settings.Set("hba_file", directory_ + "/pg_hba.conf")
      .Set("ident_file", directory_ + "/pg_ident.conf")
      .Set("external_pid_file", directory_ + "/server.pid");
  server_ = Must(instance::Server::Start({.bin_directory = test::PostgresBin(),
                                          .data_directory = std::move(data_directory),
                                          .config_file = directory_ + "/postgresql.conf",
                                          .log_file = directory_ + "/server.log",
                                          .socket_directory = directory_,
                                          .port = kPort,
                                          .user = test::PostgresUser(),
                                          .settings = std::move(settings),
                                          .stop_when_parent_dies = true}));
  const auto connection = instance::WaitUntilReady(
      server_, {.socket_directory = directory_, .port = kPort, .database = "postgres", .user = "postgres"});
  if (!connection) throw std::runtime_error(connection.error().message());
}

NativeServer::~NativeServer() {
  static_cast<void>(instance::StopServer(server_, instance::StopMode::kFast, std::chrono::minutes(1)));
}

Endpoint NativeServer::endpoint() const {
  Endpoint endpoint{.environment = WithoutServers()};
  endpoint.environment["PGHOST"] = directory_;
  endpoint.environment["PGPORT"] = std::to_string(kPort);
  endpoint.environment["PGUSER"] = endpoint.environment["PGDATABASE"] = "postgres";
  return endpoint;
}

}  // namespace pgstrata::bench
