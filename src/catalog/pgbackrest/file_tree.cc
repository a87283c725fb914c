#include "catalog/pgbackrest/file_tree.h"

#include <algorithm>
#include <utility>

#include "catalog/pgbackrest/stored_content.h"
#include "foundation/base/text.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr uint32_t kDefaultDirectoryMode = 0700;
constexpr std::string_view kData = "pg_data";

std::unexpected<Error> Twice(std::string_view path) {
  return Fail(ErrorCode::kCorrupt, "backup.manifest has " + Quoted(path) + " twice, or as a file and a directory");
}

}  // namespace

Result<FileTree> FileTree::Make(const Manifest& manifest) {
  FileTree tree;
  tree.nodes_.reserve(manifest.files.size() + manifest.paths.size() + 1);
  tree.by_path_.reserve(manifest.files.size() + manifest.paths.size() + 1);
  tree.nodes_.push_back({.name = {}, .mode = kDefaultDirectoryMode, .children = {}});
  tree.by_path_.emplace("", 0);
  for (const auto& path : manifest.paths) PGS_TRY(tree.AddPath(path));
  for (uint32_t i = 0; i < manifest.files.size(); ++i) PGS_TRY(tree.AddFile(manifest.files[i], i));
  tree.Sort();
  return tree;
}

Result<uint32_t> FileTree::AddDirectory(std::string_view path) {
  const auto known = by_path_.find(std::string(path));
  if (known != by_path_.end()) {
    if (nodes_[known->second].file != kNone) return Twice(path);
    return known->second;
  }
  PGS_ASSIGN(const uint32_t parent, AddDirectory(SplitLast(path).first));
  const auto index = static_cast<uint32_t>(nodes_.size());
  const auto place = by_path_.emplace(path, index).first;
  nodes_.push_back({.name = SplitLast(place->first).second, .mode = kDefaultDirectoryMode, .children = {}});
  nodes_[parent].children.push_back(index);
  return index;
}

Status FileTree::AddPath(const ManifestPath& path) {
  // "pg_tblspc" beside "pg_data" is no directory of the cluster, only the place of those below it in the manifest.
  const std::string_view shown = path.name == kData ? std::string_view() : ImagePathOf(path.name);
  PGS_ASSIGN(const uint32_t index, AddDirectory(shown));
  nodes_[index].mode = path.mode;
  nodes_[index].owner = path.owner;
  return {};
}

Status FileTree::AddFile(const ManifestFile& file, uint32_t index) {
  const std::string_view path = ImagePathOf(file.name);
  PGS_ASSIGN(const uint32_t parent, AddDirectory(SplitLast(path).first));
  const auto [place, is_new] = by_path_.emplace(path, static_cast<uint32_t>(nodes_.size()));
  if (!is_new) return Twice(path);
  nodes_[parent].children.push_back(place->second);
  nodes_.push_back(
      {.name = SplitLast(place->first).second, .file = index, .mode = file.mode, .owner = file.owner, .children = {}});
  return {};
}

void FileTree::Sort() {
  for (auto& node : nodes_) {
    std::ranges::sort(node.children, {}, [this](uint32_t child) { return nodes_[child].name; });
  }
}

const FileTree::Node* FileTree::Find(std::string_view path) const {
  const auto found = by_path_.find(std::string(path));
  return found == by_path_.end() ? nullptr : &nodes_[found->second];
}

}  // namespace pgstrata::pgbackrest
