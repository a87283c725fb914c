// A disk of half a megabyte: a tmpfs in a mount namespace of a child's own, for which no rights are needed.
#include <fcntl.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>

#include "foundation/io/fd.h"
#include "tests/layer/volume_fixture.h"
#include "tests/support/private_mounts.h"
#include "tests/support/scratch_directory.h"
#include "tests/vfs/conformance/suite.h"

namespace pgstrata::layer {
namespace {

constexpr size_t kFileSize = 1 << 20;

bool WriteTo(const char* path, const std::string& text) {
  const io::UniqueFd file(::open(path, O_WRONLY | O_CLOEXEC));
  return ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// A user without rights becomes the master of namespaces of its own, in which it is who it was.
bool LeaveForOwnNamespaces() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (uid == 0) return test::EnterPrivateMounts();
  return ::unshare(CLONE_NEWUSER) == 0 && WriteTo("/proc/self/uid_map", fmt::format("{0} {0} 1", uid)) &&
         WriteTo("/proc/self/setgroups", "deny") && WriteTo("/proc/self/gid_map", fmt::format("{0} {0} 1", gid)) &&
         test::EnterPrivateMounts();
}

bool MountSmallDisk(const std::string& mountpoint) {
  return LeaveForOwnNamespaces() && ::mount("none", mountpoint.c_str(), "tmpfs", 0, "size=512k") == 0;
}

std::string Content(Volume& volume, vfs::Inode inode) {
  std::string bytes(volume.GetAttributes(inode)->size, '?');
  const auto count = volume.Read(inode, 0, std::as_writable_bytes(std::span(bytes)));
  return count ? bytes : "errno " + std::to_string(count.error().value);
}

// Runs `check` with a volume whose layer is on the small disk, in a process of its own; it prints what is wrong.
void OnSmallDisk(const std::function<void(Volume&)>& check) {
  const test::ScratchDirectory place;
  const auto run = [&] {
    if (!MountSmallDisk(place.path())) {
      std::perror("mounting a small disk");
      ::_exit(2);
    }
    {
      const auto volume = MakeVolume(ImageOf({{"f", std::string(kFileSize, 'o')}}), place.path() + "/layer");
      check(*volume);
    }
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

TEST(FullDiskTest, WriteIsAnErrorAndOldBytesStay) {
  OnSmallDisk([](Volume& volume) {
    const vfs::Inode file = volume.Lookup(vfs::kRootInode, "f")->inode;
    std::string expected(kFileSize, 'o');
    uint64_t at = 0;
    int error = 0;
    for (; at < kFileSize && error == 0; at += error == 0 ? kBlock : 0) {
      error = vfs::ErrorOf(volume.Write(file, at, AsBytes(std::string(kBlock, 'n'))));
      if (error == 0) expected.replace(at, kBlock, std::string(kBlock, 'n'));
    }
    EXPECT_EQ(error, ENOSPC);
    EXPECT_EQ(vfs::ErrorOf(volume.Write(file, at + 5, AsBytes("n"))), ENOSPC);
    EXPECT_TRUE(vfs::SameBytes(Content(volume, file), expected));
    // What is there can be overwritten, and hidden by zeros.
    EXPECT_EQ(vfs::ErrorOf(volume.Write(file, 0, AsBytes(std::string(kBlock, 'm')))), 0);
    EXPECT_EQ(vfs::ErrorOf(volume.Write(file, at + kBlock, AsBytes(std::string(kBlock, '\0')))), 0);
    expected.replace(0, kBlock, std::string(kBlock, 'm'));
    expected.replace(at + kBlock, kBlock, std::string(kBlock, '\0'));
    EXPECT_TRUE(vfs::SameBytes(Content(volume, file), expected));
  });
}

TEST(FullDiskTest, WritesSucceedAgainWhenThereIsRoom) {
  OnSmallDisk([](Volume& volume) {
    const vfs::Inode file = volume.Lookup(vfs::kRootInode, "f")->inode;
    const vfs::Inode filler = volume.CreateFile(vfs::kRootInode, "filler", 0600, {})->inode;
    uint64_t filled = 0;
    while (volume.Write(filler, filled, AsBytes(std::string(kBlock, 'x'))).has_value()) filled += kBlock;
    EXPECT_EQ(vfs::ErrorOf(volume.Write(file, 0, AsBytes("n"))), ENOSPC);
    EXPECT_EQ(vfs::ErrorOf(volume.SetAttributes(filler, {.size = filled / 2})), 0);
    EXPECT_EQ(vfs::ErrorOf(volume.Write(file, 0, AsBytes("n"))), 0);
    EXPECT_EQ(vfs::ErrorOf(volume.Unlink(vfs::kRootInode, "filler")), 0);
    volume.Forget(filler, 1);
    EXPECT_EQ(vfs::ErrorOf(volume.Write(file, 100'000, AsBytes(std::string(300'000, 'n')))), 0);
    std::string expected(kFileSize, 'o');
    expected[0] = 'n';
    expected.replace(100'000, 300'000, std::string(300'000, 'n'));
    EXPECT_TRUE(vfs::SameBytes(Content(volume, file), expected));
  });
}

TEST(FullDiskTest, AllocationOfMoreThanThereIsIsRefused) {
  OnSmallDisk([](Volume& volume) {
    const vfs::Inode file = volume.CreateFile(vfs::kRootInode, "g", 0600, {})->inode;
    EXPECT_EQ(vfs::ErrorOf(volume.Allocate(file, {}, 0, 1 << 20)), ENOSPC);
    EXPECT_EQ(volume.GetAttributes(file)->size, 0U);
    EXPECT_EQ(vfs::ErrorOf(volume.Allocate(file, {}, 0, 1 << 16)), 0);
    EXPECT_EQ(volume.GetAttributes(file)->size, uint64_t{1} << 16);
  });
}

// A removal has to be durable before it gives space back, and that takes room in the log.
TEST(FullDiskTest, ADurableVolumeHealsOnADiskThatWasFull) {
  const test::ScratchDirectory place;
  const auto run = [&] {
    if (!MountSmallDisk(place.path())) ::_exit(2);
    const auto image = ImageOf({{"f", std::string(kFileSize, 'o')}});
    const std::string layer = place.path() + "/layer";
    auto volume = OpenVolume(image, {layer});
    const vfs::Inode filler = volume->CreateFile(vfs::kRootInode, "filler", 0600, {})->inode;
    EXPECT_TRUE(volume->Flush().has_value());
    uint64_t filled = 0;
    while (volume->Write(filler, filled, AsBytes(std::string(kBlock, 'x'))).has_value()) filled += kBlock;
    EXPECT_GT(filled, 10 * kBlock);
    EXPECT_EQ(vfs::ErrorOf(volume->Sync(filler, false)), 0);
    const vfs::Inode file = volume->Lookup(vfs::kRootInode, "f")->inode;
    EXPECT_EQ(vfs::ErrorOf(volume->Write(file, 0, AsBytes("n"))), ENOSPC);
    EXPECT_EQ(vfs::ErrorOf(volume->Unlink(vfs::kRootInode, "filler")), 0);
    volume->Forget(filler, 1);
    EXPECT_TRUE(volume->Tend().has_value());
    EXPECT_EQ(vfs::ErrorOf(volume->Write(file, 0, AsBytes("n"))), 0);
    EXPECT_EQ(vfs::ErrorOf(volume->Sync(file, false)), 0);
    volume.reset();
    volume = OpenVolume(image, {layer});
    EXPECT_EQ(Content(*volume, volume->Lookup(vfs::kRootInode, "f")->inode)[0], 'n');
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  };
  EXPECT_EXIT(run(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pgstrata::layer
