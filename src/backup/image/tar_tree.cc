#include "backup/image/tar_tree.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "foundation/base/text.h"

namespace pgstrata::image {
namespace {

EntryKind KindOf(TarType type) {
  switch (type) {
    case TarType::kDirectory:
      return EntryKind::kDirectory;
    case TarType::kLink:
      return EntryKind::kLink;
    default:
      return EntryKind::kFile;
  }
}

}  // namespace

TarTree::Node* TarTree::Find(std::string_view path) {
  const auto [parent, name] = SplitLast(path);
  const auto holder = directories_.find(parent);
  if (holder == directories_.end()) return nullptr;
  for (Node& node : holder->second | std::views::reverse) {
    if (node.entry.name == name) return &node;
  }
  return nullptr;
}

void TarTree::AddDirectory(const std::string& path) {
  if (path.empty() || directories_.contains(path)) return;
  Put(path, {.entry = {.kind = EntryKind::kDirectory,
                       .mode = 0700,
                       .uid = root_.uid,
                       .gid = root_.gid,
                       .modified = root_.modified}});
}

// The directories on the way need no members of their own.
void TarTree::Put(const std::string& path, Node node) {
  const auto [parent, name] = SplitLast(path);
  AddDirectory(std::string(parent));
  node.entry.name = name;
  if (node.entry.kind == EntryKind::kDirectory) directories_.try_emplace(path);
  directories_.find(parent)->second.push_back(std::move(node));
}

Status TarTree::Add(const TarMember& member, const std::string& place, uint32_t part) {
  const TarHeader& header = member.header;
  Node node{.entry = {.kind = KindOf(header.type),
                      .mode = header.mode,
                      .uid = header.uid,
                      .gid = header.gid,
                      .size = header.size,
                      .modified = header.modified},
            .part = part,
            .data = member.data};
  if (place.empty() && (header.path.empty() || !root_is_known_)) {
    // The owner of the first member is that of PGDATA, whose own member few archives have.
    root_.uid = header.uid;
    root_.gid = header.gid;
    root_.modified = header.modified;
    root_is_known_ = true;
  }
  if (header.path.empty()) {
    if (place.empty() && header.type == TarType::kDirectory) root_.mode = header.mode;
    return {};
  }
  const std::string path = JoinPath(place, header.path);
  if (header.type == TarType::kLink) {
    node.entry.link_target = header.link_target;
    node.entry.size = header.link_target.size();
    if (SplitLast(path).first == kTarTablespaces) {
      links_.push_back({.oid = std::string(SplitLast(path).second), .location = header.link_target});
      return {};
    }
  }
  if (header.type == TarType::kHardLink) {
    PGS_ASSIGN(const std::string target, NormalizeTarPath(header.link_target));
    const Node* same = Find(JoinPath(place, target));
    if (same == nullptr || same->entry.kind == EntryKind::kDirectory) {
      return Fail(ErrorCode::kCorrupt, Quoted(path) + " is another name of " + Quoted(target) + ", which is not there");
    }
    node = *same;
  }
  Put(path, std::move(node));
  return {};
}

void TarTree::AddFile(const std::string& path, uint64_t size, uint32_t part) {
  Put(path, {.entry = {.kind = EntryKind::kFile,
                       .mode = 0600,
                       .uid = root_.uid,
                       .gid = root_.gid,
                       .size = size,
                       .modified = root_.modified},
             .part = part});
}

// Whether the link in `directory` is relative and stays inside the tree on its way. A ".." after what is no directory
// here, a link for example, means different things here and in a mount: not shown.
bool TarTree::CanBeShown(std::string_view target, std::string_view directory) const {
  if (target.empty() || target.starts_with('/') || target.find('\0') != std::string_view::npos) return false;
  std::string at(directory);
  for (const std::string_view part : Split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      at = JoinPath(at, part);
      continue;
    }
    if (at.empty() || !directories_.contains(at)) return false;
    at = SplitLast(at).first;
  }
  return true;
}

Status TarTree::Settle(const std::string& directory, TarImage::Nodes& nodes) const {
  std::ranges::stable_sort(nodes, {}, [](const Node& node) -> const std::string& { return node.entry.name; });
  TarImage::Nodes kept;
  for (Node& node : nodes) {
    const Entry& entry = node.entry;
    if (entry.kind == EntryKind::kLink && !CanBeShown(entry.link_target, directory)) continue;
    if (kept.empty() || kept.back().entry.name != entry.name) {
      kept.push_back(std::move(node));
      continue;
    }
    const bool was_directory = kept.back().entry.kind == EntryKind::kDirectory;
    if (was_directory != (entry.kind == EntryKind::kDirectory)) {
      return Fail(ErrorCode::kCorrupt,
                  Quoted(JoinPath(directory, entry.name)) + " is both a directory and something else");
    }
    kept.back() = std::move(node);
  }
  kept.shrink_to_fit();
  nodes = std::move(kept);
  return {};
}

Status TarTree::MoveInto(TarImage& image) {
  for (auto& [path, nodes] : directories_) PGS_TRY(Settle(path, nodes));
  image.root_ = root_;
  image.directories_ = std::move(directories_);
  image.missing_ = std::move(links_);
  return {};
}

}  // namespace pgstrata::image
