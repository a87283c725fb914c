#include "branch/branch/psql.h"

#include <fmt/core.h>

#include <cstdlib>

#include "branch/branch/cluster_server.h"
#include "branch/branch/server_settings.h"
#include "foundation/io/directory.h"
#include "postgres/client/environment.h"

namespace pgstrata::branch {
namespace {

// psql's prompt language: "%" starts an escape.
std::string EscapePrompt(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '%') escaped += '%';
    escaped += c;
  }
  return escaped;
}

std::string QuoteMetaCommandArgument(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c == '\'' ? '\'' : '\\';
    quoted += c;
  }
  return quoted + '\'';
}

std::string UsersOwnPsqlrc() {
  if (const char* named = std::getenv("PSQLRC"); named != nullptr) return named;
  const char* home = std::getenv("HOME");
  return home != nullptr ? std::string(home) + "/.psqlrc" : "";
}

}  // namespace

io::Environment ConnectionEnvironment(const std::string& socket_directory, const Login& login) {
  return {{"PGHOST", socket_directory},
          {"PGPORT", std::to_string(kServerPort)},
          {"PGDATABASE", login.database},
          {"PGUSER", login.role},
          {"PGOPTIONS", ClientOptions(login.superuser)}};
}

io::Environment ClientEnvironment(const std::string& socket_directory, const Login& login) {
  io::Environment environment = io::CurrentEnvironment();
  client::RemoveLibpqEnvironment(environment);
  environment.merge(ConnectionEnvironment(socket_directory, login));
  return environment;
}

std::string PsqlrcText(std::string_view name) {
  std::string psqlrc;
  if (const std::string own = UsersOwnPsqlrc(); !own.empty() && io::Exists(own)) {
    psqlrc += "\\i " + QuoteMetaCommandArgument(own) + '\n';
  }
  const std::string prompt = QuoteMetaCommandArgument(EscapePrompt(name) + " %/%R%x%# ");
  return psqlrc + fmt::format("\\set PROMPT1 {0}\n\\set PROMPT2 {0}\n", prompt);
}

Result<std::vector<std::string>> PsqlCommand(const instance::Installation& installation) {
  if (!installation.psql.empty()) return std::vector{installation.psql};
  return std::unexpected(Error(ErrorCode::kUnavailable, "psql is not installed")
                             .WithHint("install postgresql-client, or use --exec or --shell with another client"));
}

}  // namespace pgstrata::branch
