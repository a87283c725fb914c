// Invariants:
//   - Every request is answered exactly once, before its function returns.
//   - Nobody ever sees ENOSYS for an operation that works at times: the kernel remembers it for good. What is left out
//     of the table below is answered so on purpose (flush, access, extended attributes, locks).
//   - A READ is answered in full, shortened only by the end of the file, or with an error: the kernel would take a
//     short answer for a hole.
#include "volume/fuse/operations.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <optional>
#include <string>

namespace pgstrata::fuse {
namespace {

constexpr double kCacheSeconds = 3600;
// The reply counts in 32 bits; whole pages, so that a file system that shares blocks can go on sharing them.
constexpr uint64_t kMaxCopy = uint64_t{1} << 30;
// Readahead and write-back in flight. The kernel's default of 12 starves four backends.
constexpr unsigned kMaxBackground = 128;
// Directory offsets: 0 is before ".", 1 before "..", and c + 2 is the FileSystem's cookie c.
constexpr off_t kDotEntries = 2;

thread_local MutableBytes reply_buffer;

Served& ServedOf(fuse_req_t request) { return *static_cast<Served*>(fuse_req_userdata(request)); }
vfs::FileSystem& FileSystemOf(fuse_req_t request) { return *ServedOf(request).file_system; }
vfs::Inode ToInode(fuse_ino_t number) { return vfs::Inode{number}; }

vfs::Owner CallerOf(fuse_req_t request) {
  const fuse_ctx* context = fuse_req_ctx(request);
  return {.uid = context->uid, .gid = context->gid};
}

void ReplyError(fuse_req_t request, vfs::Errno error) {
  fuse_reply_err(request, error.value == ENOSYS ? EOPNOTSUPP : error.value);
}
void ReplyStatus(fuse_req_t request, const vfs::FsStatus& status) {
  if (!status) return ReplyError(request, status.error());
  fuse_reply_err(request, 0);
}

struct stat ToStat(const vfs::Attributes& attributes) {
  struct stat stat{};
  stat.st_ino = attributes.shown_inode;
  stat.st_rdev = attributes.device;
  stat.st_mode = attributes.mode;
  stat.st_nlink = attributes.link_count;
  stat.st_uid = attributes.uid;
  stat.st_gid = attributes.gid;
  stat.st_size = static_cast<off_t>(attributes.size);
  stat.st_blksize = 4096;
  stat.st_blocks = static_cast<blkcnt_t>(attributes.blocks);
  stat.st_atim = attributes.accessed;
  stat.st_mtim = attributes.modified;
  stat.st_ctim = attributes.changed;
  return stat;
}

void ReplyAttributes(fuse_req_t request, const vfs::FsResult<vfs::Attributes>& attributes) {
  if (!attributes) return ReplyError(request, attributes.error());
  const struct stat stat = ToStat(*attributes);
  fuse_reply_attr(request, &stat, kCacheSeconds);
}

// Gives the kernel the reference that came with `attributes`. A caller that was interrupted meanwhile does not take it.
void ReplyEntry(fuse_req_t request, const vfs::FsResult<vfs::Attributes>& attributes) {
  if (!attributes) return ReplyError(request, attributes.error());
  fuse_entry_param entry{};
  entry.ino = attributes->inode.value;
  entry.attr = ToStat(*attributes);
  entry.attr_timeout = kCacheSeconds;
  entry.entry_timeout = attributes->passing ? 0 : kCacheSeconds;
  vfs::FileSystem& file_system = FileSystemOf(request);
  if (fuse_reply_entry(request, &entry) == -ENOENT) file_system.Forget(attributes->inode, 1);
}

void ReplyAbsent(fuse_req_t request) {
  fuse_entry_param entry{};
  entry.entry_timeout = kCacheSeconds;
  fuse_reply_entry(request, &entry);
}

void Init(void* userdata, fuse_conn_info* connection) {
  auto& served = *static_cast<Served*>(userdata);
  // Not ATOMIC_O_TRUNC: without OPEN nobody would tell us of the truncation.
  unsigned wanted = FUSE_CAP_ASYNC_READ | FUSE_CAP_ASYNC_DIO | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS |
                    FUSE_CAP_NO_OPEN_SUPPORT | FUSE_CAP_NO_OPENDIR_SUPPORT | FUSE_CAP_EXPLICIT_INVAL_DATA;
  if (served.writeback) wanted |= FUSE_CAP_WRITEBACK_CACHE;
  connection->want = connection->capable & wanted;
  connection->max_write = kMaxTransfer;
  connection->max_read = kMaxTransfer;
  connection->max_readahead = kMaxTransfer;
  connection->max_background = kMaxBackground;
  connection->congestion_threshold = kMaxBackground * 3 / 4;
  connection->time_gran = 1;
  served.initialized = true;
}

void Lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  const auto found = FileSystemOf(request).Lookup(ToInode(parent), name);
  if (!found && found.error().value == ENOENT) return ReplyAbsent(request);
  ReplyEntry(request, found);
}

void Forget(fuse_req_t request, fuse_ino_t inode, uint64_t count) {
  FileSystemOf(request).Forget(ToInode(inode), count);
  fuse_reply_none(request);
}

void ForgetMulti(fuse_req_t request, size_t count, fuse_forget_data* forgets) {
  for (size_t i = 0; i < count; ++i) FileSystemOf(request).Forget(ToInode(forgets[i].ino), forgets[i].nlookup);
  fuse_reply_none(request);
}

void GetAttributes(fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
  ReplyAttributes(request, FileSystemOf(request).GetAttributes(ToInode(inode)));
}

std::optional<timespec> ChosenTime(int set, int set_flag, int now_flag, timespec given) {
  if ((set & now_flag) != 0) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now;
  }
  if ((set & set_flag) != 0) return given;
  return std::nullopt;
}

void SetAttributes(fuse_req_t request, fuse_ino_t inode, struct stat* given, int set, fuse_file_info*) {
  vfs::AttributeChange change;
  if ((set & FUSE_SET_ATTR_MODE) != 0) change.mode = given->st_mode & 07777;
  if ((set & FUSE_SET_ATTR_UID) != 0) change.uid = given->st_uid;
  if ((set & FUSE_SET_ATTR_GID) != 0) change.gid = given->st_gid;
  if ((set & FUSE_SET_ATTR_SIZE) != 0) change.size = static_cast<uint64_t>(given->st_size);
  change.accessed = ChosenTime(set, FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW, given->st_atim);
  change.modified = ChosenTime(set, FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW, given->st_mtim);
  ReplyAttributes(request, FileSystemOf(request).SetAttributes(ToInode(inode), change));
}

void ReadLink(fuse_req_t request, fuse_ino_t inode) {
  const auto target = FileSystemOf(request).ReadLink(ToInode(inode));
  if (!target) return ReplyError(request, target.error());
  fuse_reply_readlink(request, target->c_str());
}

// The kernel opens files that it creates by this and then OPEN, because CREATE is answered ENOSYS: one request, no
// RELEASE.
void MakeNode(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, dev_t device) {
  if (!S_ISREG(mode)) {
    return ReplyEntry(request,
                      FileSystemOf(request).MakeSpecial(ToInode(parent), name, mode, device, CallerOf(request)));
  }
  ReplyEntry(request, FileSystemOf(request).CreateFile(ToInode(parent), name, mode & 07777, CallerOf(request)));
}

void MakeDirectory(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  ReplyEntry(request, FileSystemOf(request).MakeDirectory(ToInode(parent), name, mode & 07777, CallerOf(request)));
}

void MakeLink(fuse_req_t request, const char* target, fuse_ino_t parent, const char* name) {
  ReplyEntry(request, FileSystemOf(request).MakeLink(ToInode(parent), name, target, CallerOf(request)));
}

void Link(fuse_req_t request, fuse_ino_t inode, fuse_ino_t new_parent, const char* new_name) {
  ReplyEntry(request, FileSystemOf(request).Link(ToInode(inode), ToInode(new_parent), new_name));
}

void Unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  ReplyStatus(request, FileSystemOf(request).Unlink(ToInode(parent), name));
}

void RemoveDirectory(fuse_req_t request, fuse_ino_t parent, const char* name) {
  ReplyStatus(request, FileSystemOf(request).RemoveDirectory(ToInode(parent), name));
}

std::optional<vfs::RenameMode> ToRenameMode(unsigned flags) {
  switch (flags) {
    case 0:
      return vfs::RenameMode::kReplace;
    case RENAME_NOREPLACE:
      return vfs::RenameMode::kNoReplace;
    case RENAME_EXCHANGE:
      return vfs::RenameMode::kExchange;
    default:
      return std::nullopt;
  }
}

void Rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent, const char* new_name,
            unsigned flags) {
  const auto mode = ToRenameMode(flags);
  if (!mode) return ReplyError(request, vfs::Errno{EINVAL});
  ReplyStatus(request, FileSystemOf(request).Rename(ToInode(parent), name, ToInode(new_parent), new_name, *mode));
}

void Read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
  const MutableBytes out = reply_buffer.first(std::min(size, reply_buffer.size()));
  const auto read = FileSystemOf(request).Read(ToInode(inode), static_cast<uint64_t>(offset), out);
  if (!read) return ReplyError(request, read.error());
  fuse_reply_buf(request, reinterpret_cast<const char*>(out.data()), *read);
}

void Write(fuse_req_t request, fuse_ino_t inode, const char* data, size_t size, off_t offset, fuse_file_info*) {
  const ByteView bytes = std::as_bytes(std::span(data, size));
  const auto written = FileSystemOf(request).Write(ToInode(inode), static_cast<uint64_t>(offset), bytes);
  if (!written) return ReplyError(request, written.error());
  fuse_reply_write(request, size);
}

void Allocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length, fuse_file_info*) {
  constexpr int kKnown = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
  if ((mode & ~kKnown) != 0) return ReplyError(request, vfs::Errno{EOPNOTSUPP});
  const vfs::AllocationMode wanted{.keep_size = (mode & FALLOC_FL_KEEP_SIZE) != 0,
                                   .punch_hole = (mode & FALLOC_FL_PUNCH_HOLE) != 0,
                                   .zero_range = (mode & FALLOC_FL_ZERO_RANGE) != 0};
  ReplyStatus(request, FileSystemOf(request).Allocate(ToInode(inode), wanted, static_cast<uint64_t>(offset),
                                                      static_cast<uint64_t>(length)));
}

// The kernel asks without first writing back what is dirty (seen on 6.18): a hole of ours may be data there, and cp
// would lose them. With a write-back cache it is therefore told to call everything data.
void Seek(fuse_req_t request, fuse_ino_t inode, off_t offset, int whence, fuse_file_info*) {
  if (ServedOf(request).writeback) {
    fuse_reply_err(request, ENOSYS);
    return;
  }
  if (whence != SEEK_DATA && whence != SEEK_HOLE) return ReplyError(request, vfs::Errno{EINVAL});
  const auto target = whence == SEEK_DATA ? vfs::SeekTarget::kData : vfs::SeekTarget::kHole;
  const auto found = FileSystemOf(request).Seek(ToInode(inode), static_cast<uint64_t>(offset), target);
  if (!found) return ReplyError(request, found.error());
  fuse_reply_lseek(request, static_cast<off_t>(*found));
}

void CopyRange(fuse_req_t request, fuse_ino_t from, off_t from_offset, fuse_file_info*, fuse_ino_t to, off_t to_offset,
               fuse_file_info*, size_t length, int flags) {
  if (flags != 0) return ReplyError(request, vfs::Errno{EINVAL});
  const auto copied = FileSystemOf(request).CopyRange(ToInode(from), static_cast<uint64_t>(from_offset), ToInode(to),
                                                      static_cast<uint64_t>(to_offset), std::min(length, kMaxCopy));
  if (!copied) return ReplyError(request, copied.error());
  fuse_reply_write(request, *copied);
}

void Sync(fuse_req_t request, fuse_ino_t inode, int data_only, fuse_file_info*) {
  ReplyStatus(request, FileSystemOf(request).Sync(ToInode(inode), data_only != 0));
}

void SyncDirectory(fuse_req_t request, fuse_ino_t inode, int, fuse_file_info*) {
  ReplyStatus(request, FileSystemOf(request).SyncDirectory(ToInode(inode)));
}

// Fills one reply of READDIR.
class DirectoryReply {
 public:
  DirectoryReply(fuse_req_t request, size_t limit)
      : request_(request), room_(reply_buffer.first(std::min(limit, reply_buffer.size()))) {}

  // False when the entry does not fit any more.
  bool Add(const char* name, uint64_t shown_inode, mode_t type, off_t next) {
    struct stat stat{};
    stat.st_ino = shown_inode;
    stat.st_mode = type;
    char* at = reinterpret_cast<char*>(room_.data()) + used_;
    const size_t needed = fuse_add_direntry(request_, at, room_.size() - used_, name, &stat, next);
    if (needed > room_.size() - used_) return false;
    used_ += needed;
    return true;
  }
  void Send() { fuse_reply_buf(request_, reinterpret_cast<const char*>(room_.data()), used_); }
  [[nodiscard]] bool empty() const { return used_ == 0; }

 private:
  fuse_req_t request_;
  MutableBytes room_;
  size_t used_ = 0;
};

vfs::FsResult<uint64_t> ShownInode(vfs::FileSystem& file_system, vfs::Inode inode) {
  const auto attributes = file_system.GetAttributes(inode);
  if (!attributes) return std::unexpected(attributes.error());
  return attributes->shown_inode;
}

vfs::FsResult<uint64_t> ShownParent(vfs::FileSystem& file_system, vfs::Inode inode) {
  const auto parent = file_system.ParentOf(inode);
  if (!parent) return std::unexpected(parent.error());
  return ShownInode(file_system, *parent);
}

vfs::FsStatus FillDirectory(vfs::FileSystem& file_system, vfs::Inode inode, off_t offset, DirectoryReply& reply) {
  if (offset == 0) {
    const auto self = ShownInode(file_system, inode);
    if (!self) return std::unexpected(self.error());
    if (!reply.Add(".", *self, S_IFDIR, 1)) return {};
  }
  if (offset <= 1) {
    const auto parent = ShownParent(file_system, inode);
    if (!parent) return std::unexpected(parent.error());
    if (!reply.Add("..", *parent, S_IFDIR, kDotEntries)) return {};
  }
  const uint64_t cookie = static_cast<uint64_t>(std::max(offset, kDotEntries) - kDotEntries);
  std::string name;  // the visitor's name is no C string
  return file_system.ReadDirectory(inode, cookie, [&](const vfs::DirectoryEntry& entry) {
    name.assign(entry.name);
    return reply.Add(name.c_str(), entry.shown_inode, entry.type, static_cast<off_t>(entry.next_cookie) + kDotEntries);
  });
}

void ReadDirectory(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
  DirectoryReply reply(request, size);
  const auto filled = FillDirectory(FileSystemOf(request), ToInode(inode), offset, reply);
  if (!filled && reply.empty()) return ReplyError(request, filled.error());
  reply.Send();
}

void Space(fuse_req_t request, fuse_ino_t) {
  const auto space = FileSystemOf(request).Space();
  if (!space) return ReplyError(request, space.error());
  struct statvfs stat{};
  stat.f_bsize = space->block_size;
  stat.f_frsize = space->block_size;
  stat.f_blocks = space->total_blocks;
  stat.f_bfree = space->free_blocks;
  stat.f_bavail = space->free_blocks;
  stat.f_files = space->files;
  stat.f_ffree = space->free_files;
  stat.f_favail = space->free_files;
  stat.f_namemax = 255;
  fuse_reply_statfs(request, &stat);
}

void Refuse(fuse_req_t request, fuse_ino_t, fuse_file_info*) { fuse_reply_err(request, ENOSYS); }
void RefuseCreate(fuse_req_t request, fuse_ino_t, const char*, mode_t, fuse_file_info*) {
  fuse_reply_err(request, ENOSYS);
}

}  // namespace

void SetReplyBuffer(MutableBytes buffer) { reply_buffer = buffer; }

const fuse_lowlevel_ops& Operations() {
  static const fuse_lowlevel_ops operations = [] {
    fuse_lowlevel_ops ops{};
    ops.init = Init;
    ops.lookup = Lookup;
    ops.forget = Forget;
    ops.forget_multi = ForgetMulti;
    ops.getattr = GetAttributes;
    ops.setattr = SetAttributes;
    ops.readlink = ReadLink;
    ops.mknod = MakeNode;
    ops.mkdir = MakeDirectory;
    ops.symlink = MakeLink;
    ops.link = Link;
    ops.unlink = Unlink;
    ops.rmdir = RemoveDirectory;
    ops.rename = Rename;
    ops.read = Read;
    ops.write = Write;
    ops.fallocate = Allocate;
    ops.lseek = Seek;
    ops.copy_file_range = CopyRange;
    ops.fsync = Sync;
    ops.fsyncdir = SyncDirectory;
    ops.readdir = ReadDirectory;
    ops.statfs = Space;
    // libfuse would answer these with success if they were left out.
    ops.open = Refuse;
    ops.opendir = Refuse;
    ops.create = RefuseCreate;
    return ops;
  }();
  return operations;
}

}  // namespace pgstrata::fuse
