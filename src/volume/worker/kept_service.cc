// Invariants:
//   - The worker touches no path inside its own mount.
//   - Run's thread alone decides about the end. The mount is removed while the serving threads answer: the kernel
//     writes back what is dirty before umount(2) returns, and these writes come here.
//   - Who asked to quit is answered when the outcome is known, and the process ends after the answer has been sent.
//   - What reached the volume is flushed after the mount is gone, as nothing can arrive any more.
#include "volume/worker/kept_service.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "foundation/base/clock.h"
#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "volume/fuse/mount.h"
#include "volume/worker/control_socket.h"
#include "volume/worker/detach.h"
#include "volume/worker/mount_users.h"
#include "volume/worker/stat_text.h"

namespace pgstrata::worker {
namespace {

using namespace std::chrono_literals;

constexpr int kRetryMs = 200;              // after SIGTERM, while somebody uses the mount
constexpr auto kUnseenUserPatience = 2s;   // for a user who is on his way out, or whom we may not see
constexpr auto kDetachedEndPatience = 5s;  // for requests in progress of a mount that is gone
constexpr auto kForcedEndPatience = 5s;    // for requests in progress of a connection that was cut

io::UniqueFd TerminateSignals() {
  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  return io::UniqueFd(::signalfd(-1, &terminate, SFD_CLOEXEC));
}

uint64_t ResidentBytes() {
  const auto text = io::ReadWholeFile("/proc/self/statm");
  if (!text) return 0;
  const auto fields = Split(*text, ' ');
  return fields.size() > 1 ? ParseDecimal(fields[1]).value_or(0) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

// What this process's reads brought from storage; the rest was in the machine's page cache.
uint64_t StorageBytesRead() {
  const auto text = io::ReadWholeFile("/proc/self/io");
  if (!text) return 0;
  constexpr std::string_view kName = "read_bytes: ";
  for (const std::string_view line : SplitLines(*text)) {
    if (line.starts_with(kName)) return ParseDecimal(line.substr(kName.size())).value_or(0);
  }
  return 0;
}

// Nothing where the log is no file.
std::optional<std::string> LogTail(const KeptWorkerOptions& options) {
  constexpr uint64_t kTail = 1 << 20;
  if (options.log_file.empty() || options.log_style.sink != LogStyle::Sink::kFile) return std::nullopt;
  const auto file = io::File::Open(options.log_file, O_RDONLY);
  const auto status = file ? file->Stat() : Result<struct stat>(Fail(file.error()));
  if (!status) return std::nullopt;
  const auto size = static_cast<uint64_t>(status->st_size);
  std::string text(std::min(size, kTail), '\0');
  const auto read = file->ReadAt(size - text.size(), std::as_writable_bytes(std::span(text)));
  text.resize(read.value_or(0));
  return text;
}

codec::Json RequestsToJson(const std::vector<fuse::RequestStatistics>& requests) {
  codec::Json json = codec::Json::object();
  for (const auto& one : requests) {
    codec::Json& kind = json[std::string(one.kind)];
    kind["count"] = one.count;
    kind["bytes"] = one.bytes;
    kind["p50_us"] = one.p50_us;
    kind["p90_us"] = one.p90_us;
    kind["p99_us"] = one.p99_us;
    kind["max_us"] = one.max_us;
  }
  return json;
}

}  // namespace

Status KeptService::Start(pid_t caller) {
  PGS_TRY(Detach(options_.keep_open));
  ::mallopt(M_ARENA_MAX, 1);  // an arena for each thread costs more system calls than the threads' locks cost
  PGS_TRY(SendLogTo(options_.log_file, options_.log_style));
  started_ = ::time(nullptr);
  PGS_TRY(MakeDescriptors(caller));
  volume_.enter();
  PGS_ASSIGN(io::UniqueFd listener, ListenAt(options_.control_socket));
  auto session = fuse::Session::Mount(WithGrafts(), options_.mount);
  if (!session) {
    TakeBack();
    return Fail(std::move(session).error());
  }
  session_ = *std::move(session);
  fuse::RaiseBdiLimits(session_->mount());
  control_ = std::make_unique<ControlServer>(std::move(listener),
                                             [this](const codec::Json& request) { return Answer(request); });
  const Status started = StartThreads();
  if (!started) TakeBack();
  if (started) log::Info("{} is mounted at {}", Quoted(options_.source), Quoted(session_->mount().mountpoint));
  return started;
}

// What a file says is asked for when the session serves.
std::unique_ptr<vfs::TextDirectory> KeptService::MakeStatusDirectory() {
  const auto root = volume_.file_system->GetAttributes(vfs::kRootInode);
  const vfs::Owner owner = root ? vfs::Owner{root->uid, root->gid} : vfs::Owner{};
  return std::make_unique<vfs::TextDirectory>(
      std::vector<vfs::TextFile>{{.name = "worker.pid", .text = [] { return std::to_string(::getpid()) + '\n'; }},
                                 {.name = "stat", .text = [this] { return StatText(Stat(false)); }},
                                 {.name = "worker.log", .text = [this] { return LogTail(options_); }}},
      owner);
}

vfs::FileSystem& KeptService::WithGrafts() {
  std::vector<vfs::Graft> grafts = volume_.grafts;
  if (options_.show_status) {
    status_ = MakeStatusDirectory();
    grafts.push_back({.name = kStatusDirectory, .file_system = status_.get()});
  }
  if (grafts.empty()) return *volume_.file_system;
  grafted_ = std::make_unique<vfs::GraftedFileSystem>(*volume_.file_system, std::move(grafts));
  return *grafted_;
}

Status KeptService::MakeDescriptors(pid_t caller) {
  if (options_.end_with_caller) {
    caller_ = io::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, caller, 0)));
    if (!caller_.valid()) return Fail(ErrorCode::kCancelled, "the command that started it is gone");
  }
  signals_ = TerminateSignals();
  ended_ = io::UniqueFd(::eventfd(0, EFD_CLOEXEC));
  quit_ = io::UniqueFd(::eventfd(0, EFD_CLOEXEC));
  if (!signals_.valid() || !ended_.valid() || !quit_.valid()) return FailErrno("could not make a worker's descriptors");
  return {};
}

Status KeptService::StartThreads() {
  try {
    server_ = std::thread([this] { Serve(); });
    tender_ = std::thread([this] { TendRegularly(); });
  } catch (const std::system_error& error) {
    return Fail(Error::FromErrno(error.code().value(), "could not start a thread"));
  }
  return control_->Start();
}

// The process ends after this: threads that run go with it.
void KeptService::TakeBack() {
  if (session_) {
    if (const auto removed = session_->Unmount(); !removed) log::Error("{}", removed.error().message());
  }
  static_cast<void>(io::RemoveFile(options_.control_socket));
}

void KeptService::Serve() {
  if (const auto served = session_->Serve(); !served) log::Error("{}", served.error().message());
  ::eventfd_write(ended_.get(), 1);
}

void KeptService::TendRegularly() {
  auto next_flush = std::chrono::steady_clock::now() + options_.flush_interval;
  std::string last_error;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, options_.tend_interval, [this] { return over_; })) {
    lock.unlock();
    const bool flush = std::chrono::steady_clock::now() >= next_flush;
    const Stopwatch watch;
    const Status done = flush ? volume_.flush() : volume_.tend();
    if (flush) log::Debug("all that arrived was made durable in {:.1f} ms", watch.milliseconds());
    if (flush) next_flush = std::chrono::steady_clock::now() + options_.flush_interval;
    const std::string error = done ? std::string() : done.error().message();
    if (error != last_error) log::Error("{}", error.empty() ? "changes are being made durable again" : error);
    last_error = error;
    lock.lock();
  }
}

Result<codec::Json> KeptService::Answer(const codec::Json& request) {
  const std::string name = TextOf(request, "request");
  log::Debug("asked to {}", name);
  if (name == "stat") return Stat(IsTrue(request, "reset"));
  if (name == "freeze") return Freeze(TextOf(request, "layer"));
  if (name == "quit") return Quit(IsTrue(request, "force"));
  if (name == "limit") return Limit(request);
  if (name == "sync") {
    PGS_TRY(volume_.flush());
    return codec::Json::object();
  }
  return Fail(ErrorCode::kUnsupported, "this worker knows no request " + Quoted(name));
}

codec::Json KeptService::Stat(bool reset) const {
  const fuse::MountEntry& mount = session_->mount();
  const ServedVolume::Facts facts = volume_.facts();
  codec::Json json;
  json["pid"] = ::getpid();
  json["mountpoint"] = mount.mountpoint;
  json["device"] = std::to_string(mount.device_major) + ':' + std::to_string(mount.device_minor);
  json["source"] = options_.source;
  json["started"] = started_;
  json["read_only"] = mount.read_only;
  json["transport"] = session_->transport() == fuse::Transport::kIoUring ? "io_uring" : "device";
  json["requests"] = RequestsToJson(reset ? session_->counters().ReadAndReset() : session_->counters().Read());
  json["image_bytes_read"] = facts.image_bytes_read;
  json["layer_bytes_read"] = facts.layer_bytes_read;
  json["storage_bytes_read"] = StorageBytesRead();
  json["layers"] = codec::Json::array();
  for (const auto& layer : facts.layers)
    json["layers"].push_back({{"directory", layer.directory}, {"bytes", layer.bytes}});
  const auto open = io::ListDirectory("/proc/self/fd");
  json["files_open"] = open ? open->size() : 0;
  json["memory_bytes"] = ResidentBytes();
  return json;
}

Result<codec::Json> KeptService::Freeze(const std::string& directory) {
  if (!directory.starts_with('/')) {
    return Fail(ErrorCode::kInvalidArgument, "freeze wants the absolute path of an empty directory as \"layer\"");
  }
  if (options_.mount.read_only) return Fail(ErrorCode::kUnsupported, "nothing is frozen on a mount that is read-only");
  PGS_ASSIGN(const Frozen frozen, volume_.freeze(directory));
  codec::Json answer;
  answer["held_us"] = static_cast<uint64_t>(frozen.held.count());
  answer["sealed"] = frozen.sealed.has_value();
  if (!frozen.sealed) answer["why"] = frozen.sealed.error().message();
  return answer;
}

Result<codec::Json> KeptService::Limit(const codec::Json& request) {
  if (!request.contains("max_bytes") || !request["max_bytes"].is_number_unsigned()) {
    return Fail(ErrorCode::kInvalidArgument, "limit wants a number of bytes as \"max_bytes\"");
  }
  volume_.limit(NumberOf(request, "max_bytes"));
  return codec::Json::object();
}

Result<codec::Json> KeptService::Quit(bool force) {
  QuitRequest request{.force = force};
  std::unique_lock lock(mutex_);
  if (over_) return codec::Json::object();
  quits_.push_back(&request);
  ::eventfd_write(quit_.get(), 1);
  changed_.wait(lock, [&] { return request.answered; });
  PGS_TRY(request.result);
  return codec::Json::object();
}

void KeptService::Run() {
  for (;;) {
    if (terminating_) TryToTerminate();
    switch (WaitForEvent(terminating_ ? kRetryMs : -1)) {
      case Event::kEnded:
        Finish({}, false);
      case Event::kQuit:
        TryToQuit();
        break;
      case Event::kTerminate:
      case Event::kCallerEnded:
        terminating_ = true;
        break;
      case Event::kNothing:
        break;
    }
  }
}

KeptService::Event KeptService::WaitForEvent(int timeout_ms) {
  // A caller that has ended stays so: it is told once.
  std::array<pollfd, 4> polled{pollfd{ended_.get(), POLLIN, 0}, pollfd{quit_.get(), POLLIN, 0},
                               pollfd{signals_.get(), POLLIN, 0}, pollfd{terminating_ ? -1 : caller_.get(), POLLIN, 0}};
  if (::poll(polled.data(), polled.size(), timeout_ms) <= 0) return Event::kNothing;
  if (polled[0].revents != 0) return Event::kEnded;
  if (polled[1].revents != 0) {
    eventfd_t count = 0;
    ::eventfd_read(quit_.get(), &count);
    return Event::kQuit;
  }
  if (polled[2].revents != 0) {
    signalfd_siginfo info{};
    return ::read(signals_.get(), &info, sizeof info) > 0 ? Event::kTerminate : Event::kNothing;
  }
  return polled[3].revents != 0 ? Event::kCallerEnded : Event::kNothing;
}

void KeptService::TryToTerminate() {
  const Status unmounted = TryUnmount(false);
  if (unmounted) Finish(TakeQuits(), false);
  if (unmounted.error().message() == last_refusal_) return;
  last_refusal_ = unmounted.error().message();
  log::Warning("asked to end, but {}; will end when that has changed", last_refusal_);
}

void KeptService::TryToQuit() {
  auto quits = TakeQuits();
  if (quits.empty()) return;
  const bool force = std::ranges::any_of(quits, &QuitRequest::force);
  const Status unmounted = TryUnmount(force);
  if (unmounted) Finish(std::move(quits), force);
  AnswerQuits(quits, unmounted);
}

std::vector<KeptService::QuitRequest*> KeptService::TakeQuits() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(quits_, {});
}

void KeptService::AnswerQuits(const std::vector<QuitRequest*>& quits, const Status& result) {
  const std::scoped_lock lock(mutex_);
  for (QuitRequest* quit : quits) {
    quit->result = result;
    quit->answered = true;
  }
  changed_.notify_all();
}

Status KeptService::TryUnmount(bool force) {
  if (options_.before_unmount) options_.before_unmount();
  if (!force) {
    // What cannot be made durable now would be lost after the mount is gone.
    PGS_TRY(volume_.flush());
    return UnmountUnused();
  }
  if (const auto removed = session_->Unmount(); !removed) log::Error("{}", removed.error().message());
  session_->Stop();  // without root and fusectl the connection could not be cut
  return {};
}

Status KeptService::UnmountUnused() {
  const fuse::MountEntry& own = session_->mount();
  PGS_ASSIGN(const auto seen, fuse::FindMount(own.mountpoint));
  if (!seen || seen->device() != own.device()) {
    return Fail(ErrorCode::kBusy, seen ? "something else is mounted over " + Quoted(own.mountpoint)
                                       : Quoted(own.mountpoint) + " was detached and is still in use");
  }
  const auto deadline = std::chrono::steady_clock::now() + kUnseenUserPatience;
  for (;;) {
    const Status unmounted = fuse::Unmount(own.mountpoint, {.lazy = false});
    if (unmounted) return WaitForEndOfService();
    if (unmounted.error().code() != ErrorCode::kBusy) return unmounted;
    const auto users = FindMountUsers(own.mountpoint);
    if (users.empty() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(20ms);
      continue;
    }
    const std::string what = Quoted(own.mountpoint);
    return Fail(ErrorCode::kBusy, users.empty() ? "somebody uses " + what : DescribeUse(users, what));
  }
}

// A container that was started meanwhile has a copy of the mount, which goes on when ours is gone.
Status KeptService::WaitForEndOfService() const {
  pollfd polled{ended_.get(), POLLIN, 0};
  if (::poll(&polled, 1, static_cast<int>(std::chrono::milliseconds(kDetachedEndPatience).count())) > 0) return {};
  return Fail(ErrorCode::kBusy, Quoted(session_->mount().mountpoint) +
                                    " is unmounted here, but another mount namespace (a container) has it still");
}

void KeptService::Finish(std::vector<QuitRequest*> quits, bool forced) {
  if (forced) {
    pollfd polled{ended_.get(), POLLIN, 0};
    ::poll(&polled, 1, static_cast<int>(std::chrono::milliseconds(kForcedEndPatience).count()));
  } else {
    server_.join();
    // Cut from outside, the mount is there still and answers errors.
    if (const auto removed = session_->Unmount(); !removed) log::Error("{}", removed.error().message());
  }
  {
    const std::scoped_lock lock(mutex_);
    over_ = true;
    quits.insert(quits.end(), quits_.begin(), quits_.end());
    quits_.clear();
    changed_.notify_all();
  }
  tender_.join();
  Status flushed = volume_.close();
  if (!flushed) {
    flushed = Fail(std::move(flushed).error().Wrap("unmounted, but not everything could be made durable"));
    log::Error("{}", flushed.error().message());
  }
  log::Info("{} is unmounted{}", Quoted(session_->mount().mountpoint), forced ? ", by force" : "");
  AnswerQuits(quits, flushed);
  control_->Stop();
  if (options_.after_end) options_.after_end(flushed && !forced);
  volume_.leave();
  static_cast<void>(io::RemoveFile(options_.control_socket));
  ::_exit(flushed ? 0 : 1);
}

}  // namespace pgstrata::worker
