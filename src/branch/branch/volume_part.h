// A directory of a volume as an image: what another volume can stand on.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "volume/vfs/file_system.h"

namespace pgstrata::branch {

class VolumePart final : public image::Image {
 public:
  // `volume` outlives it, and nothing changes in its `directory` meanwhile.
  VolumePart(vfs::FileSystem& volume, std::string directory) : volume_(volume), directory_(std::move(directory)) {}

  [[nodiscard]] const std::string& name() const override { return directory_; }
  Result<image::Entry> Stat(std::string_view path) const override;
  Result<std::vector<image::Entry>> List(std::string_view directory) const override;
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view path) const override;
  // Its files and links, by what the volume says of them.
  Status VisitParts(const image::PartVisitor& visit) const override;

 private:
  // With a reference that the caller gives back.
  [[nodiscard]] Result<vfs::Attributes> Find(std::string_view path) const;
  [[nodiscard]] Result<image::Entry> EntryOf(const vfs::Attributes& attributes, std::string_view path) const;

  vfs::FileSystem& volume_;
  const std::string directory_;
};

}  // namespace pgstrata::branch
