// A directory as an Image: PGDATA itself, or a plain base backup. Nothing is scanned when it is opened; a directory is
// read when it is first asked for.
//
// Symbolic links (trap 32: a link into production must never be shown):
//   - a relative link that stays inside the tree is shown as it is, also where it dangles;
//   - every other link, every link directly in pg_tblspc, and pg_tblspc and pg_wal where they are links, are followed
//     and *grafted*: shown as the directory or file that they lead to. Links below a graft are judged against its root;
//   - a link that leads back to a directory that holds it is an error that names the link;
//   - what would be grafted and leads nowhere is left out (MissingTablespaces() lists what pg_tblspc loses so), and so
//     are sockets, pipes and devices;
//   - where it cannot be found out what a link leads to, for want of rights, the link is shown as a file that nobody
//     may read and whose Open says why; tablespaces and pg_wal, which nothing works without, are that error at once.
//
// Change: the source must not change while it is open. Each file's (device, inode, size, mtime, ctime) is remembered
// when it is first listed, described or opened. Open and ReadAt compare and answer kCorrupt when the file is not the
// same any more.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/native_file.h"

namespace pgstrata::image {

class DirectoryImage final : public Image {
 public:
  // `root` is the absolute path, links resolved, `status` what is there now; `name` is what the user called it.
  DirectoryImage(std::string root, const struct stat& status, std::string name);
  ~DirectoryImage() override;

  [[nodiscard]] const std::string& name() const override { return name_; }
  Result<Entry> Stat(std::string_view path) const override;
  Result<std::vector<Entry>> List(std::string_view directory) const override;
  Result<std::unique_ptr<ImageFile>> Open(std::string_view path) const override;

  // Every regular file below PGDATA, by its path.
  Status VisitParts(const PartVisitor& visit) const override;
  [[nodiscard]] bool ShowsItsParts() const override { return true; }

  // The absolute path of PGDATA, links resolved.
  [[nodiscard]] const std::string& root() const { return root_; }
  // The links in pg_tblspc that lead nowhere. Costs one directory.
  [[nodiscard]] Result<std::vector<MissingTablespace>> MissingTablespaces() const override;

 private:
  struct Directory;
  struct Found;

  Result<std::shared_ptr<Directory>> Enter(std::string_view path) const;
  Result<Found> Find(std::string_view path) const;
  Result<std::vector<Found>> FindAll(std::string_view directory) const;

  const std::string root_;
  const std::string name_;

  mutable std::shared_mutex mutex_;
  // Guarded by mutex_: the directories that were asked for, by image path.
  mutable std::unordered_map<std::string, std::shared_ptr<Directory>> directories_;
};

// kNotFound where there is nothing at `path`, kInvalidArgument where it is not a directory.
Result<std::unique_ptr<DirectoryImage>> OpenDirectory(const std::string& path);

}  // namespace pgstrata::image
