// tablespace_map: where recovery makes the links in pg_tblspc (read_tablespace_map in xlogrecovery.c).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::pgdata {

constexpr std::string_view kTablespaceMapPath = "tablespace_map";

struct TablespaceMapping {
  Oid oid;
  std::string path;
  bool operator==(const TablespaceMapping&) const = default;
};

// In the order of the file. A backslash stands before a newline, a carriage return or a backslash in a path. kCorrupt
// where a line is not "OID PATH".
Result<std::vector<TablespaceMapping>> ParseTablespaceMap(std::string_view text);
// The text that ParseTablespaceMap, and PostgreSQL, read back.
std::string FormatTablespaceMap(const std::vector<TablespaceMapping>& mappings);

}  // namespace pgstrata::pgdata
