#include "catalog/probackup/chain_image.h"

#include <utility>

#include "catalog/probackup/recorded_time.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "postgres/pgdata/pg_time.h"

namespace pgstrata::probackup {

using image::Entry;
using image::EntryKind;

ChainImage::ChainImage(std::shared_ptr<ChainReader> reader, uint32_t external, std::shared_ptr<ReaderLock> lock,
                       std::string name)
    : reader_(std::move(reader)), external_(external), lock_(std::move(lock)), name_(std::move(name)) {
  const BackupDirectory& newest = reader_->chain().backup(0);
  const BackupControl& control = newest.control();
  const auto time = ParseRecordedTime(control.end_time.empty() ? control.start_time : control.end_time);
  if (time) pattern_.modified = pgdata::FromPgTime(static_cast<int64_t>(*time));
  if (const auto status = io::StatLink(newest.path())) {
    pattern_.uid = status->st_uid;
    pattern_.gid = status->st_gid;
  }
}

Result<uint32_t> ChainImage::Find(std::string_view path) const {
  const auto number = reader_->chain().tree(external_).Find(path);
  if (number) return *number;
  return Fail(ErrorCode::kNotFound, "there is no " + Quoted(path) + " in " + Quoted(name_));
}

Result<Entry> ChainImage::EntryOf(uint32_t number, std::string_view path) const {
  const FileNode& node = reader_->chain().tree(external_).node(number);
  Entry entry = pattern_;
  entry.name = node.name;
  entry.kind = node.kind;
  entry.mode = node.mode;
  if (node.kind != EntryKind::kFile) return entry;
  if (node.length) {
    entry.size = *node.length;
  } else {
    PGS_ASSIGN(entry.size, reader_->Length({.external = external_, .number = number, .path = std::string(path)}));
  }
  return entry;
}

Result<Entry> ChainImage::Stat(std::string_view path) const {
  if (lock_) lock_->KeepForThisProcess();
  PGS_ASSIGN(const uint32_t number, Find(path));
  return EntryOf(number, path);
}

Result<std::vector<Entry>> ChainImage::List(std::string_view directory) const {
  if (lock_) lock_->KeepForThisProcess();
  PGS_ASSIGN(const uint32_t number, Find(directory));
  const FileTree& tree = reader_->chain().tree(external_);
  const FileNode& node = tree.node(number);
  if (node.kind != EntryKind::kDirectory) {
    return Fail(ErrorCode::kNotFound, Quoted(directory) + " of " + Quoted(name_) + " is not a directory");
  }
  std::vector<Entry> entries;
  entries.reserve(node.children.size());
  for (const uint32_t child : node.children) {
    PGS_ASSIGN(entries.emplace_back(), EntryOf(child, JoinPath(directory, tree.node(child).name)));
  }
  return entries;
}

Status ChainImage::VisitParts(const image::PartVisitor& visit) const {
  if (lock_) lock_->KeepForThisProcess();
  return reader_->VisitParts(external_, visit);
}

Result<std::unique_ptr<image::ImageFile>> ChainImage::Open(std::string_view path) const {
  if (lock_) lock_->KeepForThisProcess();
  PGS_ASSIGN(const uint32_t number, Find(path));
  if (reader_->chain().tree(external_).node(number).kind != EntryKind::kFile) {
    return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " of " + Quoted(name_) + " is not a regular file");
  }
  return reader_->Open({.external = external_, .number = number, .path = std::string(path)});
}

}  // namespace pgstrata::probackup
