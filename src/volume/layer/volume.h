// A volume: a backup that can be written to. What is written lies in a layer above the image, in blocks of 4 KiB; the
// image is only read. docs/architecture.md has the picture, docs/adr/ the reasons.
//
// What it costs: nothing is copied for open, chmod, chown, rename, link or utimens. A directory is listed when it is
// first used. A file takes a descriptor only while it is among the most recently used ones. Zeros above nothing take no
// space.
//
// What it promises: it is ephemeral. Its layer can be read by the process that made it and its forked children, for as
// long as they live; Sync and SyncDirectory succeed at once and promise nothing. The destructor leaves the layer's
// directory as it is: whoever named it removes it.
//
// Threads: everything, from any thread. Locks are described where they are: name_tree.h (names), node.h (attributes),
// file_content.h (bytes), open_files.h (descriptors); none of names is ever held while bytes are read or written.
// There are no threads of its own, so that a fork between two calls is safe.
#pragma once

#include <memory>
#include <string>

#include "backup/image/image.h"
#include "volume/layer/name_tree.h"
#include "volume/layer/open_files.h"
#include "volume/layer/statistics.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::layer {

struct VolumeOptions {
  std::shared_ptr<const image::Image> image;
  // Native path, where the layer's files go; made if it is missing. kAlreadyExists where something is in it.
  std::string directory;
  // Shown for everything that comes from the image, until it is changed here.
  vfs::Owner owner;
  // Files of image and layer that are open at once, besides one for each request in progress. 0: three quarters of what
  // this process may open.
  size_t max_open_files = 0;
};

class Volume final : public vfs::FileSystem {
 public:
  // The root is shown with mode 0700, or 0750 where the image has that: PostgreSQL starts with no other. Its st_ino is
  // random, so that no two volumes look like one data directory.
  static Result<std::unique_ptr<Volume>> Create(VolumeOptions options);
  ~Volume() override;

  [[nodiscard]] VolumeStatistics Statistics() const;

  vfs::FsResult<vfs::Attributes> Lookup(vfs::Inode parent, std::string_view name) override;
  void Forget(vfs::Inode inode, uint64_t references) override;
  // A directory of the image that was not used yet has link count 1: nobody counted. Later it is 2 + its directories.
  vfs::FsResult<vfs::Attributes> GetAttributes(vfs::Inode inode) override;
  vfs::FsResult<vfs::Attributes> SetAttributes(vfs::Inode inode, const vfs::AttributeChange& change) override;
  vfs::FsResult<std::string> ReadLink(vfs::Inode inode) override;
  vfs::FsResult<vfs::Attributes> CreateFile(vfs::Inode parent, std::string_view name, mode_t mode,
                                            vfs::Owner owner) override;
  vfs::FsResult<vfs::Attributes> MakeDirectory(vfs::Inode parent, std::string_view name, mode_t mode,
                                               vfs::Owner owner) override;
  vfs::FsResult<vfs::Attributes> MakeLink(vfs::Inode parent, std::string_view name, std::string_view target,
                                          vfs::Owner owner) override;
  vfs::FsResult<vfs::Attributes> Link(vfs::Inode inode, vfs::Inode parent, std::string_view name) override;
  vfs::FsStatus Unlink(vfs::Inode parent, std::string_view name) override;
  vfs::FsStatus RemoveDirectory(vfs::Inode parent, std::string_view name) override;
  vfs::FsStatus Rename(vfs::Inode parent, std::string_view name, vfs::Inode new_parent, std::string_view new_name,
                       vfs::RenameMode mode) override;
  vfs::FsResult<size_t> Read(vfs::Inode inode, uint64_t offset, MutableBytes out) override;
  vfs::FsStatus Write(vfs::Inode inode, uint64_t offset, ByteView bytes) override;
  vfs::FsStatus Allocate(vfs::Inode inode, vfs::AllocationMode mode, uint64_t offset, uint64_t length) override;
  vfs::FsResult<uint64_t> Seek(vfs::Inode inode, uint64_t offset, vfs::SeekTarget target) override;
  // Holes stay holes. EINVAL where the ranges are of one file and overlap, as in Linux.
  vfs::FsResult<uint64_t> CopyRange(vfs::Inode from, uint64_t from_offset, vfs::Inode to, uint64_t to_offset,
                                    uint64_t length) override;
  vfs::FsStatus Sync(vfs::Inode inode, bool data_only) override;
  vfs::FsStatus ReadDirectory(vfs::Inode inode, uint64_t cookie, const vfs::DirectoryVisitor& visit) override;
  vfs::FsStatus SyncDirectory(vfs::Inode inode) override;
  vfs::FsResult<vfs::Inode> ParentOf(vfs::Inode directory) override;
  vfs::FsResult<vfs::SpaceInfo> Space() override;

 private:
  Volume(VolumeOptions options, const image::Entry& root);

  [[nodiscard]] vfs::FsResult<NodePtr> Find(vfs::Inode inode) const;
  [[nodiscard]] vfs::FsResult<NodePtr> FindFile(vfs::Inode inode) const;
  [[nodiscard]] vfs::FsResult<NodePtr> FindDirectory(vfs::Inode inode) const;
  vfs::FsResult<vfs::Attributes> Insert(vfs::Inode parent, std::string_view name,
                                        const std::function<NodePtr(const Node& parent)>& make);
  // Ends `node` when it has neither a name nor a reference any more. Called after either was taken away.
  void EndIfUnused(Node& node);

  // Constant after construction; each is safe from several threads.
  const std::shared_ptr<const image::Image> image_;
  const std::string directory_;
  Counters counters_;
  OpenFiles open_files_;
  BlobStore store_;
  InodeTable inodes_;
  NameTree names_;
};

}  // namespace pgstrata::layer
