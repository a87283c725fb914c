#include "volume/vfs/errno_map.h"

namespace pgstrata::vfs {
namespace {

int OfCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
      return ENOENT;
    case ErrorCode::kAlreadyExists:
      return EEXIST;
    case ErrorCode::kPermission:
      return EACCES;
    case ErrorCode::kBusy:
      return EBUSY;
    case ErrorCode::kNoSpace:
      return ENOSPC;
    case ErrorCode::kInvalidArgument:
      return EINVAL;
    case ErrorCode::kUnsupported:
      return EOPNOTSUPP;
    default:
      return EIO;
  }
}

}  // namespace

Errno ToErrno(const Error& error) {
  switch (error.system_errno()) {
    case 0:
      return Errno{OfCode(error.code())};
    case EDQUOT:
      return Errno{ENOSPC};
    case ENOSPC:
    case EFBIG:
    case ENOMEM:
      return Errno{error.system_errno()};
    default:
      return Errno{EIO};
  }
}

}  // namespace pgstrata::vfs
