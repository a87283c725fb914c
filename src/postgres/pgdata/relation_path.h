// Where relations lie in a cluster (src/common/relpath.c).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "foundation/base/types.h"

namespace pgstrata::pgdata {

constexpr Oid kDefaultTablespace{1663};
constexpr Oid kGlobalTablespace{1664};

enum class Fork : uint8_t { kMain, kFreeSpaceMap, kVisibilityMap, kInit };
// "main", "fsm", "vm", "init".
std::string_view ForkName(Fork fork);

// One segment file of one fork of a relation.
struct RelationPath {
  Oid tablespace = kDefaultTablespace;
  std::string version_directory;  // "PG_15_202209061" under pg_tblspc/OID, empty elsewhere
  Oid database;                   // 0 in "global"
  uint32_t relfilenode = 0;
  std::optional<uint32_t> temporary_backend;  // tBACKEND_RELFILENODE
  Fork fork = Fork::kMain;
  uint32_t segment = 0;
  bool operator==(const RelationPath&) const = default;

  // The first block of this segment in its fork.
  [[nodiscard]] uint64_t FirstBlock(uint32_t blocks_per_segment) const {
    return static_cast<uint64_t>(segment) * blocks_per_segment;
  }
};

// "base/5/1259", "base/5/1259_fsm.1", "global/1262", "pg_tblspc/16384/PG_15_202209061/5/16385". Nothing for any other
// path, also for one that PostgreSQL would write differently ("base/05/1259").
std::optional<RelationPath> ParseRelationPath(std::string_view path);
std::string FormatRelationPath(const RelationPath& path);

}  // namespace pgstrata::pgdata
