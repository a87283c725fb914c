// Making kept branches, and taking them back to what they were made as.
//
// Everything is made first and entered into the catalogue last, in one transaction: a command that is killed leaves a
// branch, or a directory that no entry names and `doctor` removes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/locked_branch.h"
#include "branch/branch/moment.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

struct BranchOptions {
  std::string name;
  std::string pg_bin;
  std::string user = "postgres";  // whom the server runs as, when made by root
  std::string database;
  std::string role;
  uint64_t max_size = 0;
  bool ephemeral = false;
  bool allow_network = false;
  std::string run_script;  // a file that psql runs before anybody can connect; empty: none
};

// A backup of any kind, open.
struct BranchSource {
  SourceReference reference;
  std::string typed;  // as the user said it
  std::shared_ptr<const image::Image> image;
  std::vector<std::unique_ptr<image::WalArchive>> wal_archives;
  std::optional<MomentRequest> at = {};  // recovery is done while the branch is made; nothing: at its first start
};

// Each returns the new branch, stopped. kAlreadyExists where the name is taken; the errors of `open` where the source
// cannot become a database here.
Result<BranchRecord> CreateFromSource(const std::string& home, const BranchOptions& options, const BranchSource& source,
                                      const BranchEvents& events);
// Of a stopped branch, which is frozen: both go on above what they share. kBusy where it runs or somebody works on it.
Result<BranchRecord> CreateFromBranch(const std::string& home, const BranchOptions& options, const std::string& parent,
                                      const SourceOpener& open, const BranchEvents& events);
// Of a new cluster, made by the initdb of major version `major`; 0 is the newest there is.
Result<BranchRecord> CreateEmpty(const std::string& home, const BranchOptions& options, int major,
                                 const BranchEvents& events);

// Throws away what was changed since it was made: what a recovery to a moment and a --run script did is kept. The
// branch does not run.
Status ResetBranch(LockedBranch& branch, const SourceOpener& open);

}  // namespace pgstrata::branch
