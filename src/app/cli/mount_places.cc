#include "app/cli/mount_places.h"

#include <ostream>
#include <utility>

#include "backup/source/probackup_source.h"
#include "foundation/base/text.h"

namespace pgstrata::cli {
namespace {

std::unexpected<Error> Usage(std::string message) {
  return Fail(Error(ErrorCode::kUsage, std::move(message)).WithHint("see pgstrata mount --help"));
}

Status CheckName(const std::string& flag, const std::string& name) {
  if (!name.contains('/')) return {};
  return Usage(flag + " wants a name, not " + Quoted(name));
}

std::string NameOf(std::string catalog, const std::string& instance, const std::string& id) {
  while (catalog.size() > 1 && catalog.ends_with('/')) catalog.pop_back();
  return "pg_probackup:" + JoinPath(JoinPath(catalog, instance), id);
}

// What the flags name of a catalog that no diff directory remembers.
Result<std::string> NewSource(const MountPlaces& places) {
  if (places.catalog.empty()) {
    return Usage("-B/--pbk-store CATALOG is missing: there is no diff directory that remembers a backup");
  }
  if (places.instance.empty() && !places.backup_id.empty()) return Usage("-i/--backup-id wants -I/--instance too");
  return NameOf(places.catalog, places.instance, places.backup_id);
}

Result<std::string> RememberedSource(const MountPlaces& places, const branch::DiffOrigin& origin) {
  const bool named = !places.catalog.empty() || !places.instance.empty() || !places.backup_id.empty();
  if (!named) return origin.name;
  const auto place = source::ProbackupPlaceOf(origin.path);
  if (!place) {
    return Fail(Error(ErrorCode::kInvalidArgument, "the diff directory was made for " + Quoted(origin.path) +
                                                       ", which is not in a pg_probackup catalog")
                    .WithHint("name that source, or another --diff-dir"));
  }
  const bool other_instance = !places.instance.empty() && places.instance != place->instance;
  const bool other_backup = !places.backup_id.empty() && places.backup_id != place->id;
  if (other_instance || other_backup) {
    const std::string asked = other_backup ? "backup " + places.backup_id : "instance " + places.instance;
    return Fail(Error(ErrorCode::kInvalidArgument, "the diff directory was made for backup " + place->id +
                                                       " of instance " + place->instance + ", not for " + asked)
                    .WithHint("name that backup, or none, or another --diff-dir"));
  }
  return places.catalog.empty() ? origin.name : NameOf(places.catalog, place->instance, place->id);
}

Result<SourceAndMountpoint> FromFlags(const MountPlaces& places, const std::optional<branch::DiffRecord>& remembered) {
  if (places.mnt_path.empty()) return Usage("-D/--mnt-path MNT is missing: where the data directory is shown");
  PGS_TRY(CheckName("-I/--instance", places.instance));
  PGS_TRY(CheckName("-i/--backup-id", places.backup_id));
  PGS_ASSIGN(auto source, remembered ? RememberedSource(places, remembered->origin) : NewSource(places));
  return SourceAndMountpoint{.source = std::move(source),
                             .mountpoint = places.mnt_path,
                             .remembered = remembered.has_value() && places.catalog.empty()};
}

}  // namespace

void AddPlaceFlags(Command& command, MountPlaces& places) {
  command.Option("-B,--pbk-store", "CATALOG", places.catalog, "In place of SOURCE: a pg_probackup catalog");
  command.Option("-I,--instance", "NAME", places.instance, "An instance of it (default: what the diff directory says)");
  command.Option("-i,--backup-id", "ID", places.backup_id, "A backup of it (default: what the diff directory says)");
  command.Option("-D,--mnt-path", "MNT", places.mnt_path, "In place of MNT");
}

Result<SourceAndMountpoint> ResolvePlaces(const MountPlaces& places,
                                          const std::optional<branch::DiffRecord>& remembered) {
  const bool arguments = !places.source.empty() || !places.mountpoint.empty();
  const bool flags =
      !places.catalog.empty() || !places.instance.empty() || !places.backup_id.empty() || !places.mnt_path.empty();
  if (arguments && flags) return Usage("SOURCE and MNT, or -B, -I, -i and -D: not both");
  if (flags) return FromFlags(places, remembered);
  if (places.mountpoint.empty()) return Usage("mount wants SOURCE and MNT, or -B CATALOG -I INSTANCE -i ID -D MNT");
  return SourceAndMountpoint{.source = places.source, .mountpoint = places.mountpoint};
}

Result<std::string> OneOf(const std::string& argument, const std::string& argument_name, const std::string& flag,
                          const std::string& flag_name) {
  if (argument.empty() == flag.empty()) {
    const char* what = argument.empty() ? " is missing" : ": not both";
    return Fail(ErrorCode::kUsage, argument_name + " or " + flag_name + what);
  }
  return argument.empty() ? flag : argument;
}

Result<bool> IsSecond(const std::string& option, const std::string& value, const std::string& first,
                      const std::string& second) {
  if (value == first || value == second) return value == second;
  return Fail(ErrorCode::kUsage, option + " wants " + first + " or " + second + ", not " + Quoted(value));
}

std::function<void(const std::string&)> WarningTo(std::ostream& err) {
  return [&err](const std::string& text) { err << "pgstrata: warning: " << text << std::endl; };
}

}  // namespace pgstrata::cli
