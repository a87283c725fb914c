// Why a server did not start, read from its own log. Pure.
#pragma once

#include <string>
#include <string_view>

#include "foundation/base/error.h"

namespace pgstrata::instance {

enum class StartProblem {
  kUnknown,
  kMissingLibrary,    // object: the library's name, as in shared_preload_libraries
  kMissingLocale,     // object: the locale
  kMissingWal,        // needed for consistency; object: the segment, if the log names one
  kTargetNotReached,  // recovery ended before its target
  kTargetTooEarly,    // the target lies before consistency
  kWalLevelMinimal,   // the WAL cannot be recovered through
  kTooLowSetting,     // lower than on the primary; object: the setting, if the log names one
  kConfiguration,     // an unknown setting or a bad value; object: the setting
  kNoSpace,
  kSharedMemory,       // not enough, or not permitted
  kPermission,         // file modes, ownership, root
  kIncompatible,       // another version, block size or architecture
  kInPlaceTablespace,  // a directory under pg_tblspc without allow_in_place_tablespaces
  kBusy,               // another server uses the data directory or the socket
  kCorrupt,            // damaged pg_control, pages or WAL
  kRoleOrDatabase,     // the server runs; this role or database does not let us in
  kTimeout,
  kCancelled,
};

// message(): what failed, then the server's own words, one a line, without log_line_prefix, the last 12 at most: FATAL,
// PANIC and ERROR, each with the DETAIL and HINT that follow, less the refusals that a polling client causes. hint():
// what to do in pgstrata's terms.
class StartError : public Error {
 public:
  StartError(Error error, StartProblem problem, std::string object = {})
      : Error(std::move(error)), problem_(problem), object_(std::move(object)) {}
  [[nodiscard]] StartProblem problem() const { return problem_; }
  // What the problem is about (see StartProblem), or empty.
  [[nodiscard]] const std::string& object() const { return object_; }

 private:
  StartProblem problem_;
  std::string object_;
};

// `what` is the first line of the message ("the server ended with exit status 1"). `log` is in English (lc_messages C).
StartError Diagnose(std::string_view what, std::string_view log);

}  // namespace pgstrata::instance
