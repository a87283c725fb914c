#include "app/cli/exit_status.h"

#include <csignal>

namespace pgstrata::cli {

int ExitStatusOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return kExitUsage;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCorrupt:
      return kExitBadData;
    case ErrorCode::kNotFound:
      return kExitNoInput;
    case ErrorCode::kAlreadyExists:
      return kExitExists;
    case ErrorCode::kUnsupported:
    case ErrorCode::kUnavailable:
      return kExitUnavailable;
    case ErrorCode::kPermission:
      return kExitPermission;
    case ErrorCode::kBusy:
      return kExitBusy;
    case ErrorCode::kNoSpace:
      return kExitNoSpace;
    case ErrorCode::kIo:
      return kExitIo;
    case ErrorCode::kMissingWal:
      return kExitMissingWal;
    case ErrorCode::kCancelled:
      return kExitSignalBase + SIGINT;
    case ErrorCode::kInternal:
      return kExitInternal;
  }
  return kExitInternal;
}

}  // namespace pgstrata::cli
