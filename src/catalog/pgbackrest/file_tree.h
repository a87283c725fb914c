// The directories and files of a manifest as a tree that an image can show.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "catalog/pgbackrest/manifest.h"
#include "foundation/base/error.h"

namespace pgstrata::pgbackrest {

// Constant after it is made. Paths are those of the image: tablespaces are directories under pg_tblspc, and what was a
// link in the cluster is what it led to, as pgBackRest restores it.
class FileTree {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  struct Node {
    std::string_view name;  // the last component; lives as long as the tree
    uint32_t file = kNone;  // into Manifest::files, or kNone: a directory
    uint32_t mode = 0;
    uint32_t owner = kNone;          // into Manifest::owners, or kNone: not known
    std::vector<uint32_t> children;  // of a directory: into nodes(), sorted by name bytes
  };

  // kCorrupt where two entries have the same path, or a file lies in a file.
  static Result<FileTree> Make(const Manifest& manifest);

  // Null where there is nothing at `path`; "" is PGDATA.
  [[nodiscard]] const Node* Find(std::string_view path) const;
  [[nodiscard]] const Node& node(uint32_t index) const { return nodes_[index]; }

 private:
  Status AddPath(const ManifestPath& path);
  Status AddFile(const ManifestFile& file, uint32_t index);
  Result<uint32_t> AddDirectory(std::string_view path);
  void Sort();

  std::vector<Node> nodes_;
  std::unordered_map<std::string, uint32_t> by_path_;  // its keys hold the names
};

}  // namespace pgstrata::pgbackrest
