#include "catalog/probackup/file_tree.h"

#include <algorithm>
#include <utility>

#include "catalog/probackup/page_index.h"
#include "foundation/base/text.h"

namespace pgstrata::probackup {
namespace {

constexpr uint32_t kPermissions = 07777;
constexpr uint32_t kDirectoryMode = 0700;

StoredCopy CopyOf(const ContentEntry& entry, uint32_t layer) {
  return {.layer = layer,
          .compression = entry.compression,
          .crc = entry.crc,
          .size = *entry.size,
          .header_map = entry.header_map.value_or(HeaderMapPlace{})};
}

}  // namespace

FileTree::FileTree() {
  nodes_.push_back({.kind = image::EntryKind::kDirectory, .mode = kDirectoryMode});
  searches_.emplace_back();
  given_.push_back(false);
  by_path_.emplace("", kRoot);
}

uint32_t FileTree::Attach(std::string_view path, FileNode node) {
  const auto [directory, name] = SplitLast(path);
  const uint32_t parent = MakeDirectory(directory);
  const auto number = static_cast<uint32_t>(nodes_.size());
  node.name = name;
  nodes_.push_back(std::move(node));
  searches_.emplace_back();
  given_.push_back(false);
  nodes_[parent].children.push_back(number);
  by_path_.emplace(path, number);
  return number;
}

uint32_t FileTree::MakeDirectory(std::string_view path) {
  if (const auto known = Find(path)) {
    // What has something below it is a directory, whatever its entry says (a link, in old lists).
    nodes_[*known].kind = image::EntryKind::kDirectory;
    return *known;
  }
  return Attach(path, {.kind = image::EntryKind::kDirectory, .mode = kDirectoryMode});
}

// A backup that reads every page has seen them all, whichever of them it kept.
void FileTree::NoteCoverage(FileNode& node, const ContentEntry& entry, BackupMode mode) {
  if (mode != BackupMode::kFull && mode != BackupMode::kDelta) return;
  node.blocks_seen = std::max(node.blocks_seen, entry.blocks.value_or(0));
}

void FileTree::AddNewest(const ContentEntry& entry, BackupMode mode) {
  const bool is_file = entry.IsRegular();
  auto number = Find(entry.path);
  if (number && given_[*number]) return;
  if (!number) number = is_file ? Attach(entry.path, {}) : MakeDirectory(entry.path);
  given_[*number] = true;
  FileNode& node = nodes_[*number];
  // A link is one of a tablespace (before 2.1): what lies there is below it.
  node.mode = is_file || entry.IsDirectory() ? entry.mode & kPermissions : kDirectoryMode;
  if (!is_file || node.kind == image::EntryKind::kDirectory) return;
  node.has_pages = entry.HasPages();
  node.segment = entry.segment;
  Search& search = searches_[*number];
  search.done = entry.size.has_value();
  if (entry.size && *entry.size > 0) node.copies.push_back(CopyOf(entry, 0));
  if (entry.size && *entry.size == 0) node.length = 0;
  if (node.has_pages) {
    node.blocks = entry.blocks;
    NoteCoverage(node, entry, mode);
  } else if (!node.length) {
    node.length = entry.size ? entry.size : entry.full_size;
  }
}

void FileTree::AddOlder(const ContentEntry& entry, uint32_t layer, BackupMode mode) {
  if (!entry.IsRegular()) return;
  const auto found = by_path_.find(entry.path);
  if (found == by_path_.end()) return;
  FileNode& node = nodes_[found->second];
  if (node.kind != image::EntryKind::kFile || node.length == 0) return;
  const bool holds_bytes = entry.size && *entry.size > 0;
  if (node.has_pages) {
    if (!entry.HasPages()) return;
    NoteCoverage(node, entry, mode);
    if (holds_bytes) node.copies.push_back(CopyOf(entry, layer));
    return;
  }
  Search& search = searches_[found->second];
  if (search.done || search.last_layer + 1 != layer) return;
  search.last_layer = layer;
  if (!entry.size) return;
  search.done = true;
  if (holds_bytes) node.copies.push_back(CopyOf(entry, layer));
  if (!node.length) node.length = entry.size;
}

void FileTree::Finish(const ProgramVersion& newest) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    FileNode& node = nodes_[i];
    std::ranges::sort(node.children, {}, [this](uint32_t child) -> const std::string& { return nodes_[child].name; });
    node.children.shrink_to_fit();
    node.copies.shrink_to_fit();
    if (node.kind != image::EntryKind::kFile || node.length == 0) continue;
    if (!node.has_pages) {
      // Unchanged since a backup that says that it is empty, or that is not in the chain: then nobody has its bytes.
      node.lost = node.copies.empty() && (!searches_[i].done || node.length.value_or(0) != 0);
      if (!node.length) node.length = 0;
      continue;
    }
    if (!node.blocks && newest >= kHeaderMapVersion && node.copies.empty()) node.blocks = 0;
    node.lost = node.copies.empty() && node.blocks.value_or(1) != 0;
    if (node.blocks && node.blocks_seen >= *node.blocks) node.length = uint64_t{*node.blocks} * kPageBytes;
  }
  searches_ = {};
  given_ = {};
}

std::optional<uint32_t> FileTree::Find(std::string_view path) const {
  const auto found = by_path_.find(std::string(path));
  return found == by_path_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace pgstrata::probackup
