// An image with further files laid over it: WAL from elsewhere, files that a backup lost.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"

namespace pgstrata::image {

// The files of a base image and files added by path. An added file hides what the base has at its path; directories
// that it needs and the base lacks are shown with the owner of PGDATA and mode 0700, the files with mode 0600.
class ImageWithFiles final : public Image {
 public:
  // Gives the file; called from several threads.
  using Opener = std::function<Result<std::unique_ptr<ImageFile>>()>;

  explicit ImageWithFiles(std::shared_ptr<const Image> base);

  // All Adds come before the first other call. Links of the base on the way to `path` are followed (pg_wal may be one).
  // kInvalidArgument where they lead astray. Without `size` the file is opened when it is first described: give it
  // where opening costs an unpacking.
  Status Add(const std::string& path, Opener open, std::optional<uint64_t> size = std::nullopt);

  [[nodiscard]] const std::string& name() const override { return base_->name(); }
  Result<Entry> Stat(std::string_view path) const override;
  Result<std::vector<Entry>> List(std::string_view directory) const override;
  // kCorrupt where an added file has not the size that Stat shows.
  Result<std::unique_ptr<ImageFile>> Open(std::string_view path) const override;
  [[nodiscard]] Result<std::vector<MissingTablespace>> MissingTablespaces() const override {
    return base_->MissingTablespaces();
  }
  // The base's: what was added is watched by whoever opens it.
  Status VisitParts(const PartVisitor& visit) const override { return base_->VisitParts(visit); }
  void BeginReading() const override { base_->BeginReading(); }
  void EndReading() const override { base_->EndReading(); }
  [[nodiscard]] FirstTouch CostOfFirstTouch() const override { return base_->CostOfFirstTouch(); }
  Status DecodeAll(const DecodeProgress& progress) const override { return base_->DecodeAll(progress); }

 private:
  // The children of one directory that the base does not have: an added file, or a directory on the way to one.
  using Children = std::map<std::string, bool, std::less<>>;  // name -> is a directory

  Status AddParents(const std::string& path);
  [[nodiscard]] bool IsHidden(std::string_view path) const;
  Result<Entry> Describe(std::string_view path, bool is_directory) const;

  // Constant after the last Add.
  const std::shared_ptr<const Image> base_;
  std::map<std::string, Opener, std::less<>> added_;
  std::map<std::string, Children, std::less<>> children_;  // by directory

  mutable std::mutex mutex_;
  // Guarded by mutex_ after the last Add: the sizes of added files as far as they are known.
  mutable std::map<std::string, uint64_t, std::less<>> sizes_;
};

}  // namespace pgstrata::image
