// The form that backup.info, archive.info and backup.manifest share (docs/format/pgbackrest.md): sections of lines
// KEY=JSON, sealed by a SHA-1 over all of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "foundation/base/error.h"

namespace pgstrata::pgbackrest {

// The form of repositories that this reads; pgBackRest 1.0 to 2.x write it.
constexpr uint64_t kRepositoryFormat = 5;

struct InfoLine {
  std::string_view section;
  std::string_view key;
  std::string_view value;  // JSON
};

// Calls `visit` for every line but the seal, in their order. kCorrupt where a line is none, where there is no seal, or
// where it is not right: then what `visit` saw must not be used. kUnsupported where the file is of another form.
Status VisitInfoText(std::string_view text, const std::function<Status(const InfoLine&)>& visit);

}  // namespace pgstrata::pgbackrest
