#include "branch/branch/locked_branch.h"

#include <poll.h>
#include <unistd.h>

#include "branch/branch/source_fingerprint.h"
#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "volume/layer/layer_directory.h"

namespace pgstrata::branch {
namespace {

constexpr size_t kLayerDigits = 6;

}  // namespace

bool BranchEvents::IsCancelled() const {
  pollfd cancel{cancel_fd, POLLIN, 0};
  return cancel_fd >= 0 && ::poll(&cancel, 1, 0) > 0;
}

Status LockedBranch::Save(const std::optional<BranchRecord>& other) const {
  std::vector<BranchRecord> records = {record};
  if (other) records.push_back(*other);
  std::vector<std::string> orphans;
  {
    PGS_ASSIGN(auto catalogue, Catalogue::Open(home));
    PGS_ASSIGN(orphans, catalogue.Change(records));
  }
  // It is done; a layer that stays is a leftover.
  if (const auto removed = RemoveLayers(home, orphans); !removed) log::Warning("{}", removed.error().message());
  return {};
}

Result<bool> LockedBranch::IsEntered() const {
  PGS_ASSIGN(auto catalogue, Catalogue::OpenIfThere(home));
  if (!catalogue) return false;
  PGS_ASSIGN(const auto found, catalogue->FindById(record.id));
  return found && found->layers.back().id == record.layers.back().id;
}

Result<LockedBranch> LockBranch(const std::string& home, std::string_view name, std::string_view words) {
  while (true) {
    PGS_ASSIGN(auto catalogue, Catalogue::OpenIfThere(home));
    if (!catalogue) {
      return Fail(Error(ErrorCode::kNotFound, "there is no branch " + Quoted(name))
                      .WithHint("pgstrata branch create makes one"));
    }
    PGS_ASSIGN(auto record, catalogue->Find(name));
    BranchDirectory directory(home, record.id);
    auto lock = BranchLock::TryAcquire(directory, name, words);
    if (!lock && lock.error().code() != ErrorCode::kNotFound) return Fail(std::move(lock).error());
    // It may have been dropped, renamed or changed before we had the lock.
    PGS_ASSIGN(auto now, catalogue->FindById(record.id));
    if (!lock && now) return Fail(std::move(lock).error().Wrap("branch " + Quoted(name) + " has lost its directory"));
    if (!lock || !now || now->name != name) continue;
    return LockedBranch{.home = home, .directory = directory, .record = *std::move(now), .lock = *std::move(lock)};
  }
}

Result<io::UserIdentity> OwnerOf(const BranchRecord& record) {
  if (::geteuid() == 0) return io::FindUser(record.server_user);
  PGS_ASSIGN(auto user, io::CurrentUser());
  if (user.name == record.server_user) return user;
  return Fail(
      Error(ErrorCode::kPermission, "branch " + Quoted(record.name) + " belongs to user " + Quoted(record.server_user))
          .WithHint("run pgstrata as that user or as root"));
}

Login LoginOf(const BranchRecord& record) {
  return {.role = record.login_role, .database = record.login_database, .superuser = record.login_superuser};
}

Result<std::shared_ptr<const image::Image>> OpenSource(const LockedBranch& branch, const SourceOpener& open) {
  auto image = open(branch.record.source);
  if (!image) {
    Error error = std::move(image).error().Wrap("the source of branch " + Quoted(branch.record.name));
    const bool may_have_moved = error.code() == ErrorCode::kNotFound || error.code() == ErrorCode::kInvalidArgument;
    if (!may_have_moved) return Fail(std::move(error));
    const std::string told = error.hint().empty() ? "" : error.hint() + "; ";
    return Fail(std::move(error).WithHint(told + "if it lies elsewhere now: pgstrata branch relocate " +
                                          branch.record.name + " SOURCE"));
  }
  PGS_TRY(CheckFingerprints(**image, branch.directory.source()));
  return image;
}

std::vector<std::string> LayerDirectories(const std::string& home, std::span<const LayerRecord> layers) {
  std::vector<std::string> directories;
  directories.reserve(layers.size());
  for (const auto& layer : layers) directories.push_back(LayerDirectory(home, layer.id));
  return directories;
}

Result<std::unique_ptr<layer::Volume>> OpenVolume(const std::string& home, const BranchRecord& record,
                                                  std::shared_ptr<const image::Image> image,
                                                  layer::LayerStorage& storage) {
  PGS_ASSIGN(const auto owner, OwnerOf(record));
  return layer::Volume::Open({.image = std::move(image),
                              .layers = LayerDirectories(home, record.layers),
                              .owner = {owner.uid, owner.gid},
                              .own_from = record.layers_at_creation,
                              .storage = &storage});
}

std::string NewLayerId(std::string_view id) { return std::string(id) + '-' + RandomDigits(kLayerDigits); }

Status RemoveLayers(const std::string& home, const std::vector<std::string>& layers) {
  for (const auto& layer : layers) PGS_TRY(io::RemoveTree(LayerDirectory(home, layer)));
  return {};
}

uint64_t LimitedBytes(const std::string& home, const BranchRecord& record) {
  uint64_t bytes = 0;
  for (size_t i = record.layers_at_creation; i < record.layers.size(); ++i) {
    bytes += io::AllocatedBytes(LayerDirectory(home, record.layers[i].id)).value_or(0);
  }
  return bytes;
}

}  // namespace pgstrata::branch
