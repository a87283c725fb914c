// Every operation, through the system calls that a program makes.
#include <dirent.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <set>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/fuse/served.h"

namespace pgstrata::fuse {
namespace {

io::File Open(const std::string& path, int flags, mode_t mode = 0644) {
  auto file = io::File::Open(path, flags, mode);
  if (!file) {
    ADD_FAILURE() << file.error().message();
    return {};
  }
  return *std::move(file);
}

std::string ReadAll(const std::string& path) { return io::ReadWholeFile(path).value_or("(unreadable)"); }

void Write(const std::string& path, std::string_view content) {
  const auto written = io::WriteWholeFile(path, content, 0644);
  ASSERT_TRUE(written.has_value()) << written.error().message();
}

struct stat Stat(const std::string& path) {
  const auto stat = io::StatLink(path);
  EXPECT_TRUE(stat.has_value()) << path;
  return stat.value_or((struct stat){});
}

TEST(Operations, WhatIsWrittenIsReadBack) {
  Served mounted;
  std::string content;
  for (int i = 0; content.size() < 3'000'001; ++i) content += std::to_string(i);
  Write(mounted.path("file"), content);
  EXPECT_EQ(ReadAll(mounted.path("file")), content);
  const io::File file = Open(mounted.path("file"), O_RDONLY);
  ASSERT_EQ(::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  EXPECT_EQ(ReadAll(mounted.path("file")), content);
}

TEST(Operations, CreateHonoursModeUmaskAndExclusion) {
  Served mounted;
  const mode_t before = ::umask(027);
  Open(mounted.path("file"), O_WRONLY | O_CREAT, 0666);
  ::umask(before);
  EXPECT_EQ(Stat(mounted.path("file")).st_mode, static_cast<mode_t>(S_IFREG | 0640));
  EXPECT_EQ(Stat(mounted.path("file")).st_uid, ::getuid());
  EXPECT_EQ(::open(mounted.path("file").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(::open(mounted.path("absent").c_str(), O_RDONLY | O_CLOEXEC), -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST(Operations, AnAbsentNameThatIsCreatedLaterIsFound) {
  Served mounted;
  EXPECT_FALSE(io::Exists(mounted.path("late")));
  EXPECT_FALSE(io::Exists(mounted.path("late")));
  Write(mounted.path("late"), "here");
  EXPECT_EQ(ReadAll(mounted.path("late")), "here");
  ASSERT_EQ(::unlink(mounted.path("late").c_str()), 0);
  EXPECT_FALSE(io::Exists(mounted.path("late")));
  ASSERT_EQ(::symlink("x", mounted.path("late").c_str()), 0);
  EXPECT_EQ(io::ReadLink(mounted.path("late")).value(), "x");
}

TEST(Operations, TruncateAndExtend) {
  Served mounted;
  Write(mounted.path("file"), std::string(10000, 'x'));
  ASSERT_EQ(::truncate(mounted.path("file").c_str(), 5000), 0);
  ASSERT_EQ(::truncate(mounted.path("file").c_str(), 9000), 0);
  EXPECT_EQ(ReadAll(mounted.path("file")), std::string(5000, 'x') + std::string(4000, '\0'));
  Open(mounted.path("file"), O_WRONLY | O_TRUNC);
  EXPECT_EQ(Stat(mounted.path("file")).st_size, 0);
  EXPECT_EQ(ReadAll(mounted.path("file")), "");
}

TEST(Operations, AppendersDoNotOverwriteEachOther) {
  Served mounted;
  Write(mounted.path("log"), "start\n");
  constexpr int kWriters = 4;
  std::vector<std::thread> writers;
  writers.reserve(kWriters);
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&mounted, writer] {
      const io::File file = Open(mounted.path("log"), O_WRONLY | O_APPEND);
      const std::string line = "line of writer " + std::to_string(writer) + '\n';
      for (int i = 0; i < 200; ++i) {
        EXPECT_EQ(::write(file.fd(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(Stat(mounted.path("log")).st_size, static_cast<off_t>(6 + 800 * 17));
}

TEST(Operations, AWriteOnlyOpenMayChangePartOfAPage) {
  Served mounted;
  Write(mounted.path("file"), std::string(8192, 'a'));
  {
    io::File reader = Open(mounted.path("file"), O_RDONLY);
    ASSERT_EQ(::fsync(reader.fd()), 0);
    ASSERT_EQ(::posix_fadvise(reader.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  }
  io::File file = Open(mounted.path("file"), O_WRONLY);
  ASSERT_TRUE(file.WriteAt(100, AsBytes("b")).has_value());
  ASSERT_EQ(::fsync(file.fd()), 0);
  std::string expected(8192, 'a');
  expected[100] = 'b';
  EXPECT_EQ(ReadAll(mounted.path("file")), expected);
}

TEST(Operations, SharedMappingsAreWrittenAndSeen) {
  Served mounted;
  const io::File file = Open(mounted.path("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(file.fd(), 1 << 20), 0);
  auto* memory = static_cast<char*>(::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd(), 0));
  ASSERT_NE(memory, MAP_FAILED);
  memory[500'000] = 'm';
  ASSERT_EQ(::pwrite(file.fd(), "w", 1, 600'000), 1);
  EXPECT_EQ(memory[600'000], 'w');
  ASSERT_EQ(::msync(memory, 1 << 20, MS_SYNC), 0);
  ASSERT_EQ(::munmap(memory, 1 << 20), 0);
  ASSERT_EQ(::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  const std::string content = ReadAll(mounted.path("file"));
  EXPECT_EQ(content[500'000], 'm');
  EXPECT_EQ(content[600'000], 'w');
}

TEST(Operations, DirectIoWorks) {
  Served mounted;
  const io::File file = Open(mounted.path("file"), O_RDWR | O_CREAT | O_DIRECT);
  auto* memory = static_cast<char*>(std::aligned_alloc(4096, 65536));
  std::fill_n(memory, 65536, 'd');
  EXPECT_EQ(::pwrite(file.fd(), memory, 65536, 4096), 65536);
  EXPECT_GE(mounted.controls().written_bytes, 65536U);
  std::fill_n(memory, 65536, ' ');
  EXPECT_EQ(::pread(file.fd(), memory, 8192, 8192), 8192);
  EXPECT_EQ(std::string(memory, 8192), std::string(8192, 'd'));
  std::free(memory);
}

TEST(Operations, LargeTransfersTravelAsWholeMebibytes) {
  Served mounted;
  RaiseBdiLimits(mounted.mount());
  const std::string content(16 << 20, 'z');
  io::File file = Open(mounted.path("file"), O_RDWR | O_CREAT);
  ASSERT_TRUE(file.WriteAt(0, AsBytes(content)).has_value());
  ASSERT_EQ(::fsync(file.fd()), 0);
  EXPECT_LE(mounted.controls().writes, 40U);
  ASSERT_EQ(::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
  mounted.controls().reads = 0;
  EXPECT_EQ(ReadAll(mounted.path("file")), content);
  EXPECT_LE(mounted.controls().reads, ::geteuid() == 0 ? 48U : 160U);
}

TEST(Operations, PagesStayCachedOverOpens) {
  Served mounted;
  Write(mounted.path("file"), std::string(1 << 20, 'c'));
  ReadAll(mounted.path("file"));
  const uint64_t before = mounted.controls().reads;
  for (int i = 0; i < 10; ++i) ReadAll(mounted.path("file"));
  EXPECT_EQ(mounted.controls().reads, before);
}

TEST(Operations, ClosingACleanFileCostsNothing) {
  Served mounted;
  Write(mounted.path("file"), std::string(1 << 20, 'c'));
  const uint64_t written = mounted.controls().writes;
  for (int i = 0; i < 5; ++i) Open(mounted.path("file"), O_RDWR);
  EXPECT_EQ(mounted.controls().writes, written);
  EXPECT_EQ(mounted.controls().syncs, 0U);
}

TEST(Operations, RenameReplacesRefusesAndExchanges) {
  Served mounted;
  Write(mounted.path("a"), "a");
  Write(mounted.path("b"), "b");
  EXPECT_EQ(::renameat2(AT_FDCWD, mounted.path("a").c_str(), AT_FDCWD, mounted.path("b").c_str(), RENAME_NOREPLACE),
            -1);
  EXPECT_EQ(errno, EEXIST);
  ASSERT_EQ(::renameat2(AT_FDCWD, mounted.path("a").c_str(), AT_FDCWD, mounted.path("b").c_str(), RENAME_EXCHANGE), 0);
  EXPECT_EQ(ReadAll(mounted.path("a")), "b");
  EXPECT_EQ(ReadAll(mounted.path("b")), "a");
  ASSERT_EQ(::rename(mounted.path("a").c_str(), mounted.path("b").c_str()), 0);
  EXPECT_EQ(ReadAll(mounted.path("b")), "b");
  EXPECT_FALSE(io::Exists(mounted.path("a")));
  EXPECT_EQ(::renameat2(AT_FDCWD, mounted.path("b").c_str(), AT_FDCWD, mounted.path("c").c_str(), RENAME_WHITEOUT), -1);
  EXPECT_EQ(errno, EINVAL);
}

TEST(Operations, DirectoriesAreMadeMovedAndRemoved) {
  Served mounted;
  ASSERT_EQ(::mkdir(mounted.path("one").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir(mounted.path("one/two").c_str(), 0750), 0);
  EXPECT_EQ(Stat(mounted.path("one")).st_nlink, 3U);
  EXPECT_EQ(Stat(mounted.path("one/two")).st_mode, static_cast<mode_t>(S_IFDIR | 0750));
  EXPECT_EQ(::rmdir(mounted.path("one").c_str()), -1);
  EXPECT_EQ(errno, ENOTEMPTY);
  ASSERT_EQ(::rename(mounted.path("one/two").c_str(), mounted.path("two").c_str()), 0);
  EXPECT_EQ(Stat(mounted.path("two/..")).st_ino, Stat(mounted.path()).st_ino);
  ASSERT_EQ(::rmdir(mounted.path("one").c_str()), 0);
  ASSERT_EQ(::rmdir(mounted.path("two").c_str()), 0);
}

TEST(Operations, HardLinksShareContentAndCount) {
  Served mounted;
  Write(mounted.path("a"), "shared");
  ASSERT_EQ(::link(mounted.path("a").c_str(), mounted.path("b").c_str()), 0);
  EXPECT_EQ(Stat(mounted.path("a")).st_nlink, 2U);
  EXPECT_EQ(Stat(mounted.path("a")).st_ino, Stat(mounted.path("b")).st_ino);
  ASSERT_EQ(::unlink(mounted.path("a").c_str()), 0);
  EXPECT_EQ(Stat(mounted.path("b")).st_nlink, 1U);
  EXPECT_EQ(ReadAll(mounted.path("b")), "shared");
}

TEST(Operations, SymbolicLinksKeepTheirText) {
  Served mounted;
  const std::string target = std::string(300, 'x') + "/relative";
  ASSERT_EQ(::symlink(target.c_str(), mounted.path("link").c_str()), 0);
  EXPECT_EQ(io::ReadLink(mounted.path("link")).value(), target);
  EXPECT_TRUE(S_ISLNK(Stat(mounted.path("link")).st_mode));
}

TEST(Operations, AnUnlinkedFileLivesWhileItIsOpenAndIsForgottenAfterwards) {
  Served mounted;
  {
    const io::File file = Open(mounted.path("file"), O_RDWR | O_CREAT);
    ASSERT_EQ(::write(file.fd(), "content", 7), 7);
    ASSERT_EQ(::unlink(mounted.path("file").c_str()), 0);
    struct stat stat{};
    ASSERT_EQ(::fstat(file.fd(), &stat), 0);
    EXPECT_EQ(stat.st_nlink, 0U);
    std::string buffer(7, ' ');
    EXPECT_EQ(::pread(file.fd(), buffer.data(), 7, 0), 7);
    EXPECT_EQ(buffer, "content");
  }
  for (int i = 0; i < 1000 && mounted.controls().inodes != 1; ++i) ::usleep(2000);
  EXPECT_EQ(mounted.controls().inodes, 1U);  // the root
}

TEST(Operations, AttributesAreSet) {
  Served mounted;
  Write(mounted.path("file"), "x");
  ASSERT_EQ(::chmod(mounted.path("file").c_str(), 04711), 0);
  EXPECT_EQ(Stat(mounted.path("file")).st_mode, static_cast<mode_t>(S_IFREG | 04711));
  const std::array<timespec, 2> times{timespec{.tv_sec = 1000, .tv_nsec = 1}, timespec{.tv_sec = 2000, .tv_nsec = 2}};
  ASSERT_EQ(::utimensat(AT_FDCWD, mounted.path("file").c_str(), times.data(), 0), 0);
  EXPECT_EQ(Stat(mounted.path("file")).st_atim.tv_sec, 1000);
  EXPECT_EQ(Stat(mounted.path("file")).st_mtim.tv_sec, 2000);
  EXPECT_EQ(Stat(mounted.path("file")).st_mtim.tv_nsec, 2);
  ASSERT_EQ(::utimensat(AT_FDCWD, mounted.path("file").c_str(), nullptr, 0), 0);
  EXPECT_GT(Stat(mounted.path("file")).st_mtim.tv_sec, 1'000'000'000);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(mounted.path("file").c_str(), 12, 34), 0);
    EXPECT_EQ(Stat(mounted.path("file")).st_uid, 12U);
    EXPECT_EQ(Stat(mounted.path("file")).st_gid, 34U);
  }
}

TEST(Operations, FallocateExtendsPunchesAndZeroes) {
  Served mounted;
  const std::string path = mounted.path("file");
  Write(path, std::string(16384, 'x'));
  const io::File file = Open(path, O_RDWR);
  ASSERT_EQ(::posix_fallocate(file.fd(), 0, 32768), 0);
  EXPECT_EQ(Stat(path).st_size, 32768);
  ASSERT_EQ(::fallocate(file.fd(), FALLOC_FL_KEEP_SIZE, 32768, 4096), 0);
  EXPECT_EQ(Stat(path).st_size, 32768);
  ASSERT_EQ(::fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096), 0);
  ASSERT_EQ(::fallocate(file.fd(), FALLOC_FL_ZERO_RANGE, 12000, 100), 0);
  std::string expected = std::string(16384, 'x') + std::string(16384, '\0');
  expected.replace(4096, 4096, 4096, '\0').replace(12000, 100, 100, '\0');
  EXPECT_EQ(ReadAll(path), expected);
  EXPECT_EQ(::fallocate(file.fd(), FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST(Operations, DirtyDataAreNeverAHole) {
  Served mounted;
  const io::File file = Open(mounted.path("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(file.fd(), 4 << 20), 0);
  ASSERT_EQ(::pwrite(file.fd(), "data", 4, 1 << 20), 4);
  const off_t data = ::lseek(file.fd(), 0, SEEK_DATA);
  EXPECT_GE(data, 0);
  EXPECT_LE(data, 1 << 20);
  EXPECT_GT(::lseek(file.fd(), 1 << 20, SEEK_HOLE), 1 << 20);
}

TEST(Operations, HolesAreFoundWithoutAWriteBackCache) {
  Served mounted({.writeback = false});
  const io::File file = Open(mounted.path("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(file.fd(), 4 << 20), 0);
  ASSERT_EQ(::pwrite(file.fd(), "data", 4, 1 << 20), 4);
  EXPECT_EQ(::lseek(file.fd(), 0, SEEK_DATA), 1 << 20);
  EXPECT_EQ(::lseek(file.fd(), 1 << 20, SEEK_HOLE), (1 << 20) + 4096);
  EXPECT_EQ(::lseek(file.fd(), 2 << 20, SEEK_DATA), -1);
  EXPECT_EQ(errno, ENXIO);
}

TEST(Operations, CopyFileRangeCopiesDirtyData) {
  Served mounted;
  std::string content(300'000, 'c');
  content[250'000] = '!';
  Write(mounted.path("from"), content);
  const io::File from = Open(mounted.path("from"), O_RDONLY);
  const io::File to = Open(mounted.path("to"), O_RDWR | O_CREAT);
  off_t from_offset = 1000;
  off_t to_offset = 4096;
  EXPECT_EQ(::copy_file_range(from.fd(), &from_offset, to.fd(), &to_offset, 1 << 20, 0), 299'000);
  EXPECT_EQ(ReadAll(mounted.path("to")), std::string(4096, '\0') + content.substr(1000));
}

TEST(Operations, SyncReachesTheFileSystem) {
  Served mounted;
  io::File file = Open(mounted.path("file"), O_RDWR | O_CREAT);
  ASSERT_TRUE(file.WriteAt(0, AsBytes("x")).has_value());
  ASSERT_EQ(::fdatasync(file.fd()), 0);
  EXPECT_EQ(mounted.controls().syncs, 1U);
  EXPECT_GE(mounted.controls().writes, 1U);
  ASSERT_EQ(::fsync(file.fd()), 0);
  EXPECT_EQ(mounted.controls().syncs, 2U);
  ASSERT_EQ(::fsync(Open(mounted.path(), O_RDONLY | O_DIRECTORY).fd()), 0);
  EXPECT_EQ(mounted.controls().directory_syncs, 1U);
}

TEST(Operations, ErrorsOfTheFileSystemAreErrorsAndAreNotRemembered) {
  Served mounted;
  Write(mounted.path("file"), std::string(100'000, 'x'));
  io::File file = Open(mounted.path("file"), O_RDWR);
  ASSERT_EQ(::fsync(file.fd()), 0);
  for (const int error : {EIO, ENOSPC, ENOSYS}) {
    ASSERT_EQ(::posix_fadvise(file.fd(), 0, 0, POSIX_FADV_DONTNEED), 0);
    mounted.controls().fail_with = error;
    std::string buffer(4096, ' ');
    EXPECT_EQ(::pread(file.fd(), buffer.data(), buffer.size(), 8192), -1);
    EXPECT_EQ(::fsync(file.fd()), -1);
    mounted.controls().fail_with = 0;
    EXPECT_EQ(::pread(file.fd(), buffer.data(), buffer.size(), 8192), 4096);
    EXPECT_EQ(buffer, std::string(4096, 'x'));
    EXPECT_EQ(::fsync(file.fd()), 0);
  }
}

TEST(Operations, AFailedWriteBackIsToldByFsync) {
  Served mounted;
  io::File file = Open(mounted.path("file"), O_RDWR | O_CREAT);
  ASSERT_TRUE(file.WriteAt(0, AsBytes(std::string(8192, 'x'))).has_value());
  mounted.controls().fail_with = ENOSPC;
  EXPECT_EQ(::fsync(file.fd()), -1);
  mounted.controls().fail_with = 0;
}

TEST(Operations, SpaceIsTold) {
  Served mounted;
  struct statvfs stat{};
  ASSERT_EQ(::statvfs(mounted.path().c_str(), &stat), 0);
  EXPECT_EQ(stat.f_bsize, 4096U);
  EXPECT_EQ(stat.f_blocks, 1000U);
  EXPECT_EQ(stat.f_bavail, 400U);
  EXPECT_EQ(stat.f_ffree, 50U);
  EXPECT_EQ(stat.f_namemax, 255U);
}

TEST(Operations, SpecialFilesThatAFileSystemHasNotAndExtendedAttributesAreRefused) {
  Served mounted;
  EXPECT_EQ(::mkfifo(mounted.path("fifo").c_str(), 0600), -1);
  EXPECT_EQ(errno, EPERM);
  ASSERT_EQ(::mknod(mounted.path("file").c_str(), S_IFREG | 0600, 0), 0);
  EXPECT_EQ(::setxattr(mounted.path("file").c_str(), "user.x", "y", 1, 0), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
}

TEST(Operations, RootsOfTwoMountsHaveDifferentInodeNumbers) {
  Served one({}, 1001);
  Served two({}, 1002);
  EXPECT_EQ(Stat(one.path()).st_ino, 1001U);
  EXPECT_EQ(Stat(two.path()).st_ino, 1002U);
  EXPECT_NE(Stat(one.path()).st_dev, Stat(two.path()).st_dev);
  EXPECT_EQ(Stat(one.path()).st_dev, one.mount().device());
}

TEST(Operations, AReadOnlyMountRefusesChanges) {
  Served mounted({.read_only = true});
  EXPECT_EQ(::mkdir(mounted.path("x").c_str(), 0700), -1);
  EXPECT_EQ(errno, EROFS);
  EXPECT_TRUE(mounted.mount().read_only);
}

struct RawEntry {
  uint64_t inode;
  int64_t next;
  uint16_t length;
  uint8_t type;
  char name[];  // NOLINT: as getdents64(2) has it
};

// One pass with small replies; `between` is called after each.
std::map<std::string, std::pair<uint8_t, uint64_t>> List(const std::string& path, const auto& between) {
  std::map<std::string, std::pair<uint8_t, uint64_t>> found;
  const io::File directory = Open(path, O_RDONLY | O_DIRECTORY);
  alignas(8) std::array<char, 4096> buffer{};
  for (;;) {
    const long size = ::syscall(SYS_getdents64, directory.fd(), buffer.data(), buffer.size());
    EXPECT_GE(size, 0);
    if (size <= 0) return found;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const RawEntry*>(buffer.data() + at);
      EXPECT_TRUE(found.try_emplace(entry->name, entry->type, entry->inode).second) << entry->name << " twice";
      at += entry->length;
    }
    between(found);
  }
}

TEST(Operations, DirectoriesAreListedWithTypesAndInodes) {
  Served mounted;
  ASSERT_EQ(::mkdir(mounted.path("dir").c_str(), 0700), 0);
  ASSERT_EQ(::mkdir(mounted.path("dir/sub").c_str(), 0700), 0);
  ASSERT_EQ(::symlink("x", mounted.path("dir/link").c_str()), 0);
  Write(mounted.path("dir/file"), "");
  const auto found = List(mounted.path("dir"), [](const auto&) {});
  ASSERT_EQ(found.size(), 5U);
  EXPECT_EQ(found.at("sub").first, DT_DIR);
  EXPECT_EQ(found.at("link").first, DT_LNK);
  EXPECT_EQ(found.at("file").first, DT_REG);
  EXPECT_EQ(found.at("file").second, Stat(mounted.path("dir/file")).st_ino);
  EXPECT_EQ(found.at(".").second, Stat(mounted.path("dir")).st_ino);
  EXPECT_EQ(found.at("..").second, Stat(mounted.path()).st_ino);
}

TEST(Operations, EveryEntryThatStaysIsListedOnceWhileOthersAreRemoved) {
  Served mounted;
  constexpr int kFiles = 10'000;
  const auto name = [](int i) { return "relation_" + std::to_string(i); };
  for (int i = 0; i < kFiles; ++i) Open(mounted.path(name(i)), O_WRONLY | O_CREAT);
  int next_victim = 0;  // even numbers go, forwards; odd ones stay
  const auto found = List(mounted.path(), [&](const auto&) {
    for (int i = 0; i < 100 && next_victim < kFiles; ++i, next_victim += 2) {
      ASSERT_EQ(::unlink(mounted.path(name(next_victim)).c_str()), 0);
    }
  });
  for (int i = 1; i < kFiles; i += 2) {
    ASSERT_TRUE(found.contains(name(i))) << i;
    ASSERT_EQ(found.at(name(i)).first, DT_REG);
  }
  const auto left = List(mounted.path(), [](const auto&) {});
  EXPECT_LE(left.size(), kFiles / 2U + 2U + (kFiles / 2U - static_cast<unsigned>(next_victim) / 2U));
}

TEST(Operations, ManyReadersAndWritersSeeTheirOwnBlocks) {
  Served mounted;
  constexpr size_t kBlock = 8192;
  constexpr int kBlocks = 400;
  const io::File shared = Open(mounted.path("file"), O_RDWR | O_CREAT);
  ASSERT_EQ(::ftruncate(shared.fd(), kBlock * kBlocks), 0);
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      io::File file = Open(mounted.path("file"), O_RDWR);
      std::string content(kBlock, static_cast<char>('a' + thread));
      std::string seen(kBlock, ' ');
      for (int round = 0; round < 5; ++round) {
        for (int block = thread; block < kBlocks; block += kThreads) {
          const auto offset = static_cast<uint64_t>(block) * kBlock;
          EXPECT_TRUE(file.WriteAt(offset, AsBytes(content)).has_value());
          if (block % 40 < 8) {
            EXPECT_EQ(::fdatasync(file.fd()), 0);
          }
          ::posix_fadvise(file.fd(), static_cast<off_t>(offset), kBlock, POSIX_FADV_DONTNEED);
          EXPECT_EQ(file.ReadAt(offset, std::as_writable_bytes(std::span(seen))).value_or(0), seen.size());
          EXPECT_EQ(seen, content);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace pgstrata::fuse
