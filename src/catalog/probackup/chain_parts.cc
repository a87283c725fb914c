// What tells whether a chain is still what it was: the catalog's own words, and a look at every file that it reads.
#include <functional>
#include <optional>
#include <string>

#include "catalog/probackup/chain_reader.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::probackup {
namespace {

// Calls `visit(number, path)` for every file of the tree.
Status VisitFiles(const FileTree& tree, uint32_t directory, const std::string& path,
                  const std::function<Status(uint32_t number, const std::string& path)>& visit) {
  for (const uint32_t child : tree.node(directory).children) {
    const FileNode& node = tree.node(child);
    const std::string below = JoinPath(path, node.name);
    if (node.kind == image::EntryKind::kFile) PGS_TRY(visit(child, below));
    if (node.kind == image::EntryKind::kDirectory) PGS_TRY(VisitFiles(tree, child, below, visit));
  }
  return {};
}

// The files of one backup, as they lie there.
class BackupParts {
 public:
  BackupParts(const BackupDirectory& backup, const image::PartVisitor& visit) : backup_(backup), visit_(visit) {}

  Status VisitContent() {
    PGS_TRY(backup_.StillTheSame());
    const std::string fact = backup_.ContentFact();
    const std::string name = NameOf(JoinPath(backup_.path(), kControlFileName));
    return visit_({.name = name, .fact = fact});
  }

  // A file that the backup has lost is no hindrance: what it held fails when it is read.
  Status VisitFile(const std::string& native, std::optional<uint64_t> watched_as) {
    const std::string name = NameOf(native);
    const auto status = io::StatLink(native);
    if (!status && status.error().code() != ErrorCode::kNotFound) return Fail(status.error());
    if (!status) return visit_({.name = name, .fact = image::kPartIsMissing});
    const auto file = image::Fingerprint::Of(*status);
    if (watched_as) backup_.Watch(*watched_as, file);
    return visit_({.name = name, .file = &file});
  }

 private:
  [[nodiscard]] std::string NameOf(const std::string& native) const {
    return backup_.control().id + native.substr(backup_.path().size());
  }

  const BackupDirectory& backup_;
  const image::PartVisitor& visit_;
};

}  // namespace

Status ChainReader::VisitParts(uint32_t external, const image::PartVisitor& visit) const {
  for (const auto& backup : chain_->backups()) {
    BackupParts parts(*backup, visit);
    PGS_TRY(parts.VisitContent());
    PGS_TRY(parts.VisitFile(JoinPath(backup->path(), kContentListName), {}));
    PGS_TRY(parts.VisitFile(JoinPath(backup->path(), kHeaderMapName), kHeaderMapKey));
  }
  return VisitFiles(chain_->tree(external), FileTree::kRoot, "",
                    [&](uint32_t number, const std::string& path) -> Status {
                      const ChainFile file{.external = external, .number = number, .path = path};
                      for (const StoredCopy& copy : node(file).copies) {
                        const BackupDirectory& backup = chain_->backup(copy.layer);
                        PGS_TRY(BackupParts(backup, visit).VisitFile(backup.PathOf(external, path), file.key()));
                      }
                      return {};
                    });
}

uint64_t ChainReader::ListedBytes(uint32_t external) const {
  uint64_t bytes = 0;
  const auto add = [&](uint32_t number, const std::string& path) -> Status {
    const FileNode& node = chain_->tree(external).node(number);
    const uint64_t blocks = node.blocks.value_or(node.blocks_seen);
    if (!path.starts_with("pg_wal/")) bytes += node.length.value_or(blocks * kPageBytes);
    return {};
  };
  static_cast<void>(VisitFiles(chain_->tree(external), FileTree::kRoot, "", add));
  return bytes;
}

}  // namespace pgstrata::probackup
