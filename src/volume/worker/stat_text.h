// What a worker's `stat` answers, for a person.
#pragma once

#include <string>

#include "foundation/codec/json.h"

namespace pgstrata::worker {

// Several lines; `stat` as docs/protocol/worker.md has it. What of it is not of its type is left out: the answer may
// come from anybody. Names stand in it as they are.
std::string StatText(const codec::Json& stat);
// The same of a volume that nobody serves: `source`, `layers` and `mountpoint`, where a process left its mount.
std::string UnservedStatText(const codec::Json& stat);

}  // namespace pgstrata::worker
