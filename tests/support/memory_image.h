// An image made of literals, for tests of what reads images.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "backup/image/buffer_file.h"
#include "backup/image/image.h"
#include "foundation/base/text.h"

namespace pgstrata::test {

// Directories above what is added come into being with mode 0700. Add everything before the first read.
class MemoryImage final : public image::Image {
 public:
  explicit MemoryImage(std::string name = "memory") : name_(std::move(name)) { AddDirectory(""); }

  void AddFile(const std::string& path, std::string content, uint32_t mode = 0600) {
    image::Entry entry{.kind = image::EntryKind::kFile, .mode = mode, .size = content.size()};
    Put(path, std::move(entry), std::move(content));
  }
  void AddDirectory(const std::string& path, uint32_t mode = 0700) {
    Put(path, {.kind = image::EntryKind::kDirectory, .mode = mode}, {});
  }
  void AddLink(const std::string& path, const std::string& target) {
    Put(path, {.kind = image::EntryKind::kLink, .mode = 0777, .size = target.size(), .link_target = target}, {});
  }
  void AddMissingTablespace(std::string oid, std::string location) {
    missing_.push_back({.oid = std::move(oid), .location = std::move(location)});
  }
  void Remove(const std::string& path) { nodes_.erase(path); }

  [[nodiscard]] const std::string& name() const override { return name_; }

  Result<image::Entry> Stat(std::string_view path) const override {
    const auto node = nodes_.find(path);
    if (node == nodes_.end()) return Fail(ErrorCode::kNotFound, "there is no \"" + std::string(path) + '"');
    return node->second.entry;
  }

  Result<std::vector<image::Entry>> List(std::string_view directory) const override {
    const auto holder = nodes_.find(directory);
    if (holder == nodes_.end() || holder->second.entry.kind != image::EntryKind::kDirectory) {
      return Fail(ErrorCode::kNotFound, '"' + std::string(directory) + "\" is not a directory");
    }
    std::vector<image::Entry> entries;
    for (const auto& [path, node] : nodes_) {
      if (!path.empty() && Parent(path) == directory) entries.push_back(node.entry);
    }
    std::ranges::sort(entries, {}, &image::Entry::name);
    return entries;
  }

  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view path) const override {
    PGS_ASSIGN(const image::Entry entry, Stat(path));
    if (entry.kind != image::EntryKind::kFile) {
      return Fail(ErrorCode::kInvalidArgument, '"' + std::string(path) + "\" is not a regular file");
    }
    return image::MakeBufferView(AsBytes(nodes_.find(path)->second.content));
  }

  [[nodiscard]] Result<std::vector<image::MissingTablespace>> MissingTablespaces() const override { return missing_; }

  Status VisitParts(const image::PartVisitor& visit) const override {
    for (const auto& [path, node] : nodes_) {
      const std::string fact = std::to_string(std::hash<std::string>()(node.content));
      if (node.entry.kind == image::EntryKind::kFile) PGS_TRY(visit({.name = path, .fact = fact}));
    }
    return {};
  }

 private:
  struct Node {
    image::Entry entry;
    std::string content;
  };

  static std::string_view Parent(std::string_view path) {
    const size_t slash = path.find_last_of('/');
    return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  }

  void Put(const std::string& path, image::Entry entry, std::string content) {
    if (!path.empty() && !nodes_.contains(std::string(Parent(path)))) AddDirectory(std::string(Parent(path)));
    const size_t slash = path.find_last_of('/');
    entry.name = slash == std::string::npos ? path : path.substr(slash + 1);
    nodes_.insert_or_assign(path, Node{std::move(entry), std::move(content)});
  }

  std::string name_;
  std::map<std::string, Node, std::less<>> nodes_;
  std::vector<image::MissingTablespace> missing_;
};

}  // namespace pgstrata::test
