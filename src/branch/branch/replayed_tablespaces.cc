// Sources: src/include/commands/tablespace.h, src/backend/commands/tablespace.c (create_tablespace_directories).
#include "branch/branch/replayed_tablespaces.h"

#include <string_view>

#include "branch/branch/cluster_wal.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/wal_record.h"

namespace pgstrata::branch {
namespace {

constexpr uint8_t kTablespaceResourceManager = 5;
constexpr uint8_t kCreate = 0x00;
constexpr uint8_t kInfoMask = 0xF0;

}  // namespace

// xl_tblspc_create_rec is an OID and a path that ends with a zero byte, empty for one in place.
std::string_view TablespacePlaceMade(const pgdata::WalRecord& record) {
  if (record.resource_manager != kTablespaceResourceManager || (record.info & kInfoMask) != kCreate) return {};
  if (record.main_data.size() <= sizeof(uint32_t)) return {};
  const std::string_view path = AsText(record.main_data.subspan(sizeof(uint32_t)));
  return path.substr(0, path.find('\0'));
}

Status RefuseTablespaceAt(std::string_view place, const std::string& name) {
  return Fail(Error(ErrorCode::kUnsupported, "the WAL of \"" + name + "\" makes a tablespace at " + Quoted(place) +
                                                 ": to replay it PostgreSQL would write there")
                  .WithHint("take a backup that ended before that tablespace was made, or began after it"));
}

Status RefuseReplayedTablespaces(const image::Image& image, const ClusterFacts& facts,
                                 const std::vector<std::unique_ptr<image::WalArchive>>& archives) {
  if (facts.kind == ClusterKind::kStopped) return {};
  PGS_ASSIGN(const auto wal, ClusterWal::Open(image, facts, archives));
  pgdata::WalReader& reader = wal->reader();
  PGS_TRY(reader.Seek(facts.redo));
  for (;;) {
    const auto record = reader.Next();
    // The end of what is at hand is the end of the recovery too.
    if (!record && record.error().code() == ErrorCode::kMissingWal) return {};
    PGS_TRY(record);
    if (!*record) return {};
    const std::string_view place = TablespacePlaceMade(**record);
    if (!place.empty()) return RefuseTablespaceAt(place, image.name());
  }
}

}  // namespace pgstrata::branch
