// A branch that one command works on.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "branch/branch/branch_directory.h"
#include "branch/branch/catalogue.h"
#include "branch/branch/login.h"
#include "foundation/base/error.h"
#include "volume/layer/volume.h"

namespace pgstrata::branch {

// What a long command tells. Called on the caller's thread.
struct BranchEvents {
  std::function<void(const std::string&)> warning;
  std::function<void(const std::string&)> progress;
  int cancel_fd = -1;  // readable: give up

  [[nodiscard]] bool IsCancelled() const;
};

struct LockedBranch {
  std::string home;
  BranchDirectory directory;
  BranchRecord record;
  BranchLock lock;

  // Enters the record as it is now, and with it that of another branch whose lock the caller holds too; removes the
  // layers that nobody stands on any more. After an error it may be entered all the same: what was made for it goes
  // only where IsEntered says no.
  Status Save(const std::optional<BranchRecord>& other = std::nullopt) const;
  // Whether the catalogue has the branch with its topmost layer.
  [[nodiscard]] Result<bool> IsEntered() const;
};

// By name. kNotFound; kBusy naming who works on it. `words` say what this command does, for whoever comes meanwhile.
Result<LockedBranch> LockBranch(const std::string& home, std::string_view name, std::string_view words);

// Whom its server runs as. kPermission where we are another user.
Result<io::UserIdentity> OwnerOf(const BranchRecord& record);
// Whom a client of it logs in as.
Login LoginOf(const BranchRecord& record);
// The image below all its layers, unchanged since the branch was made. The errors of `open`, and kCorrupt where it is
// another by now, with what to do about it.
Result<std::shared_ptr<const image::Image>> OpenSource(const LockedBranch& branch, const SourceOpener& open);
// The volume of `record`, without a limit; nobody serves it.
Result<std::unique_ptr<layer::Volume>> OpenVolume(const std::string& home, const BranchRecord& record,
                                                  std::shared_ptr<const image::Image> image,
                                                  layer::LayerStorage& storage = layer::NativeStorage());

// Where they lie, in their order.
std::vector<std::string> LayerDirectories(const std::string& home, std::span<const LayerRecord> layers);
// An id for a layer of the branch `id`, and the removal of layers that stand in no stack.
std::string NewLayerId(std::string_view id);
Status RemoveLayers(const std::string& home, const std::vector<std::string>& layers);
// Bytes on disk of what max_size bounds: the branch's own layers.
uint64_t LimitedBytes(const std::string& home, const BranchRecord& record);

}  // namespace pgstrata::branch
