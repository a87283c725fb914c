// The interface that a mount serves: the file operations of POSIX by inode number, as the kernel asks for them. Every
// implementation passes tests/vfs/conformance.
//
// Threads: every function may be called from several threads at once, also on one inode.
// Errors are bare errno values: they go straight back to the kernel; an implementation logs what a person should know.
// A failed read is EIO, never zeros; a failed write is an error, never silence.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <cerrno>
#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "foundation/base/bytes.h"

namespace pgstrata::vfs {

struct Errno {
  int value = 0;
};
template <typename T>
using FsResult = std::expected<T, Errno>;
using FsStatus = std::expected<void, Errno>;
inline std::unexpected<Errno> FsError(int error_number) { return std::unexpected(Errno{error_number}); }

// The address of an inode. Never used again within one FileSystem.
struct Inode {
  uint64_t value = 0;
  auto operator<=>(const Inode&) const = default;
};
constexpr Inode kRootInode{1};

struct Attributes {
  Inode inode;
  uint64_t shown_inode = 0;  // st_ino; for the root it differs between volumes (trap 42)
  mode_t mode = 0;           // type and permission bits
  dev_t device = 0;          // of a character or block device: st_rdev
  uint64_t link_count = 1;
  uid_t uid = 0;
  gid_t gid = 0;
  uint64_t size = 0;
  uint64_t blocks = 0;  // of 512 bytes
  timespec accessed{};
  timespec modified{};
  timespec changed{};
  // The name may stand for another inode the next time, and nobody is to remember which one it was.
  bool passing = false;
};

struct AttributeChange {
  std::optional<mode_t> mode;  // permission bits
  std::optional<uid_t> uid;
  std::optional<gid_t> gid;
  std::optional<uint64_t> size;  // truncates or extends with zeros
  std::optional<timespec> accessed;
  std::optional<timespec> modified;
};

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

struct DirectoryEntry {
  std::string_view name;  // valid during the call only
  Inode inode;
  uint64_t shown_inode = 0;
  mode_t type = 0;  // S_IFREG, S_IFDIR, S_IFLNK, ...: always known (trap 41)
  uint64_t next_cookie = 0;
};
// Returns false when the entry did not fit; it is then offered again by the next call.
using DirectoryVisitor = std::function<bool(const DirectoryEntry&)>;

enum class SeekTarget { kData, kHole };
enum class RenameMode { kReplace, kNoReplace, kExchange };

struct AllocationMode {
  bool keep_size = false;
  bool punch_hole = false;  // with keep_size: [offset, offset + length) reads as zeros and is given back
  bool zero_range = false;  // [offset, offset + length) reads as zeros
};

struct SpaceInfo {
  uint64_t block_size = 4096;
  uint64_t total_blocks = 0;
  uint64_t free_blocks = 0;
  uint64_t files = 0;
  uint64_t free_files = 0;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // References: Lookup, Create*, Make* and Link give the caller one reference to the inode that they return; Forget
  // gives them back. An inode without a name lives until its last reference is gone.
  virtual FsResult<Attributes> Lookup(Inode parent, std::string_view name) = 0;
  virtual void Forget(Inode inode, uint64_t references) = 0;

  virtual FsResult<Attributes> GetAttributes(Inode inode) = 0;
  virtual FsResult<Attributes> SetAttributes(Inode inode, const AttributeChange& change) = 0;
  virtual FsResult<std::string> ReadLink(Inode inode) = 0;

  // `mode` holds permission bits. EEXIST where the name is taken.
  virtual FsResult<Attributes> CreateFile(Inode parent, std::string_view name, mode_t mode, Owner owner) = 0;
  virtual FsResult<Attributes> MakeDirectory(Inode parent, std::string_view name, mode_t mode, Owner owner) = 0;
  // A fifo, socket, character or block device (the type is in `mode`): a name with attributes, which the kernel gives
  // its meaning. EPERM where there are none.
  virtual FsResult<Attributes> MakeSpecial(Inode /*parent*/, std::string_view /*name*/, mode_t /*mode*/,
                                           dev_t /*device*/, Owner /*owner*/) {
    return FsError(EPERM);
  }
  virtual FsResult<Attributes> MakeLink(Inode parent, std::string_view name, std::string_view target, Owner owner) = 0;
  // A further name of a file (not of a directory: EPERM).
  virtual FsResult<Attributes> Link(Inode inode, Inode parent, std::string_view name) = 0;
  virtual FsStatus Unlink(Inode parent, std::string_view name) = 0;
  virtual FsStatus RemoveDirectory(Inode parent, std::string_view name) = 0;
  virtual FsStatus Rename(Inode parent, std::string_view name, Inode new_parent, std::string_view new_name,
                          RenameMode mode) = 0;

  // Fewer bytes than out.size() only at the end of the file.
  virtual FsResult<size_t> Read(Inode inode, uint64_t offset, MutableBytes out) = 0;
  // Writes all of `bytes`, or fails and may have written a part.
  virtual FsStatus Write(Inode inode, uint64_t offset, ByteView bytes) = 0;
  virtual FsStatus Allocate(Inode inode, AllocationMode mode, uint64_t offset, uint64_t length) = 0;
  // ENXIO at or beyond the end of the file.
  virtual FsResult<uint64_t> Seek(Inode inode, uint64_t offset, SeekTarget target) = 0;
  // Copies up to `length` bytes; returns how many (fewer at the end of the source).
  virtual FsResult<uint64_t> CopyRange(Inode from, uint64_t from_offset, Inode to, uint64_t to_offset,
                                       uint64_t length) = 0;
  virtual FsStatus Sync(Inode inode, bool data_only) = 0;

  // Entries from `cookie` on (0 is the beginning), without "." and "..". An entry that stays is offered exactly once in
  // a pass over all cookies, whatever is created or removed meanwhile.
  virtual FsStatus ReadDirectory(Inode inode, uint64_t cookie, const DirectoryVisitor& visit) = 0;
  virtual FsStatus SyncDirectory(Inode inode) = 0;
  virtual FsResult<Inode> ParentOf(Inode directory) = 0;

  virtual FsResult<SpaceInfo> Space() = 0;
};

}  // namespace pgstrata::vfs
