// A FileSystem with others shown in its root, each under a name of its own, which hides what the root has of that name.
// What is in a graft cannot be moved, linked or copied in place to what is not (EXDEV), and the names themselves can be
// neither made nor taken away (EEXIST, EBUSY).
#pragma once

#include <string>
#include <vector>

#include "volume/vfs/file_system.h"

namespace pgstrata::vfs {

struct Graft {
  std::string name;
  FileSystem* file_system = nullptr;
  // Whether the root lists the name, where it has it itself. One that is not listed is found by those who know it.
  bool listed = false;
};

class GraftedFileSystem : public FileSystem {
 public:
  // All of them outlive it and use inode numbers below 2^56: none is a GraftedFileSystem. At most 127 grafts.
  GraftedFileSystem(FileSystem& main, std::vector<Graft> grafts) : main_(main), grafts_(std::move(grafts)) {}

  FsResult<Attributes> Lookup(Inode parent, std::string_view name) override;
  void Forget(Inode inode, uint64_t references) override;
  FsResult<Attributes> GetAttributes(Inode inode) override;
  FsResult<Attributes> SetAttributes(Inode inode, const AttributeChange& change) override;
  FsResult<std::string> ReadLink(Inode inode) override;
  FsResult<Attributes> CreateFile(Inode parent, std::string_view name, mode_t mode, Owner owner) override;
  FsResult<Attributes> MakeDirectory(Inode parent, std::string_view name, mode_t mode, Owner owner) override;
  FsResult<Attributes> MakeSpecial(Inode parent, std::string_view name, mode_t mode, dev_t device,
                                   Owner owner) override;
  FsResult<Attributes> MakeLink(Inode parent, std::string_view name, std::string_view target, Owner owner) override;
  FsResult<Attributes> Link(Inode inode, Inode parent, std::string_view name) override;
  FsStatus Unlink(Inode parent, std::string_view name) override;
  FsStatus RemoveDirectory(Inode parent, std::string_view name) override;
  FsStatus Rename(Inode parent, std::string_view name, Inode new_parent, std::string_view new_name,
                  RenameMode mode) override;
  FsResult<size_t> Read(Inode inode, uint64_t offset, MutableBytes out) override;
  FsStatus Write(Inode inode, uint64_t offset, ByteView bytes) override;
  FsStatus Allocate(Inode inode, AllocationMode mode, uint64_t offset, uint64_t length) override;
  FsResult<uint64_t> Seek(Inode inode, uint64_t offset, SeekTarget target) override;
  FsResult<uint64_t> CopyRange(Inode from, uint64_t from_offset, Inode to, uint64_t to_offset,
                               uint64_t length) override;
  FsStatus Sync(Inode inode, bool data_only) override;
  FsStatus ReadDirectory(Inode inode, uint64_t cookie, const DirectoryVisitor& visit) override;
  FsStatus SyncDirectory(Inode inode) override;
  FsResult<Inode> ParentOf(Inode directory) override;
  FsResult<SpaceInfo> Space() override { return main_.Space(); }

 private:
  // An inode as the FileSystem that it belongs to knows it.
  struct Place {
    FileSystem* file_system;
    Inode inode;
    uint64_t number;  // of the graft, from 1 on; 0: main
  };
  [[nodiscard]] Place PlaceOf(Inode inode) const;
  // The number of the graft of that name in `parent`; 0 where there is none.
  [[nodiscard]] uint64_t GraftAt(Inode parent, std::string_view name) const;
  // What is to be made in `parent`, unless its name is that of a graft.
  template <typename Make>
  FsResult<Attributes> Insert(Inode parent, std::string_view name, const Make& make);
  FsStatus ReadRoot(uint64_t cookie, const DirectoryVisitor& visit);

  FileSystem& main_;
  const std::vector<Graft> grafts_;
};

}  // namespace pgstrata::vfs
