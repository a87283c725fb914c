#include "app/cli/branch_source.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "foundation/io/directory.h"

namespace pgstrata::cli {
namespace {

// Only these kinds find their older backups by paths; a catalog names its own.
bool HasChain(source::SourceKind kind) {
  return kind == source::SourceKind::kDirectory || kind == source::SourceKind::kTar;
}

// What is no file of its own, as a pipe, gives its passphrase once.
std::string KeptPassphraseFile(const std::string& path) {
  if (path.empty() || !io::IsRegularFile(path)) return {};
  return io::ResolvePath(path).value_or("");
}

Result<std::shared_ptr<const image::Image>> Reopen(const branch::SourceReference& reference) {
  PGS_ASSIGN(auto resolved, ResolveSource({.source = reference.kind + ':' + reference.path,
                                           .chain = reference.chain,
                                           .cipher_pass_file = reference.passphrase_file,
                                           .force = reference.force}));
  return std::shared_ptr<const image::Image>(std::move(resolved.image));
}

}  // namespace

Result<branch::BranchSource> BranchSourceOf(source::ResolvedSource resolved, const SourceArguments& arguments) {
  branch::BranchSource source;
  auto& reference = source.reference;
  reference.kind = source::KindWord(resolved.kind);
  reference.path = std::move(resolved.path);
  if (HasChain(resolved.kind)) reference.chain = std::move(resolved.older);
  for (const auto& directory : arguments.wal_directories) {
    PGS_ASSIGN(reference.wal_directories.emplace_back(), io::ResolvePath(directory));
  }
  reference.force = arguments.force;
  reference.passphrase_file = KeptPassphraseFile(arguments.cipher_pass_file);
  source.typed = arguments.source;
  source.image = std::move(resolved.image);
  source.wal_archives = std::move(resolved.wal_archives);
  return source;
}

branch::SourceOpener SourceReopener() {
  struct Opened {
    branch::SourceReference reference;
    std::shared_ptr<const image::Image> image;
  };
  auto last = std::make_shared<std::optional<Opened>>();
  return [last](const branch::SourceReference& reference) -> Result<std::shared_ptr<const image::Image>> {
    if (*last && (*last)->reference == reference) return (*last)->image;
    PGS_ASSIGN(auto image, Reopen(reference));
    last->emplace(Opened{reference, image});
    return image;
  };
}

}  // namespace pgstrata::cli
