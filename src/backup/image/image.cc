#include "backup/image/image.h"

#include <deque>

#include "foundation/base/text.h"

namespace pgstrata::image {
namespace {

void PutBefore(std::deque<std::string>& rest, std::string_view path) {
  auto parts = Split(path, '/');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) rest.emplace_front(*part);
}

}  // namespace

Result<uint64_t> Image::LogicalBytes() const {
  uint64_t bytes = 0;
  PGS_TRY(Walk(*this, "", [&](const std::string& path, const Entry& entry) -> Status {
    if (entry.kind == EntryKind::kFile && !path.starts_with("pg_wal/")) bytes += entry.size;
    return {};
  }));
  return bytes;
}

Result<std::string> FollowLinks(const Image& image, std::string_view path) {
  constexpr int kMostLinks = 40;  // as many as the kernel follows
  const auto astray = [&] {
    return Fail(ErrorCode::kInvalidArgument, "the links of \"" + std::string(path) + "\" in \"" + image.name() +
                                                 "\" lead round in a circle or out of the backup");
  };
  int links = 0;
  std::string resolved;
  std::deque<std::string> rest;
  PutBefore(rest, path);
  while (!rest.empty()) {
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (resolved.empty()) return astray();
      const size_t slash = resolved.find_last_of('/');
      resolved.resize(slash == std::string::npos ? 0 : slash);
      continue;
    }
    const std::string next = JoinPath(resolved, part);
    const auto entry = image.Stat(next);
    if (!entry && entry.error().code() != ErrorCode::kNotFound) return Fail(entry.error());
    if (!entry || entry->kind != EntryKind::kLink) {
      resolved = next;
      continue;
    }
    if (++links > kMostLinks || entry->link_target.starts_with('/')) return astray();
    PutBefore(rest, entry->link_target);
  }
  return resolved;
}

Result<std::string> ReadSmallFile(const Image& image, std::string_view path, uint64_t limit) {
  auto file = image.Open(path);
  if (!file && (file.error().code() == ErrorCode::kNotFound || file.error().code() == ErrorCode::kInvalidArgument)) {
    PGS_ASSIGN(const std::string followed, FollowLinks(image, path));
    if (followed != path) file = image.Open(followed);
  }
  if (!file) return Fail(std::move(file).error());
  if ((*file)->size() > limit) {
    return Fail(ErrorCode::kUnsupported, '"' + std::string(path) + "\" of \"" + image.name() + "\" is larger than " +
                                             std::to_string(limit) + " bytes");
  }
  std::string content((*file)->size(), '\0');
  PGS_TRY((*file)->ReadAt(0, std::as_writable_bytes(std::span(content))));
  return content;
}

}  // namespace pgstrata::image
