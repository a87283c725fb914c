#include <fcntl.h>

#include "tests/fuse/mounted.h"

namespace pgstrata::fuse {
namespace {
TEST(Operations, WritesAndReads) {
  Mounted mounted;
  const int fd = ::open(mounted.path("f").c_str(), O_RDWR | O_CREAT | O_EXCL, 0640);
  ASSERT_GE(fd, 0) << strerror(errno);
  EXPECT_EQ(::pwrite(fd, "hello", 5, 0), 5);
  char buffer[16];
  EXPECT_EQ(::pread(fd, buffer, sizeof buffer, 0), 5);
  EXPECT_EQ(::fsync(fd), 0);
  EXPECT_EQ(mounted.file_system().syncs, 1U);
  ::close(fd);
}
}  // namespace
}  // namespace pgstrata::fuse
