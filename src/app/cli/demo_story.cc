#include "app/cli/demo_story.h"

#include <fmt/core.h>
#include <fmt/ostream.h>
#include <unistd.h>

#include <ostream>

#include "backup/source/source.h"
#include "branch/branch/psql.h"
#include "branch/branch/session.h"
#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/client/environment.h"
#include "postgres/instance/installation.h"
#include "postgres/instance/server.h"

namespace pgstrata::cli {
namespace {

constexpr std::string_view kMakeOrders =
    "CREATE TABLE orders AS SELECT i AS id, 'customer ' || i % 1000 AS customer, (i * 7) % 10000 / 100.0 AS amount "
    "FROM generate_series(1, 200000) i; ALTER TABLE orders ADD PRIMARY KEY (id)";
constexpr std::string_view kMakeOthers =
    "CREATE TABLE history AS SELECT i AS id, repeat(md5(i::text), 20) AS event FROM generate_series(1, 150000) i";
constexpr std::string_view kSumOrders = "SELECT count(*) || ' orders, ' || sum(amount) || ' in all' FROM orders";

class Demo {
 public:
  Demo(const DemoRequest& request, Output& output) : request_(request), output_(output) {}
  ~Demo() {
    server_ = {};
    if (!directory_.empty()) static_cast<void>(io::RemoveTree(directory_));
  }
  Demo(const Demo&) = delete;
  Demo& operator=(const Demo&) = delete;

  Status Tell() {
    PGS_TRY(Prepare());
    PGS_TRY(MakeProduction());
    PGS_TRY(TakeBackup());
    PGS_TRY(DropTable());
    PGS_TRY(OpenBackup());
    PGS_TRY(CopyBack());
    PGS_TRY(Close());
    Say("production has its rows back, and the backup is as it was");
    return {};
  }

 private:
  Status Prepare() {
    instance::InstallationSearch search;
    if (!request_.pg_bin.empty()) search.pg_bin = request_.pg_bin;
    const auto all = instance::ListInstallations(search);
    if (all.empty()) {
      return std::unexpected(Error(ErrorCode::kUnavailable, "no PostgreSQL server program was found")
                                 .WithHint("apt-get install postgresql-15, or name the programs with --pg-bin"));
    }
    installation_ = all.front();
    if (::geteuid() == 0) {
      PGS_ASSIGN(user_, io::FindUser(request_.user));
    } else {
      PGS_ASSIGN(user_, io::CurrentUser());
    }
    std::string pattern = "/tmp/pgstrata-demo-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return FailErrno("could not create \"" + pattern + '"');
    directory_ = pattern;
    return io::ChangeOwner(directory_, user_.uid, user_.gid);
  }

  Status MakeProduction() {
    const Stopwatch watch;
    PGS_TRY(Run({installation_.Program("initdb"), "-D", Production(), "-U", "postgres", "--no-sync", "--auth=trust"}));
    PGS_ASSIGN(server_, instance::Server::Start({.bin_directory = installation_.bin_directory,
                                                 .data_directory = Production(),
                                                 .log_file = directory_ + "/server.log",
                                                 .socket_directory = directory_,
                                                 .user = SpawnUser(),
                                                 .stop_when_parent_dies = true}));
    auto connection = instance::WaitUntilReady(server_, {});
    if (!connection) return std::unexpected(std::move(connection).error());
    production_ = *std::move(connection);
    PGS_TRY(production_->Execute(std::string(kMakeOrders)));
    PGS_TRY(production_->Execute(std::string(kMakeOthers)));
    PGS_ASSIGN(const std::string size,
               production_->QueryValue("SELECT pg_size_pretty(sum(pg_database_size(oid))) FROM pg_database"));
    PGS_ASSIGN(const std::string orders, production_->QueryValue(std::string(kSumOrders)));
    Step("made a small production cluster: " + orders + "; " + size, watch);
    return {};
  }

  Status TakeBackup() {
    const Stopwatch watch;
    PGS_TRY(Run({installation_.Program("pg_basebackup"), "-h", directory_, "-U", "postgres", "-D", Backup(), "-c",
                 "fast", "--no-sync"}));
    Step("took a base backup: " + Backup(), watch);
    return {};
  }

  Status DropTable() {
    const Stopwatch watch;
    PGS_TRY(production_->Execute("DROP TABLE orders"));
    Step("production: DROP TABLE orders, and nobody meant to", watch);
    return {};
  }

  Status OpenBackup() {
    const Stopwatch watch;
    PGS_ASSIGN(auto source, source::Resolve({.source = Backup()}));
    const branch::OpenEvents events{.warning = [this](const std::string& text) { Say("warning: " + text); },
                                    .progress = [](const std::string&) {}};
    PGS_ASSIGN(
        session_,
        branch::Session::Open(
            {.image = std::move(source.image), .wal_archives = {}, .pg_bin = request_.pg_bin, .user = request_.user},
            events));
    PGS_ASSIGN(auto argv, branch::PsqlCommand(*session_, "backup"));
    argv.insert(argv.end(), {"-XAtc", std::string(kSumOrders)});
    PGS_ASSIGN(const auto run, io::RunAndCapture({.argv = argv, .environment = session_->ClientEnvironment()}));
    Step("opened the backup and asked it: " + std::string(TrimWhitespace(run.standard_output)), watch);
    Say(fmt::format("  {} were copied for that, of {} in the backup", FormatBytes(session_->LayerBytes()),
                    FormatBytes(io::AllocatedBytes(Backup()).value_or(0))));
    return {};
  }

  // What a user types: pgstrata open BACKUP --exec -- pg_dump -t orders | psql
  Status CopyBack() {
    const Stopwatch watch;
    const std::string dump = directory_ + "/orders.sql";
    PGS_TRY(Run({installation_.Program("pg_dump"), "-h", session_->directory().socket_directory(), "-U", "postgres",
                 "-t", "orders", "-f", dump, "postgres"}));
    PGS_TRY(Run({installation_.Program("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-h", directory_, "-U", "postgres",
                 "-o", "/dev/null", "-f", dump, "postgres"}));
    PGS_ASSIGN(const std::string orders, production_->QueryValue(std::string(kSumOrders)));
    PGS_ASSIGN(const auto status, io::StatTarget(dump));
    Step(fmt::format("copied the table back with pg_dump and psql ({}): {}",
                     FormatBytes(static_cast<uint64_t>(status.st_size)), orders),
         watch);
    return {};
  }

  Status Close() {
    const Stopwatch watch;
    PGS_TRY(session_->Close());
    Step("closed the opened backup: its changes are gone", watch);
    production_.reset();
    return instance::StopServer(server_, instance::StopMode::kFast);
  }

  Status Run(const std::vector<std::string>& argv) {
    io::Environment environment = io::CurrentEnvironment();
    client::RemoveLibpqEnvironment(environment);
    PGS_ASSIGN(const auto run,
               io::RunAndCapture(
                   {.argv = argv, .environment = environment, .user = SpawnUser(), .working_directory = directory_}));
    if (run.status.AsShell() == 0) return {};
    return Fail(ErrorCode::kIo, "\"" + argv[0] + "\" failed: " + std::string(TrimWhitespace(run.standard_error)));
  }

  [[nodiscard]] std::optional<io::UserIdentity> SpawnUser() const {
    return ::geteuid() == 0 ? std::optional(user_) : std::nullopt;
  }
  [[nodiscard]] std::string Production() const { return directory_ + "/production"; }
  [[nodiscard]] std::string Backup() const { return directory_ + "/backup"; }
  void Step(const std::string& text, const Stopwatch& watch) {
    fmt::print(output_.out, "{:8.3f} s  {}\n", watch.milliseconds() / 1000, text);
    output_.out.flush();
  }
  void Say(const std::string& text) { fmt::print(output_.out, "            {}\n", text); }

  const DemoRequest& request_;
  Output& output_;
  std::string directory_;
  instance::Installation installation_;
  io::UserIdentity user_;
  instance::Server server_;
  std::optional<client::Connection> production_;
  std::unique_ptr<branch::Session> session_;
};

}  // namespace

Status TellDemo(const DemoRequest& request, Output& output) { return Demo(request, output).Tell(); }

}  // namespace pgstrata::cli
