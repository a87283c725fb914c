#include "branch/branch/psql.h"

#include <fmt/core.h>

#include <cstdlib>

#include "foundation/io/directory.h"

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

Status WritePsqlrc(const Session& session, std::string_view source_name) {
  std::string psqlrc;
  if (const std::string own = UsersOwnPsqlrc(); !own.empty() && io::Exists(own)) {
    psqlrc += "\\i " + QuoteMetaCommandArgument(own) + '\n';
  }
  const std::string prompt = QuoteMetaCommandArgument(EscapePrompt(source_name) + " %/%R%x%# ");
  psqlrc += fmt::format("\\set PROMPT1 {0}\n\\set PROMPT2 {0}\n", prompt);
  return session.directory().WriteFile("psqlrc", psqlrc);
}

Result<std::vector<std::string>> PsqlCommand(const Session& session) {
  const std::string& psql = session.installation().psql;
  if (!psql.empty()) return std::vector{psql};
  return std::unexpected(Error(ErrorCode::kUnavailable, "psql is not installed")
                             .WithHint("install postgresql-client, or use --exec or --shell with another client"));
}

}  // namespace pgstrata::branch
