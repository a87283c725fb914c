#include <memory>
#include <optional>
#include <ostream>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/mount_places.h"
#include "app/cli/seconds.h"
#include "branch/branch/end_mount.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "volume/fuse/mount.h"

namespace pgstrata::cli {
namespace {

struct UnmountArguments {
  std::string place;
  std::string mnt_path;
  std::string diff_directory;
  std::string timeout = "60";
  bool force = false;
};

// -d says which mount is meant at -D, and leads to it where nothing is seen there.
Result<std::string> PlaceOfFlags(const UnmountArguments& arguments) {
  PGS_ASSIGN(const std::string mountpoint, fuse::ResolveMountpoint(arguments.mnt_path));
  if (arguments.diff_directory.empty()) return mountpoint;
  PGS_ASSIGN(const std::string diff_directory, io::ResolvePath(arguments.diff_directory));
  PGS_ASSIGN(const auto mount, fuse::FindMount(mountpoint));
  if (!mount) return diff_directory;
  if (mount->source == diff_directory) return mountpoint;
  return Fail(ErrorCode::kInvalidArgument,
              "what is mounted at " + Quoted(mountpoint) + " is not from " + Quoted(diff_directory));
}

Result<std::string> PlaceOf(const UnmountArguments& arguments) {
  const std::string& flag = arguments.mnt_path.empty() ? arguments.diff_directory : arguments.mnt_path;
  PGS_ASSIGN(const std::string place, OneOf(arguments.place, "PLACE", flag, "-D/--mnt-path MNT"));
  if (!arguments.mnt_path.empty()) return PlaceOfFlags(arguments);
  return fuse::ResolveMountpoint(place);
}

Result<int> RunUnmount(const UnmountArguments& arguments, Output& output) {
  PGS_ASSIGN(const auto timeout, ParseSeconds("--timeout", arguments.timeout));
  PGS_ASSIGN(const std::string place, PlaceOf(arguments));
  PGS_TRY(branch::EndMount(place, {.force = arguments.force, .timeout = timeout, .warning = WarningTo(output.err)}));
  return kExitOk;
}

}  // namespace

void AddUnmountCommand(CommandLine& line) {
  auto arguments = std::make_shared<UnmountArguments>();
  Command command = line.Add("unmount", "End a mount, with everything that was written made durable");
  command.Optional("PLACE", arguments->place, "Where it is mounted, or its diff directory");
  command.Option("-D,--mnt-path", "MNT", arguments->mnt_path, "In place of PLACE: where it is mounted");
  command.Option("-d,--diff-dir", "DIR", arguments->diff_directory,
                 "In place of PLACE, or with -D: its diff directory");
  command.Flag("--force", arguments->force, "Also where it is in use, hangs, or its process has died");
  command.Option("--timeout", "SECONDS", arguments->timeout, "How long to wait for that (default: 60)");
  command.Examples({"pgstrata unmount /srv/monday", "pgstrata umount --force /srv/monday",
                    "pgstrata unmount -D /srv/main -d /var/lib/main.diff"});
  command.Run([arguments](Output& output) { return RunUnmount(*arguments, output); });
}

}  // namespace pgstrata::cli
