#include "foundation/base/error.h"

#include <cerrno>
#include <system_error>

namespace pgstrata {
namespace {

ErrorCode CodeOfErrno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
    case ENXIO:
    case ENODEV:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kPermission;
    case EBUSY:
    case ETXTBSY:
      return ErrorCode::kBusy;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorCode::kNoSpace;
    case EINTR:
    case ECANCELED:
      return ErrorCode::kCancelled;
    default:
      return ErrorCode::kIo;
  }
}

std::string LowerFirst(std::string text) {
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
  return text;
}

}  // namespace

Error Error::FromErrno(int error_number, std::string_view what) {
  Error error(CodeOfErrno(error_number),
              std::string(what) + ": " + LowerFirst(std::generic_category().message(error_number)));
  error.errno_ = error_number;
  return error;
}

std::unexpected<Error> FailErrno(std::string_view what) { return std::unexpected(Error::FromErrno(errno, what)); }

}  // namespace pgstrata
