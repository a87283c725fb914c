// A point of a cluster's life in a user's words (docs/moments.md): where recovery is to stop.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::pgdata {

struct RecoveryTarget {
  enum class Kind : uint8_t { kLatest, kTime, kLsn, kTransaction, kRestorePoint };
  Kind kind = Kind::kLatest;
  Timestamp time;     // kTime
  Lsn lsn;            // kLsn
  uint32_t xid = 0;   // kTransaction
  std::string point;  // kRestorePoint
};

// "latest"; "lsn:0/3000060"; "xid:1234", with or without the epoch; "name:POINT"; "5min ago", "-1h30min", counted from
// `now`; or a date with or without a time of day and a time zone. Where it has no zone, `zone` is meant: a name of the
// time zone database or a POSIX TZ; empty is this machine's. kUsage where it is none of these, or the zone is not known
// here. May change the environment's TZ for a moment: no other thread may look at it meanwhile.
Result<RecoveryTarget> ParseRecoveryTarget(std::string_view text, Timestamp now, const std::string& zone);

// Whether `text`, which parses, means another moment in another zone.
bool DependsOnZone(std::string_view text);
// Whether it means another moment each time: "5min ago".
bool DependsOnNow(std::string_view text);

}  // namespace pgstrata::pgdata
