// Errors as values. Every fallible function returns Result<T> or Status; nothing here throws.
//
// An Error says what failed, on which object, with which value, and (in `hint`) what a person can do. Messages are
// lower case, without a full stop, and quote names: "could not read \"base/5/1259\": input/output error".
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace pgstrata {

// Few codes; the command line maps each to one documented exit status (docs/exit-status.md).
enum class ErrorCode {
  kUsage,            // the command line is wrong
  kInvalidArgument,  // what was named is not what it has to be
  kNotFound,         // the named object does not exist
  kAlreadyExists,
  kCorrupt,      // bytes are not what their format promises
  kUnsupported,  // well-formed, but not something this program opens
  kUnavailable,  // something that this machine lacks (a server program, /dev/fuse)
  kPermission,
  kBusy,        // in use by somebody else
  kNoSpace,     // disk or quota full
  kIo,          // the operating system failed an operation
  kMissingWal,  // a WAL segment that is needed for consistency is absent
  kCancelled,   // ended by a signal or by the user
  kInternal,
};

class Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] ErrorCode code() const { return code_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  // What the user can do about it; empty where there is nothing to say.
  [[nodiscard]] const std::string& hint() const { return hint_; }
  // The errno behind it, or 0.
  [[nodiscard]] int system_errno() const { return errno_; }

  [[nodiscard]] Error WithHint(std::string hint) && {
    hint_ = std::move(hint);
    return std::move(*this);
  }
  // "context: message".
  [[nodiscard]] Error Wrap(std::string_view context) && {
    message_ = std::string(context) + ": " + message_;
    return std::move(*this);
  }

  // An error for a failed system call: "could not read \"x\": no such file or directory", code chosen from
  // `error_number`.
  static Error FromErrno(int error_number, std::string_view what);

 private:
  ErrorCode code_;
  std::string message_;
  std::string hint_;
  int errno_ = 0;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = std::expected<void, Error>;

inline std::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return std::unexpected(Error(code, std::move(message)));
}
inline std::unexpected<Error> Fail(Error error) { return std::unexpected(std::move(error)); }
// Fails with the errno of the calling thread.
std::unexpected<Error> FailErrno(std::string_view what);

}  // namespace pgstrata

#define PGS_CONCAT_INNER(a, b) a##b
#define PGS_CONCAT(a, b) PGS_CONCAT_INNER(a, b)

// Returns the error of `expression` from the enclosing function, if it has one.
#define PGS_TRY(expression)                                                                                 \
  do {                                                                                                      \
    if (auto pgs_status = (expression); !pgs_status) return std::unexpected(std::move(pgs_status).error()); \
  } while (false)

// PGS_ASSIGN(auto x, F()): declares or assigns x from a Result, or returns its error. NOLINTBEGIN(*-macro-parentheses)
#define PGS_ASSIGN(lhs, expression) PGS_ASSIGN_INNER(PGS_CONCAT(pgs_result_, __LINE__), lhs, expression)
#define PGS_ASSIGN_INNER(result, lhs, expression)                 \
  auto result = (expression);                                     \
  if (!result) return std::unexpected(std::move(result).error()); \
  lhs = *std::move(result)
// NOLINTEND(*-macro-parentheses): what is declared cannot stand in parentheses
