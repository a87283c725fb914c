// A volume: a backup that can be written to. What is written lies in layers above the image, in blocks of 4 KiB; the
// image is only read. docs/architecture.md has the picture, docs/format/layer.md the files, docs/adr/ the reasons.
//
// What it costs: nothing is copied for open, chmod, chown, rename, link or utimens. A directory is listed when it is
// first used. A file takes a descriptor only while it is among the most recently used ones. Zeros above nothing take no
// space.
//
// What it promises: an ephemeral one (Create) nothing: its layer can be read by the process that made it and its forked
// children, for as long as they live, and Sync succeeds at once. A durable one (Open): what Sync, SyncDirectory or
// Flush returned for is there when the volume is opened again, whatever happened to the process or the machine; of what
// was not synced every name and every 4 KiB block of a file is old or new, and names are of one moment. The destructor
// makes nothing durable and leaves the layers' directories as they are.
//
// Threads: everything, from any thread. Locks are described where they are: name_tree.h (names), node.h (attributes),
// file_content.h (bytes), layer_log.h (the log), open_files.h (descriptors); none of names is ever held while bytes are
// read or written. Every change goes through a gate that Freeze closes for a moment.
// There are no threads of its own, so that a fork between two calls is safe.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "volume/layer/gate.h"
#include "volume/layer/journal.h"
#include "volume/layer/layer_stack.h"
#include "volume/layer/layer_storage.h"
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
  // Files of image and layer that are open at once, besides one for each request in progress. Each may have a second
  // descriptor for direct reads. 0: so many that these take three quarters of what this process may open.
  size_t max_open_files = 0;
};

// A durable volume: an image and layers, of which the topmost is written.
struct StackOptions {
  std::shared_ptr<const image::Image> image;
  // Directories made by MakeLayer, the lowest first. None only with read_only.
  std::vector<std::string> layers;
  vfs::Owner owner;           // as in VolumeOptions
  size_t max_open_files = 0;  // as in VolumeOptions
  // Every change is EROFS; nothing is written and no lock is taken. Nobody may write the topmost layer meanwhile.
  bool read_only = false;
  size_t own_from = 0;  // Limit bounds the layers from this index on
  // Sync and SyncDirectory succeed at once, and promise nothing: only Flush and Close make anything durable. After a
  // crash the volume holds a mixture of old and new that no moment ever had.
  bool unsafe_syncs = false;
  LayerStorage* storage = nullptr;  // null: the file system of this machine
};

struct FreezeReport {
  std::chrono::microseconds held{};  // the longest that a request was held up by it
  // Whether the frozen layer was sealed. Where not (a full disk), the volume works on all the same, and the next Flush
  // tries again.
  Status sealed;
};

class Volume final : public vfs::FileSystem {
 public:
  // The root is shown with mode 0700, or 0750 where the image has that: PostgreSQL starts with no other. Its st_ino is
  // random (a layer keeps it), so that no two volumes look like one data directory.
  static Result<std::unique_ptr<Volume>> Create(VolumeOptions options);
  // Reads the logs of the layers (docs/format/layer.md) and holds the lock of the topmost one for as long as this
  // process or a forked child has the volume; kBusy while another process holds it. Any number of processes may share
  // the layers below. kUnsupported for a layer of another version, kCorrupt for a damaged one.
  static Result<std::unique_ptr<Volume>> Open(StackOptions options);
  ~Volume() override;

  // These are for the owner of the volume; no request reaches them.
  // Everything that reached the volume before the call is durable when it returns; space that nobody needs any more is
  // given back.
  Status Flush();
  // Flush, and the layer remembers that it was left in order: nothing has to be synced again when it is opened or
  // sealed then. The last call; nothing is changed after it.
  Status Close();
  // As Flush for names, attributes and lengths that shrank, and the giving back of space, without waiting for the bytes
  // of files: cheap enough for every few seconds.
  Status Tend();
  // The topmost layer becomes frozen and `new_layer`, which MakeLayer made and nobody used, the topmost: a crash's cut
  // of what the volume holds now. Whoever lists the layers of the volume lists the new one before the call: an empty
  // layer on top does no harm, one that is forgotten loses what is in it. An error means that nothing changed.
  // kUnsupported for an ephemeral volume and a read-only one.
  Result<FreezeReport> Freeze(const std::string& new_layer);
  // From now on the layers from `own_from` on hold no more than `max_bytes`; 0: no bound, as it is without this call.
  // Beyond that a write is ENOSPC. An eighth of it, at most 64 MiB, is held back for changes of what files hold already
  // and for files of up to 1 MiB, so that a full volume can still be tidied up; they have as much left where it holds
  // more than that at this call. Removing, and writing again what is in the topmost layer, is never refused.
  void Limit(uint64_t max_bytes) { stack_.Limit(max_bytes); }
  // As MakeLink, wherever it leads to: a way out of the volume that its owner wants.
  vfs::FsResult<vfs::Attributes> MakeTrustedLink(vfs::Inode parent, std::string_view name, std::string_view target,
                                                 vfs::Owner owner);

  [[nodiscard]] VolumeStatistics Statistics() const;
  [[nodiscard]] const image::Image& image() const { return *image_; }

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
  vfs::FsResult<vfs::Attributes> MakeSpecial(vfs::Inode parent, std::string_view name, mode_t mode, dev_t device,
                                             vfs::Owner owner) override;
  // EPERM for an absolute target in pg_tblspc: recovery that replays CREATE TABLESPACE would make a link into
  // production's.
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
  struct Parts;
  [[nodiscard]] bool HoldsTablespaces(vfs::Inode directory);
  explicit Volume(Parts parts);
  static Result<std::unique_ptr<Volume>> OpenStack(StackOptions options, const image::Entry& root);

  [[nodiscard]] vfs::FsResult<NodePtr> Find(vfs::Inode inode) const;
  [[nodiscard]] vfs::FsResult<NodePtr> FindFile(vfs::Inode inode) const;
  [[nodiscard]] vfs::FsResult<NodePtr> FindDirectory(vfs::Inode inode) const;
  vfs::FsResult<vfs::Attributes> Insert(vfs::Inode parent, std::string_view name,
                                        const std::function<NodePtr(const Node& parent)>& make);
  // What every change begins with. EROFS; the log's error where too much waits to be written.
  vfs::FsResult<Gate::Pass> BeginChange();
  // `change` of the content of `file`, with all that belongs to it.
  vfs::FsStatus ChangeContent(Node& file, const std::function<vfs::FsStatus()>& change);
  vfs::FsStatus SyncLog(uint64_t position);
  // These three with maintenance_mutex_ held.
  vfs::FsStatus SyncChanged(std::vector<NodePtr>& nodes);
  Status Seal();
  std::chrono::microseconds Swap(std::unique_ptr<Layer> layer);
  // Ends `node` when it has neither a name nor a reference any more. Called after either was taken away.
  void EndIfUnused(Node& node);

  // Constant after construction; each is safe from several threads.
  const std::shared_ptr<const image::Image> image_;
  const bool read_only_;
  const bool unsafe_syncs_;
  Counters counters_;
  OpenFiles open_files_;
  LayerStack stack_;
  Gate gate_;
  Journal journal_;
  InodeTable inodes_;
  NameTree names_;
  std::atomic<bool> log_failure_reported_ = false;
  std::mutex maintenance_mutex_;  // of Flush, Tend and Freeze; before every other lock
  Layer* unsealed_ = nullptr;     // guarded by maintenance_mutex_: frozen, and its Seal is not durable yet
};

}  // namespace pgstrata::layer
