#include "app/cli/demo_story.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <fmt/ostream.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <ostream>

#include "app/cli/demo_directory.h"
#include "app/cli/exit_status.h"
#include "app/cli/signals.h"
#include "backup/source/source.h"
#include "branch/branch/home.h"
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
constexpr std::string_view kSumOrders =
    "SELECT count(*) || ' orders, ' || round(sum(amount), 2) || ' in all' FROM orders";

// What it made is gone when it is destroyed. A signal ends it at the next look: signals_ is read by nobody else before.
class Demo {
 public:
  Demo(const DemoRequest& request, const SignalQueue& signals, Output& output)
      : request_(request), signals_(signals), output_(output) {}
  ~Demo() {
    session_.reset();
    production_.reset();
    server_ = {};
    if (directory_) static_cast<void>(RemoveDemo(directory_->path()));
  }
  Demo(const Demo&) = delete;
  Demo& operator=(const Demo&) = delete;

  Status Tell() {
    for (const auto step : {&Demo::Prepare, &Demo::MakeProduction, &Demo::TakeBackup, &Demo::DropTable,
                            &Demo::OpenBackup, &Demo::CopyBack, &Demo::Close}) {
      PGS_TRY(NotInterrupted());
      PGS_TRY((this->*step)());
    }
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
    PGS_ASSIGN(const std::string home, branch::HomeDirectory());
    PGS_ASSIGN(directory_, DemoDirectory::Create(home, user_));
    return {};
  }

  Status MakeProduction() {
    const Stopwatch watch;
    PGS_TRY(Run({installation_.Program("initdb"), "-D", Production(), "-U", "postgres", "--no-sync", "--auth=trust"}));
    PGS_ASSIGN(server_, instance::Server::Start({.bin_directory = installation_.bin_directory,
                                                 .data_directory = Production(),
                                                 .log_file = directory_->File("server.log"),
                                                 .socket_directory = directory_->socket_directory(),
                                                 .user = SpawnUser(),
                                                 .stop_when_parent_dies = true}));
    auto connection = instance::WaitUntilReady(server_, {.cancel_fd = signals_.fd()}, {.cancel_fd = signals_.fd()});
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
    PGS_TRY(Run({installation_.Program("pg_basebackup"), "-h", directory_->socket_directory(), "-U", "postgres", "-D",
                 Backup(), "-c", "fast", "--no-sync"}));
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
                                    .progress = [](const std::string&) {},
                                    .cancel_fd = signals_.fd()};
    PGS_ASSIGN(
        session_,
        branch::Session::Open(
            {.image = std::move(source.image), .wal_archives = {}, .pg_bin = request_.pg_bin, .user = request_.user},
            events));
    PGS_ASSIGN(auto argv, branch::PsqlCommand(session_->installation()));
    argv.insert(argv.end(), {"-XAtc", std::string(kSumOrders)});
    PGS_ASSIGN(const std::string orders, Run({.argv = argv, .environment = session_->ClientEnvironment()}));
    Step("opened the backup and asked it: " + orders, watch);
    Say(fmt::format("  {} were copied for that, of {} in the backup", FormatBytes(session_->LayerBytes()),
                    FormatBytes(io::AllocatedBytes(Backup()).value_or(0))));
    return {};
  }

  // What a user types: pgstrata open BACKUP --exec -- pg_dump -t orders | psql
  Status CopyBack() {
    const Stopwatch watch;
    const std::string dump = directory_->File("orders.sql");
    PGS_TRY(Run({installation_.Program("pg_dump"), "-h", session_->directory().socket_directory(), "-U", "postgres",
                 "-t", "orders", "-f", dump, "postgres"}));
    PGS_TRY(Run({installation_.Program("psql"), "-Xq", "-v", "ON_ERROR_STOP=1", "-h", directory_->socket_directory(),
                 "-U", "postgres", "-o", "/dev/null", "-f", dump, "postgres"}));
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

  // A program of PostgreSQL as the servers' user, to its end.
  Status Run(const std::vector<std::string>& argv) {
    io::Environment environment = io::CurrentEnvironment();
    client::RemoveLibpqEnvironment(environment);
    PGS_TRY(
        Run({.argv = argv, .environment = environment, .user = SpawnUser(), .working_directory = directory_->path()}));
    return {};
  }

  // What it wrote to standard output. Its own children are ended with it: it has a process group to itself.
  Result<std::string> Run(io::SpawnOptions options) {
    const std::string output_file = directory_->File("output");
    const std::string error_file = directory_->File("errors");
    PGS_ASSIGN(const auto output, io::File::Open(output_file, O_WRONLY | O_CREAT | O_TRUNC));
    PGS_ASSIGN(const auto errors, io::File::Open(error_file, O_WRONLY | O_CREAT | O_TRUNC));
    options.standard_input = -1;
    options.standard_output = output.fd();
    options.standard_error = errors.fd();
    options.new_session = true;
    options.signal_when_parent_dies = SIGTERM;
    PGS_ASSIGN(auto process, io::Process::Spawn(options));
    std::array<pollfd, 2> polled{pollfd{process.pidfd(), POLLIN, 0}, pollfd{signals_.fd(), POLLIN, 0}};
    while (::poll(polled.data(), polled.size(), -1) < 0) {
      if (errno != EINTR) return FailErrno("could not wait for \"" + options.argv[0] + '"');
    }
    if (polled[0].revents == 0) ::kill(-process.pid(), SIGKILL);
    PGS_ASSIGN(const auto status, process.Wait());
    PGS_TRY(NotInterrupted());
    PGS_ASSIGN(const std::string wrote, io::ReadWholeFile(output_file));
    if (status->AsShell() == 0) return std::string(TrimWhitespace(wrote));
    PGS_ASSIGN(const std::string complaint, io::ReadWholeFile(error_file));
    return Fail(ErrorCode::kIo, "\"" + options.argv[0] + "\" failed: " + std::string(TrimWhitespace(complaint)));
  }

  [[nodiscard]] Status NotInterrupted() const {
    pollfd polled{signals_.fd(), POLLIN, 0};
    if (::poll(&polled, 1, 0) <= 0) return {};
    return Fail(ErrorCode::kCancelled, "the demo was interrupted");
  }

  [[nodiscard]] std::optional<io::UserIdentity> SpawnUser() const {
    return ::geteuid() == 0 ? std::optional(user_) : std::nullopt;
  }
  [[nodiscard]] std::string Production() const { return directory_->production(); }
  [[nodiscard]] std::string Backup() const { return directory_->backup(); }
  void Step(const std::string& text, const Stopwatch& watch) {
    fmt::print(output_.out, "{:8.3f} s  {}\n", watch.milliseconds() / 1000, text);
    output_.out.flush();
  }
  void Say(const std::string& text) { fmt::print(output_.out, "            {}\n", text); }

  const DemoRequest& request_;
  const SignalQueue& signals_;
  Output& output_;
  std::optional<DemoDirectory> directory_;
  instance::Installation installation_;
  io::UserIdentity user_;
  instance::Server server_;
  std::optional<client::Connection> production_;
  std::unique_ptr<branch::Session> session_;
};

}  // namespace

Result<int> TellDemo(const DemoRequest& request, Output& output) {
  PGS_ASSIGN(SignalQueue signals, SignalQueue::Create());
  Demo demo(request, signals, output);
  const Status told = demo.Tell();
  if (const auto signal = signals.Take()) return kExitSignalBase + signal->number;
  PGS_TRY(told);
  return kExitOk;
}

}  // namespace pgstrata::cli
