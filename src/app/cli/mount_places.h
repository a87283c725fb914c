// What `mount` is to mount, and where: SOURCE and MNT, or the flags that pbkfs has for a backup in a pg_probackup
// catalog (docs/pbkfs.md). A diff directory that was used before says what is left out.
#pragma once

#include <functional>
#include <iosfwd>
#include <optional>
#include <string>

#include "app/cli/command_line.h"
#include "branch/branch/diff_directory.h"
#include "foundation/base/error.h"

namespace pgstrata::cli {

struct MountPlaces {
  std::string source;      // SOURCE
  std::string mountpoint;  // MNT
  std::string catalog;     // -B
  std::string instance;    // -I
  std::string backup_id;   // -i
  std::string mnt_path;    // -D
};
// -B, -I, -i and -D.
void AddPlaceFlags(Command& command, MountPlaces& places);

struct SourceAndMountpoint {
  std::string source;
  std::string mountpoint;
  bool remembered = false;  // `source` is what the diff directory says
};
// `remembered` is what the diff directory says, where one is given and was used before. kUsage where both forms are
// used, or something is missing; kInvalidArgument where the flags name another backup than the diff directory.
Result<SourceAndMountpoint> ResolvePlaces(const MountPlaces& places,
                                          const std::optional<branch::DiffRecord>& remembered);

// The one of an argument and a flag with the same meaning that is given; kUsage for both and for neither. They are
// named in the message.
Result<std::string> OneOf(const std::string& argument, const std::string& argument_name, const std::string& flag,
                          const std::string& flag_name);
// `value` where it is one of two; else kUsage.
Result<bool> IsSecond(const std::string& option, const std::string& value, const std::string& first,
                      const std::string& second);

// Writes warnings to `err`, which outlives it.
std::function<void(const std::string&)> WarningTo(std::ostream& err);

}  // namespace pgstrata::cli
