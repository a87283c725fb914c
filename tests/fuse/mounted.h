// A mounted MemoryFileSystem, served by threads of the test process: for what a Session itself does. See served.h for
// why nothing here may map a file of it or leave one dirty.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/fuse/transport.h"
#include "tests/support/memory_file_system.h"
#include "volume/fuse/mount.h"
#include "volume/fuse/session.h"

namespace pgstrata::fuse {

class Mounted {
 public:
  explicit Mounted(MountOptions options = {}, uint64_t root_shown_inode = 1)
      : file_system_({.uid = ::getuid(), .gid = ::getgid()}, root_shown_inode) {
    std::string pattern = "/tmp/pgstrata-fuse-XXXXXX";
    mountpoint_ = ::mkdtemp(pattern.data());
    options.mountpoint = mountpoint_;
    if (options.transport == TransportChoice::kFastest) options.transport = WantedTransport();
    auto session = Session::Mount(file_system_, options);
    if (!session) {
      ADD_FAILURE() << session.error().message() << "; " << session.error().hint();
      std::abort();
    }
    session_ = *std::move(session);
    server_ = std::thread([this] { status_ = session_->Serve(); });
    if (!options.read_only) LearnThatFlushIsAbsent();
  }
  ~Mounted() { End(); }
  Mounted(const Mounted&) = delete;
  Mounted& operator=(const Mounted&) = delete;

  void End() {
    if (!session_) return;
    session_->Stop();
    server_.join();
    EXPECT_TRUE(status_.has_value()) << status_.error().message();
    session_.reset();
    EXPECT_EQ(::rmdir(mountpoint_.c_str()), 0);
  }

  [[nodiscard]] const std::string& path() const { return mountpoint_; }
  [[nodiscard]] std::string path(const std::string& name) const { return mountpoint_ + '/' + name; }
  test::MemoryFileSystem& file_system() { return file_system_; }
  Session& session() { return *session_; }

 private:
  // A server must not use its own mount, as this program does: killed while it has a file open and the kernel does not
  // know yet that there is no FLUSH, it would wait for its own answer for ever.
  void LearnThatFlushIsAbsent() {
    const std::string name = path("flush");
    EXPECT_TRUE(io::WriteWholeFile(name, "").has_value());
    EXPECT_EQ(::unlink(name.c_str()), 0);
  }

  test::MemoryFileSystem file_system_;
  std::string mountpoint_;
  std::unique_ptr<Session> session_;
  Status status_;
  std::thread server_;
};

}  // namespace pgstrata::fuse
