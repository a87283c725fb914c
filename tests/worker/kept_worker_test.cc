#include "volume/worker/kept_worker.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <functional>
#include <new>
#include <thread>

#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/dead_mount.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/private_mounts.h"
#include "tests/support/scratch_directory.h"
#include "volume/fuse/availability.h"
#include "volume/fuse/mount.h"
#include "volume/worker/control_client.h"
#include "volume/worker/control_socket.h"

namespace pgstrata::worker {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit = 20s) {
  for (const Stopwatch watch; watch.milliseconds() < static_cast<double>(limit.count());) {
    if (condition()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return condition();
}

// What the worker and the test both see.
struct Shared {
  test::MemoryFileSystemControls controls;
  std::atomic<int> flushes = 0, tends = 0, freezes = 0, slow_write_ms = 0, flush_error = 0;
  std::atomic<uint64_t> written_at_last_flush = 0, limit = 0;
};

class SlowFileSystem : public test::MemoryFileSystem {
 public:
  explicit SlowFileSystem(Shared& shared)
      : MemoryFileSystem({.uid = ::getuid(), .gid = ::getgid()}, 1, &shared.controls), shared_(shared) {}
  vfs::FsStatus Write(vfs::Inode inode, uint64_t offset, ByteView bytes) override {
    if (shared_.slow_write_ms > 0) std::this_thread::sleep_for(std::chrono::milliseconds(shared_.slow_write_ms));
    return MemoryFileSystem::Write(inode, offset, bytes);
  }

 private:
  Shared& shared_;
};

class KeptWorkerTest : public testing::Test {
 protected:
  KeptWorkerTest() {
    EXPECT_EQ(::mkdir(mountpoint_.c_str(), 0755), 0);
    options_.mount.mountpoint = mountpoint_;
    options_.log_file = directory_.path() + "/worker.log";
    options_.control_socket = directory_.path() + "/control";
    options_.source = "/backups/monday";
    volume_.file_system = &file_system_;
    volume_.flush = [this]() -> Status {
      ++shared_.flushes;
      shared_.written_at_last_flush = shared_.controls.written_bytes.load();
      if (shared_.flush_error != 0) return Fail(Error::FromErrno(shared_.flush_error, "could not flush"));
      return {};
    };
    volume_.close = volume_.flush;
    volume_.tend = [this]() -> Status {
      ++shared_.tends;
      return {};
    };
    volume_.freeze = [this](const std::string& directory) -> Result<Frozen> {
      ++shared_.freezes;
      if (!io::Exists(directory)) return Fail(ErrorCode::kNotFound, "there is no layer \"" + directory + '"');
      return Frozen{.held = 42us, .sealed = {}};
    };
    volume_.limit = [this](uint64_t max_bytes) { shared_.limit = max_bytes; };
    volume_.facts = [] {
      return ServedVolume::Facts{.image_bytes_read = 7, .layer_bytes_read = 8, .layers = {{"/layers/1", 4096}}};
    };
  }
  ~KeptWorkerTest() override {
    if (auto client = ControlClient::Connect(options_.control_socket)) static_cast<void>(client->Quit(true, 20s));
    EXPECT_TRUE(fuse::Unmount(mountpoint_, {.lazy = true, .abort_first = true}).has_value());
    ::munmap(&shared_, sizeof shared_);
  }

  KeptWorker Start() {
    auto worker = StartKeptWorker(volume_, options_);
    if (!worker) {
      ADD_FAILURE() << worker.error().message() << "; " << worker.error().hint();
      std::abort();
    }
    return *std::move(worker);
  }
  ControlClient Connect() {
    auto client = ControlClient::Connect(options_.control_socket);
    if (!client) {
      ADD_FAILURE() << client.error().message();
      std::abort();
    }
    return *std::move(client);
  }
  [[nodiscard]] bool Mounted() const { return fuse::FindMount(mountpoint_)->has_value(); }
  [[nodiscard]] std::string in_mount(const std::string& name) const { return mountpoint_ + '/' + name; }
  void ExpectNothingLeft() const {
    EXPECT_FALSE(Mounted());
    EXPECT_FALSE(io::Exists(options_.control_socket));
  }
  static bool EndsWithin(io::Process& process, std::chrono::milliseconds limit = 20s) {
    return process.Wait(limit)->has_value();
  }

  test::ScratchDirectory directory_;
  const std::string mountpoint_ = directory_.path() + "/mnt";
  Shared& shared_ =
      *::new (::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared;
  SlowFileSystem file_system_{shared_};
  ServedVolume volume_;
  KeptWorkerOptions options_;
};

TEST_F(KeptWorkerTest, OutlivesTheProcessThatStartedIt) {
  const pid_t command = ::fork();
  if (command == 0) ::_exit(StartKeptWorker(volume_, options_).has_value() ? 0 : 1);
  int status = 0;
  ASSERT_EQ(::waitpid(command, &status, 0), command);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(io::WriteWholeFile(in_mount("file"), "content").has_value());
  EXPECT_EQ(io::ReadWholeFile(in_mount("file")).value(), "content");
  auto client = Connect();
  EXPECT_EQ(::getsid(client.pid()), client.pid());
  EXPECT_EQ(client.Stat()->at("pid"), client.pid());
  const auto quit = client.Quit();
  ASSERT_TRUE(quit.has_value()) << quit.error().message();
  const auto state = io::ReadWholeFile("/proc/" + std::to_string(client.pid()) + "/stat");  // init may be slow
  EXPECT_TRUE(!state || state->contains(") Z "));
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, BelongsToNobodyAndItsMountLeadsToItsSocket) {
  KeptWorker worker = Start();
  const std::string stat = io::ReadWholeFile("/proc/" + std::to_string(worker.process.pid()) + "/stat").value();
  const std::string parent = stat.substr(stat.find(") ") + 4);
  EXPECT_NE(ParseDecimal(parent.substr(0, parent.find(' '))), static_cast<uint64_t>(::getpid()));
  EXPECT_EQ(io::StatTarget(mountpoint_)->st_dev, worker.device);
  EXPECT_EQ(ControlSocketOf(mountpoint_).value(), options_.control_socket);
  EXPECT_EQ(ControlSocketOf("/proc").value(), std::nullopt);
  EXPECT_EQ(io::StatLink(options_.control_socket)->st_mode, S_IFSOCK | 0600);
}

TEST_F(KeptWorkerTest, WhatIsDirtyIsWrittenBackAndFlushedBeforeItEnds) {
  KeptWorker worker = Start();
  const std::string block(1 << 20, 'd');
  constexpr uint64_t kMebibytes = 8;
  {
    auto file = io::File::Open(in_mount("file"), O_RDWR | O_CREAT);
    ASSERT_TRUE(file.has_value());
    for (uint64_t i = 0; i < kMebibytes; ++i) ASSERT_TRUE(file->WriteAt(i << 20, AsBytes(block)).has_value());
    // Through a mapping that is undone after its file was closed.
    auto* memory = static_cast<char*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd(), 0));
    ASSERT_NE(memory, MAP_FAILED);
    file = io::File();
    memory[0] = 'm';
    shared_.slow_write_ms = 50;
    ASSERT_EQ(::munmap(memory, 4096), 0);
  }
  const auto quit = Connect().Quit();
  ASSERT_TRUE(quit.has_value()) << quit.error().message();
  EXPECT_GE(shared_.controls.written_bytes, kMebibytes << 20);
  EXPECT_EQ(shared_.written_at_last_flush, shared_.controls.written_bytes);
  EXPECT_TRUE(EndsWithin(worker.process));
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, AUsedMountIsNotRemovedAndItsUserIsNamed) {
  KeptWorker worker = Start();
  auto file = io::File::Open(in_mount("file"), O_RDWR | O_CREAT);
  ASSERT_TRUE(file.has_value());
  auto client = Connect();
  const auto refused = client.Quit();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
  EXPECT_THAT(refused.error().message(), HasSubstr("process " + std::to_string(::getpid())));
  // It serves on, on this connection too.
  EXPECT_TRUE(file->WriteAt(0, AsBytes("x")).has_value());
  EXPECT_EQ(::fsync(file->fd()), 0);
  EXPECT_TRUE(client.Stat().has_value());
  file = io::File();
  const auto quit = client.Quit();
  EXPECT_TRUE(quit.has_value()) << quit.error().message();
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, ForceEndsAUsedMountAndItsUsersGetErrors) {
  KeptWorker worker = Start();
  const auto file = io::File::Open(in_mount("file"), O_RDWR | O_CREAT);
  const auto quit = Connect().Quit(true);
  ASSERT_TRUE(quit.has_value()) << quit.error().message();
  ExpectNothingLeft();
  EXPECT_EQ(::fsync(file->fd()), -1);
  EXPECT_TRUE(test::IsErrorOfADeadMount(errno)) << std::strerror(errno);
  EXPECT_GE(shared_.flushes, 1);
}

TEST_F(KeptWorkerTest, SigtermWaitsForWhoUsesTheMount) {
  KeptWorker worker = Start();
  auto file = io::File::Open(in_mount("file"), O_RDWR | O_CREAT);
  ASSERT_TRUE(worker.process.Signal(SIGTERM).has_value());
  EXPECT_TRUE(Eventually([&] { return io::ReadWholeFile(options_.log_file)->contains("asked to end"); }));
  EXPECT_TRUE(file->WriteAt(0, AsBytes("last words")).has_value());
  EXPECT_FALSE(worker.process.Wait(300ms)->has_value());
  file = io::File();
  EXPECT_TRUE(EndsWithin(worker.process));
  EXPECT_EQ(shared_.written_at_last_flush, 10U);
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, SigtermAndSignalsOfATerminal) {
  KeptWorker worker = Start();
  for (const int signal : {SIGINT, SIGHUP, SIGPIPE}) ASSERT_TRUE(worker.process.Signal(signal).has_value());
  EXPECT_TRUE(Connect().Stat().has_value());
  ASSERT_TRUE(worker.process.Signal(SIGTERM).has_value());
  EXPECT_TRUE(EndsWithin(worker.process));
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, EndsInOrderWhenItsMountIsRemovedFromOutside) {
  KeptWorker worker = Start();
  ASSERT_TRUE(io::WriteWholeFile(in_mount("file"), "content").has_value());
  ASSERT_TRUE(fuse::Unmount(mountpoint_, {.lazy = false}).has_value());
  EXPECT_TRUE(EndsWithin(worker.process));
  EXPECT_EQ(shared_.written_at_last_flush, 7U);
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, AKilledWorkerLeavesErrorsAndTheNextStartCleansUp) {
  const std::string content(1 << 20, 'x');
  KeptWorker worker = Start();
  auto file = io::File::Open(in_mount("file"), O_RDWR | O_CREAT);
  ASSERT_TRUE(file->WriteAt(0, AsBytes(content)).has_value());
  ASSERT_EQ(::fsync(file->fd()), 0);
  ASSERT_EQ(::posix_fadvise(file->fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  ASSERT_TRUE(worker.process.Signal(SIGKILL).has_value());
  ASSERT_TRUE(EndsWithin(worker.process));
  std::string buffer(4096, '\0');
  EXPECT_EQ(::pread(file->fd(), buffer.data(), buffer.size(), 8192), -1);
  EXPECT_TRUE(test::IsErrorOfADeadMount(errno)) << std::strerror(errno);
  EXPECT_TRUE(Mounted());
  EXPECT_EQ(ControlClient::Connect(options_.control_socket).error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(ControlClient::ConnectIfAlive(options_.control_socket)->has_value());

  KeptWorker next = Start();
  ASSERT_TRUE(io::WriteWholeFile(in_mount("new"), "content").has_value());
  EXPECT_EQ(fuse::FindMount(mountpoint_)->value().device(), next.device);
  file = io::File();
  ASSERT_TRUE(Connect().Quit().has_value());
  ExpectNothingLeft();  // nor the dead one below
}

TEST_F(KeptWorkerTest, AStartThatFailsLeavesNothing) {
  options_.mount.mountpoint = directory_.path() + "/absent";
  auto failed = StartKeptWorker(volume_, options_);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(failed.error().message(), HasSubstr("absent"));

  options_.mount.mountpoint = mountpoint_;
  ASSERT_TRUE(io::WriteWholeFile(directory_.path() + "/plain", "").has_value());
  options_.log_file = directory_.path() + "/plain/log";
  EXPECT_FALSE(StartKeptWorker(volume_, options_).has_value());
  options_.log_file.clear();
  options_.control_socket = directory_.path() + "/absent/control";
  EXPECT_FALSE(StartKeptWorker(volume_, options_).has_value());
  options_.control_socket = directory_.path() + "/control";
  options_.log_file = directory_.path() + "/nobody-reads";  // opening it waits for somebody who does
  ASSERT_EQ(::mkfifo(options_.log_file.c_str(), 0600), 0);
  options_.start_timeout = 50ms;
  const auto late = StartKeptWorker(volume_, options_);
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code(), ErrorCode::kBusy);
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, ASecondOneIsRefusedAndHarmsNothing) {
  KeptWorker worker = Start();
  const auto same = StartKeptWorker(volume_, options_);
  ASSERT_FALSE(same.has_value());
  EXPECT_EQ(same.error().code(), ErrorCode::kBusy);
  ASSERT_EQ(::mkdir((directory_.path() + "/other").c_str(), 0700), 0);
  KeptWorkerOptions other = options_;
  other.control_socket = directory_.path() + "/other/control";
  const auto same_place = StartKeptWorker(volume_, other);
  ASSERT_FALSE(same_place.has_value());
  EXPECT_EQ(same_place.error().code(), ErrorCode::kBusy);
  EXPECT_THAT(same_place.error().message(), HasSubstr(directory_.path()));
  EXPECT_TRUE(io::WriteWholeFile(in_mount("file"), "content").has_value());
  EXPECT_TRUE(Connect().Stat().has_value());
}

TEST_F(KeptWorkerTest, TheSocketsPathMayBeLong) {
  options_.control_socket = directory_.path() + '/' + std::string(120, 'd') + "/control";
  ASSERT_TRUE(io::MakeDirectories(std::string(SplitLast(options_.control_socket).first)).has_value());
  KeptWorker worker = Start();
  EXPECT_EQ(Connect().Stat()->at("mountpoint"), mountpoint_);
  EXPECT_TRUE(Connect().Quit().has_value());
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, StatCountsAndResets) {
  KeptWorker worker = Start();
  ASSERT_TRUE(io::WriteWholeFile(in_mount("file"), std::string(100'000, 'x')).has_value());
  auto client = Connect();
  // A request is counted after it was answered.
  ASSERT_TRUE(Eventually([&] {
    return client.Stat()->at("requests").value("write", codec::Json::object()).value("bytes", 0) == 100'000;
  }));
  const auto stat = client.Stat();
  ASSERT_TRUE(stat.has_value()) << stat.error().message();
  EXPECT_EQ(stat->at("pid"), worker.process.pid());
  EXPECT_EQ(stat->at("mountpoint"), mountpoint_);
  EXPECT_EQ(stat->at("source"), "/backups/monday");
  EXPECT_EQ(stat->at("read_only"), false);
  EXPECT_EQ(stat->at("transport"), fuse::CheckRings() == fuse::RingSupport::kUsable ? "io_uring" : "device");
  EXPECT_EQ(stat->at("image_bytes_read"), 7);
  EXPECT_EQ(stat->at("layers")[0]["directory"], "/layers/1");
  EXPECT_GT(stat->at("memory_bytes"), 0);
  EXPECT_GT(stat->at("files_open"), 0);
  const auto& writes = stat->at("requests")["write"];
  EXPECT_EQ(writes["bytes"], 100'000);
  EXPECT_GE(writes["count"], 1);
  EXPECT_LE(writes["p50_us"], writes["p99_us"]);
  EXPECT_LE(writes["p99_us"], writes["max_us"]);
  EXPECT_GT(writes["max_us"], 0);
  EXPECT_EQ(client.Stat(true)->at("requests")["write"]["bytes"], 100'000);
  EXPECT_FALSE(client.Stat()->at("requests").contains("write"));
}

TEST_F(KeptWorkerTest, StatAnswersUnderLoadAndBesideOthers) {
  KeptWorker worker = Start();
  const pid_t load = ::fork();
  if (load == 0) {
    const std::string block(1 << 16, 'x');
    for (;;) static_cast<void>(io::WriteWholeFile(in_mount("load"), block));
  }
  std::vector<std::thread> threads;
  threads.reserve(4);
  std::atomic<int> answers = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      auto client = ControlClient::Connect(options_.control_socket);
      for (int round = 0; round < 50; ++round) answers += client && client->Stat(round % 7 == 0) ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(answers, 200);
  ::kill(load, SIGKILL);
  ::waitpid(load, nullptr, 0);
  EXPECT_TRUE(Connect().Quit().has_value());
}

TEST_F(KeptWorkerTest, SyncAndFreezeAreTheVolumes) {
  KeptWorker worker = Start();
  auto client = Connect();
  const int before = shared_.flushes;
  EXPECT_TRUE(client.Sync().has_value());
  EXPECT_GT(shared_.flushes, before);
  const auto frozen = client.Freeze(directory_.path());
  ASSERT_TRUE(frozen.has_value()) << frozen.error().message();
  EXPECT_EQ(frozen->held, 42us);
  EXPECT_TRUE(frozen->sealed.has_value());
  const auto absent = client.Freeze(directory_.path() + "/absent");
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().code(), ErrorCode::kNotFound);
  EXPECT_FALSE(client.Freeze("relative").has_value());
  EXPECT_EQ(shared_.freezes, 2);
}

TEST_F(KeptWorkerTest, ALimitIsTheVolumesAndANumberOfBytes) {
  const KeptWorker worker = Start();
  auto client = Connect();
  EXPECT_TRUE(client.Limit(uint64_t{20} << 30).has_value());
  EXPECT_EQ(shared_.limit, uint64_t{20} << 30);
  const auto socket = ConnectTo(options_.control_socket);
  ASSERT_TRUE(socket.has_value());
  LineReader reader(socket->get(), kLongestAnswer);
  for (const char* line : {R"({"version":1,"request":"limit"})", R"({"version":1,"request":"limit","max_bytes":-1})",
                           R"({"version":1,"request":"limit","max_bytes":"1"})"}) {
    ASSERT_TRUE(SendLine(socket->get(), *codec::ParseJson(line)).has_value());
    const auto answer = reader.Next(std::chrono::steady_clock::now() + 20s);
    ASSERT_TRUE(answer && *answer);
    EXPECT_THAT(std::string(**answer), HasSubstr("max_bytes")) << line;
    EXPECT_EQ(shared_.limit, uint64_t{20} << 30);
  }
  EXPECT_TRUE(client.Limit(0).has_value());
  EXPECT_EQ(shared_.limit, 0U);
}

TEST_F(KeptWorkerTest, WhatIsNoRequestIsAnErrorAndChangesNothing) {
  KeptWorker worker = Start();
  const auto socket = ConnectTo(options_.control_socket);
  LineReader lines(socket->get(), kLongestAnswer);
  const auto ask = [&](std::string line) {
    line += '\n';
    EXPECT_EQ(::send(socket->get(), line.data(), line.size(), MSG_NOSIGNAL), static_cast<ssize_t>(line.size()));
    const auto answer = lines.Next(std::chrono::steady_clock::now() + 20s);
    return answer && *answer ? codec::ParseJson(**answer).value_or(codec::Json()) : codec::Json();
  };
  EXPECT_EQ(ask("nonsense")["code"], "invalid_argument");
  EXPECT_EQ(ask("[1]")["code"], "invalid_argument");
  EXPECT_EQ(ask(R"({"request": "quit"})")["code"], "unsupported");
  EXPECT_EQ(ask(R"({"version": 2, "request": "quit"})")["code"], "unsupported");
  EXPECT_EQ(ask(R"({"version": 1, "request": "explode"})")["code"], "unsupported");
  EXPECT_EQ(ask(R"({"version": 1, "request": ["quit"]})")["code"], "unsupported");
  EXPECT_EQ(ask(R"({"version": 1, "request": "stat"})")["ok"], true);
  EXPECT_EQ(ask(std::string(kLongestLine + 5000, ' '))["code"], "invalid_argument");
  EXPECT_TRUE(Connect().Stat().has_value());
  EXPECT_TRUE(Mounted());
}

TEST_F(KeptWorkerTest, ChangesAreMadeDurableRegularly) {
  options_.tend_interval = 5ms;
  options_.flush_interval = 50ms;
  KeptWorker worker = Start();
  EXPECT_TRUE(Eventually([&] { return shared_.flushes >= 3 && shared_.tends > shared_.flushes; }));
}

TEST_F(KeptWorkerTest, ItDoesNotUnmountWhatCannotBeMadeDurable) {
  KeptWorker worker = Start();
  shared_.flush_error = ENOSPC;
  auto client = Connect();
  const auto refused = client.Quit();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kNoSpace);
  EXPECT_TRUE(Mounted());
  shared_.flush_error = 0;
  EXPECT_TRUE(client.Quit().has_value());
  ExpectNothingLeft();
}

// What a process of the machine reads: a process must not use a mount that it may have to wait for.
std::string Shell(const std::string& command) {
  const auto run = io::RunAndCapture({.argv = {"/bin/sh", "-c", command}});
  return run ? run->standard_output + run->standard_error : run.error().message();
}

TEST_F(KeptWorkerTest, ShowsItselfWhereTheRootDoesNotListIt) {
  options_.show_status = true;
  KeptWorker worker = Start();
  ASSERT_TRUE(io::WriteWholeFile(in_mount("file"), "content").has_value());
  EXPECT_EQ(Shell("ls -A " + mountpoint_), "file\n");
  EXPECT_EQ(Shell("find " + mountpoint_ + " -name '.pg*'"), "");
  EXPECT_EQ(Shell("ls -A " + in_mount(".pgstrata")), "stat\nworker.log\nworker.pid\n");
  EXPECT_EQ(Shell("cat " + in_mount(".pgstrata/worker.pid")), std::to_string(worker.process.pid()) + '\n');
  EXPECT_THAT(Shell("cat " + in_mount(".pgstrata/worker.log")), HasSubstr("is mounted at"));
  EXPECT_THAT(Shell("cat " + in_mount(".pgstrata/stat")), HasSubstr("source    /backups/monday"));
  EXPECT_THAT(Shell("rm -rf " + in_mount(".pgstrata")),
              ::testing::AnyOf(HasSubstr("not permitted"), HasSubstr("Permission denied")));
  EXPECT_THAT(Shell("mkdir " + in_mount(".pgstrata")), HasSubstr("exists"));
  EXPECT_TRUE(Connect().Quit().has_value());
}

TEST_F(KeptWorkerTest, WhatItShowsOfItselfIsNeverOld) {
  options_.show_status = true;
  KeptWorker worker = Start();
  const std::string command = "grep '^getattr\\|^lookup' " + in_mount(".pgstrata/stat");
  const std::string first = Shell(command);
  EXPECT_NE(Shell(command), first);
  EXPECT_EQ(Shell("stat -c %s " + in_mount(".pgstrata/worker.pid")),
            std::to_string(std::to_string(worker.process.pid()).size() + 1) + '\n');
}

TEST_F(KeptWorkerTest, LogsInJsonWhereThatIsWanted) {
  options_.log_style = {.format = LogStyle::Format::kJson, .debug = true};
  KeptWorker worker = Start();
  EXPECT_TRUE(Connect().Quit().has_value());
  const std::string log = io::ReadWholeFile(options_.log_file).value();
  std::string messages;
  for (const auto line : SplitLines(log)) {
    const auto json = codec::ParseJson(line);
    ASSERT_TRUE(json.has_value()) << line;
    EXPECT_EQ((*json)["pid"], worker.process.pid());
    messages += (*json)["level"].get<std::string>() + ' ' + (*json)["message"].get<std::string>() + '\n';
  }
  EXPECT_THAT(messages, HasSubstr("info \"/backups/monday\" is mounted at"));
  EXPECT_THAT(messages, HasSubstr("debug asked to quit"));
}

TEST_F(KeptWorkerTest, TellsWhenItBeginsAndThatItEndedInOrderOrNot) {
  const std::string begun = directory_.path() + "/begun";
  const std::string ended = directory_.path() + "/ended";
  volume_.enter = [&] { static_cast<void>(io::WriteWholeFile(begun, std::to_string(::getpid()))); };
  volume_.leave = [&] { static_cast<void>(io::RemoveFile(begun)); };
  options_.after_end = [&](bool clean) { static_cast<void>(io::WriteWholeFile(ended, clean ? "clean" : "cut")); };
  for (const bool force : {false, true}) {
    KeptWorker worker = Start();
    EXPECT_EQ(io::ReadWholeFile(begun).value(), std::to_string(worker.process.pid()));
    EXPECT_TRUE(Connect().Quit(force).has_value());
    EXPECT_FALSE(io::Exists(begun));
    EXPECT_EQ(io::ReadWholeFile(ended).value(), force ? "cut" : "clean");
  }
}

TEST_F(KeptWorkerTest, CallsBackBeforeItUnmountsAndAfterTheEnd) {
  const std::string first = directory_.path() + "/first";
  const std::string second = directory_.path() + "/second";
  options_.before_unmount = [&] { static_cast<void>(io::WriteWholeFile(first, Mounted() ? "mounted" : "gone")); };
  options_.after_end = [&](bool) { static_cast<void>(io::WriteWholeFile(second, Mounted() ? "mounted" : "gone")); };
  KeptWorker worker = Start();
  EXPECT_TRUE(Connect().Quit().has_value());
  EXPECT_EQ(io::ReadWholeFile(first).value(), "mounted");
  EXPECT_EQ(io::ReadWholeFile(second).value(), "gone");
}

TEST_F(KeptWorkerTest, EndsWithItsCallerWhereThatIsWanted) {
  options_.end_with_caller = true;
  const pid_t command = ::fork();
  if (command == 0) {
    auto worker = StartKeptWorker(volume_, options_);
    ::kill(::getpid(), SIGKILL);
  }
  ASSERT_EQ(::waitpid(command, nullptr, 0), command);
  EXPECT_TRUE(Eventually([&] { return !Mounted() && !io::Exists(options_.control_socket); }));
}

// As a container that was started while it was mounted.
TEST_F(KeptWorkerTest, AMountThatAnotherNamespaceHasIsServedOn) {
  if (::geteuid() != 0) return;
  KeptWorker worker = Start();
  ASSERT_TRUE(io::WriteWholeFile(in_mount("file"), "content").has_value());
  const std::string ready = directory_.path() + "/ready";
  const pid_t container = ::fork();
  if (container == 0) {
    if (!test::EnterPrivateMounts(test::CopiedVolumes::kKept)) ::_exit(1);
    static_cast<void>(io::WriteWholeFile(ready, ""));
    for (;;) ::pause();
  }
  ASSERT_TRUE(Eventually([&] { return io::Exists(ready); }));
  auto client = Connect();
  const auto refused = client.Quit();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code(), ErrorCode::kBusy);
  EXPECT_THAT(refused.error().message(), HasSubstr("another mount namespace"));
  EXPECT_FALSE(Mounted());
  EXPECT_TRUE(client.Stat().has_value());
  ::kill(container, SIGKILL);
  ::waitpid(container, nullptr, 0);
  EXPECT_TRUE(EndsWithin(worker.process));
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, ManyQuitsAtOnceAreAllAnswered) {
  KeptWorker worker = Start();
  std::vector<std::thread> threads;
  threads.reserve(8);
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      auto client = ControlClient::Connect(options_.control_socket);
      if (client) static_cast<void>(client->Quit(false, 20s));
    });
  }
  const Stopwatch watch;
  for (auto& thread : threads) thread.join();
  EXPECT_LT(watch.milliseconds(), 15'000);
  EXPECT_TRUE(EndsWithin(worker.process));
  ExpectNothingLeft();
}

TEST_F(KeptWorkerTest, AHungWorkerIsAnErrorAfterTheTime) {
  KeptWorker worker = Start();
  ASSERT_TRUE(worker.process.Signal(SIGSTOP).has_value());
  auto client = Connect();
  const auto stat = client.Stat(false, 100ms);
  ASSERT_FALSE(stat.has_value());
  EXPECT_EQ(stat.error().code(), ErrorCode::kBusy);
  ASSERT_TRUE(worker.process.Signal(SIGCONT).has_value());
}

}  // namespace
}  // namespace pgstrata::worker
