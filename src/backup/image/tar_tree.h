// The names of a TarImage in the making.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backup/image/tar_image.h"
#include "backup/image/tar_walk.h"

namespace pgstrata::image {

constexpr std::string_view kTarTablespaces = "pg_tblspc";

class TarTree {
 public:
  // A member of part number `part`, whose members come below `place`. kCorrupt for a hard link to what is not there.
  Status Add(const TarMember& member, const std::string& place, uint32_t part);
  // A file that is a part by itself.
  void AddFile(const std::string& path, uint64_t size, uint32_t part);
  // The directory `path`, made up where no member described it.
  void AddDirectory(const std::string& path);

  // Sorts, drops what was replaced and links that may not be shown, and gives it to the image. kCorrupt where a path is
  // both a directory and something else.
  Status MoveInto(TarImage& image);

 private:
  using Node = TarImage::Node;

  Node* Find(std::string_view path);
  void Put(const std::string& path, Node node);
  Status Settle(const std::string& directory, TarImage::Nodes& nodes) const;
  [[nodiscard]] bool CanBeShown(std::string_view target, std::string_view directory) const;

  Entry root_{.name = {}, .kind = EntryKind::kDirectory, .mode = 0700};
  bool root_is_known_ = false;
  // By path; children in the order in which they came.
  TarImage::Directories directories_ = {{"", {}}};
  std::vector<MissingTablespace> links_;  // those of pg_tblspc
};

}  // namespace pgstrata::image
