// Tar files as an Image, read in place: what pg_basebackup -Ft wrote (base.tar, OID.tar for each tablespace,
// pg_wal.tar, backup_manifest beside them), or one tar of a data directory. Opening reads the headers and no data.
//
//   - Members of OID.tar are below pg_tblspc/OID, those of pg_wal.tar below pg_wal. The last of two members with one
//     path counts, as when they are unpacked. Directories that no archive holds but something in them are shown with
//     mode 0700 and the owner of PGDATA.
//   - A relative link that stays inside the tree is shown as it is. Others, links directly in pg_tblspc, and
//     devices are left out. A tablespace that a link or tablespace_map names and no archive holds is in
//     MissingTablespaces().
//   - An archive must not change while the image is open: its (device, inode, size, mtime, ctime) is compared at every
//     read, and another is kCorrupt.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/decoded_cache.h"
#include "backup/image/image.h"
#include "foundation/base/lru_cache.h"

namespace pgstrata::image {

// One archive, or one file beside the archives.
struct TarPart {
  std::string name;   // for messages: the native path
  std::string place;  // where its members come below PGDATA: "", "pg_tblspc/16384", "pg_wal"; of a file: its path
  bool is_archive = true;
  Fingerprint file;          // what it is on this machine
  uint64_t packed_size = 0;  // of the file, where it is compressed
  // Gives its bytes, the same each time; called from several threads.
  std::function<Result<std::unique_ptr<ImageFile>>()> open;
};

class TarImage final : public Image {
 public:
  // Reads the headers of every part, in their order.
  static Result<std::unique_ptr<TarImage>> Create(std::string name, std::vector<TarPart> parts);

  [[nodiscard]] const std::string& name() const override { return name_; }
  Result<Entry> Stat(std::string_view path) const override;
  Result<std::vector<Entry>> List(std::string_view directory) const override;
  Result<std::unique_ptr<ImageFile>> Open(std::string_view path) const override;
  [[nodiscard]] Result<std::vector<MissingTablespace>> MissingTablespaces() const override { return missing_; }
  // The archives and the files beside them, as they were when they were opened.
  Status VisitParts(const PartVisitor& visit) const override;
  // Its compressed archives, which were decoded to be opened.
  [[nodiscard]] FirstTouch CostOfFirstTouch() const override { return decoded_; }

 private:
  friend class TarTree;
  class MemberFile;
  struct Node {
    Entry entry;
    uint32_t part = 0;
    uint64_t data = 0;  // where its bytes begin in the part
  };
  // By name.
  using Nodes = std::vector<Node>;
  using Directories = std::map<std::string, Nodes, std::less<>>;

  TarImage(std::string name, std::vector<TarPart> parts);
  Result<const Node*> Find(std::string_view path) const;
  Result<std::shared_ptr<const ImageFile>> Bytes(uint32_t part) const;
  Status FindMissingTablespaces();

  // Constant after Create.
  const std::string name_;
  const std::vector<TarPart> parts_;
  Entry root_;
  Directories directories_;
  std::vector<MissingTablespace> missing_;
  FirstTouch decoded_;

  // Shared with the files that were opened.
  const std::shared_ptr<LruCache<ImageFile>> opened_;
};

// A directory that holds base.tar, or a tar file. kInvalidArgument for anything else. What is compressed is decoded
// into `cache` first; without one it is kUnsupported.
Result<std::unique_ptr<TarImage>> OpenTar(const std::string& path,
                                          const std::shared_ptr<DecodedCache>& cache = nullptr);

// Whether the native path is a directory with the archives of one backup in it, compressed or not.
bool HoldsTarBackup(const std::string& directory);

}  // namespace pgstrata::image
