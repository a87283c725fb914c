// Invariants:
//   - The mount that is removed in the end is the one that was made here: it is recognized by its device number,
//     whatever was mounted over it meanwhile.
//   - The kernel's INIT has been answered before Mount returns: limits can be raised, and no later surprise is
//     possible.
#include "volume/fuse/session.h"

#include <fmt/core.h>

#include <array>
#include <cstdarg>
#include <cstdio>

#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "volume/fuse/operations.h"
#include "volume/fuse/request_loop.h"
#include "volume/fuse/started_mount.h"

namespace pgstrata::fuse {
namespace {

struct SessionDeleter {
  void operator()(fuse_session* session) const { fuse_session_destroy(session); }
};
using SessionPointer = std::unique_ptr<fuse_session, SessionDeleter>;

void LogFromLibrary(fuse_log_level level, const char* format, va_list arguments) {
  std::array<char, 512> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  const auto ours = level <= FUSE_LOG_ERR       ? log::Level::kError
                    : level <= FUSE_LOG_WARNING ? log::Level::kWarning
                                                : log::Level::kDebug;
  log::Write(ours, TrimWhitespace(text.data()));
}

Result<SessionPointer> NewSession(Served& served) {
  // libfuse wants the kernel's max_read repeated here.
  std::string name = "pgstrata";
  std::string flag = "-o";
  std::string max_read = fmt::format("max_read={}", kMaxTransfer);
  std::array<char*, 4> argv{name.data(), flag.data(), max_read.data(), nullptr};
  fuse_args arguments = FUSE_ARGS_INIT(3, argv.data());
  SessionPointer session(fuse_session_new(&arguments, &Operations(), sizeof(fuse_lowlevel_ops), &served));
  fuse_opt_free_args(&arguments);
  if (!session) return Fail(ErrorCode::kInternal, "could not make a FUSE session");
  return session;
}

}  // namespace

class Session::Connection {
 public:
  Connection(vfs::FileSystem& file_system, const MountOptions& options)
      : served_{.file_system = &file_system, .writeback = options.writeback && !options.read_only} {}
  // The descriptor first: that aborts the connection, so nobody waits for an answer while fusermount3 is started.
  ~Connection() {
    loop_.reset();
    session_.reset();
    if (const auto removed = RemoveMount(); !removed) log::Warning("{}", removed.error().message());
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Status Start(StartedMount& started) {
    PGS_ASSIGN(session_, NewSession(served_));
    PGS_ASSIGN(io::UniqueFd device, started.Take());
    RequestLoop::UseDevice(session_.get(), device.Release());
    mountpoint_ = started.options().mountpoint;
    PGS_ASSIGN(const auto mount, FindMount(mountpoint_));
    if (!mount) return Fail(ErrorCode::kInternal, fmt::format("nothing is mounted at \"{}\"", mountpoint_));
    mount_ = *mount;
    loop_.emplace(session_.get(), std::max(1U, started.options().threads));
    PGS_TRY(loop_->AnswerInit(started.options().transport));
    if (!served_.initialized) return Fail(ErrorCode::kUnsupported, "the kernel's FUSE is too old");
    return {};
  }

  RequestLoop& loop() { return *loop_; }
  [[nodiscard]] const MountEntry& mount() const { return mount_; }

  Status RemoveMount() const {
    if (mountpoint_.empty()) return {};
    PGS_ASSIGN(const auto mount, FindMount(mountpoint_));
    if (!mount || mount->device() != mount_.device()) return {};
    return fuse::Unmount(mountpoint_, {.lazy = true, .abort_first = true});
  }

 private:
  Served served_;
  std::string mountpoint_;
  MountEntry mount_;
  SessionPointer session_;
  std::optional<RequestLoop> loop_;
};

Session::Session(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::Mount(vfs::FileSystem& file_system, const MountOptions& options) {
  PGS_ASSIGN(StartedMount started, StartedMount::Begin(options));
  auto session = Mount(file_system, started);
  if (session) started.GiveAway();
  return session;
}

Result<std::unique_ptr<Session>> Session::Mount(vfs::FileSystem& file_system, StartedMount& started) {
  fuse_set_log_func(LogFromLibrary);
  auto connection = std::make_unique<Connection>(file_system, started.options());
  PGS_TRY(connection->Start(started));
  return std::make_unique<Session>(std::move(connection));
}

Status Session::Serve() { return connection_->loop().Run(); }
void Session::Stop() { connection_->loop().Stop(); }
Status Session::Unmount() { return connection_->RemoveMount(); }
RequestCounters& Session::counters() const { return connection_->loop().counters(); }
Transport Session::transport() const { return connection_->loop().transport(); }
const MountEntry& Session::mount() const { return connection_->mount(); }

}  // namespace pgstrata::fuse
