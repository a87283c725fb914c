// A MemoryFileSystem that another process mounts and serves. A process must not use a mount that it serves itself:
// unmapping a dirty page waits for an answer while it holds what the answering thread needs to touch its memory, and a
// process that is killed while its files are dirty waits for itself for ever.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <new>
#include <string>

#include "foundation/io/process.h"
#include "tests/fuse/transport.h"
#include "tests/support/memory_file_system.h"
#include "volume/fuse/mount.h"
#include "volume/fuse/session.h"

namespace pgstrata::fuse {

// The mount is there from construction to destruction. Construction aborts the test program where mounting fails.
class Served {
 public:
  explicit Served(MountOptions options = {}, uint64_t root_shown_inode = 1) {
    void* shared = ::mmap(nullptr, sizeof(test::MemoryFileSystemControls), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    controls_ = ::new (shared) test::MemoryFileSystemControls;
    std::string pattern = "/tmp/pgstrata-fuse-XXXXXX";
    mountpoint_ = ::mkdtemp(pattern.data());
    options.mountpoint = mountpoint_;
    if (options.transport == TransportChoice::kFastest) options.transport = WantedTransport();
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid == 0) Serve(options, root_shown_inode, parent);
    process_ = *io::Process::Adopt(pid);
    while (!FindMount(mountpoint_)->has_value()) {
      if (process_.Wait(std::chrono::milliseconds(1))->has_value()) std::abort();
    }
  }
  ~Served() {
    if (const auto ended = process_.End(SIGKILL, std::chrono::seconds(1)); !ended) ADD_FAILURE() << "not ended";
    EXPECT_TRUE(Unmount(mountpoint_, {}).has_value());
    EXPECT_EQ(::rmdir(mountpoint_.c_str()), 0);
    ::munmap(controls_, sizeof *controls_);
  }
  Served(const Served&) = delete;
  Served& operator=(const Served&) = delete;

  [[nodiscard]] const std::string& path() const { return mountpoint_; }
  [[nodiscard]] std::string path(const std::string& name) const { return mountpoint_ + '/' + name; }
  [[nodiscard]] MountEntry mount() const { return **FindMount(mountpoint_); }
  test::MemoryFileSystemControls& controls() { return *controls_; }
  void Kill() {
    ASSERT_TRUE(process_.Signal(SIGKILL).has_value());
    ASSERT_TRUE(process_.Wait().has_value());
  }

 private:
  [[noreturn]] void Serve(const MountOptions& options, uint64_t root_shown_inode, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    test::MemoryFileSystem file_system({.uid = ::getuid(), .gid = ::getgid()}, root_shown_inode, controls_);
    const auto session = Session::Mount(file_system, options);
    if (!session) {
      ::fprintf(stderr, "%s; %s\n", session.error().message().c_str(), session.error().hint().c_str());
      ::_exit(1);
    }
    [[maybe_unused]] const auto served = (*session)->Serve();
    ::_exit(0);
  }

  test::MemoryFileSystemControls* controls_ = nullptr;
  std::string mountpoint_;
  io::Process process_;
};

}  // namespace pgstrata::fuse
