// The exit statuses of pgstrata. docs/exit-status.md says the same in prose; tests/architecture compares the two.
// 64 to 78 are sysexits.h's numbers where their meaning fits. `open` passes psql's own status (0 to 3) on.
#pragma once

#include "foundation/base/error.h"

namespace pgstrata::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitUsage = 64;    // the command line's own grammar; arguments that contradict each other
inline constexpr int kExitBadData = 65;  // not a backup, damaged, or not what a format promises
inline constexpr int kExitNoInput = 66;  // the named source, file or directory does not exist
inline constexpr int kExitUnavailable =
    69;                                   // this machine lacks something, or this program does not open such a source
inline constexpr int kExitInternal = 70;  // a mistake in pgstrata
inline constexpr int kExitExists = 71;    // what was to be made is there already
inline constexpr int kExitNoSpace = 73;   // disk or quota full
inline constexpr int kExitIo = 74;        // the operating system failed an operation
inline constexpr int kExitBusy = 75;      // in use by a server, or by another pgstrata
inline constexpr int kExitPermission = 77;
inline constexpr int kExitMissingWal = 78;
inline constexpr int kExitSignalBase = 128;  // plus the number of the signal that ended it: 129, 130, 143

// The status of a command that ended with an error of this code. A cancelled command is 130 here; who knows the signal
// returns kExitSignalBase + its number instead.
[[nodiscard]] int ExitStatusOf(ErrorCode code);

}  // namespace pgstrata::cli
