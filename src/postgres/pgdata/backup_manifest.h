// backup_manifest (src/backend/backup/backup_manifest.c, src/common/parse_manifest.c): the files of a base backup with
// their checksums, and the WAL that it needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::pgdata {

constexpr std::string_view kBackupManifestPath = "backup_manifest";

enum class ManifestChecksum { kNone, kCrc32c, kSha224, kSha256, kSha384, kSha512 };

struct ManifestFile {
  std::string path;  // relative to PGDATA, tablespaces as pg_tblspc/OID/...; any bytes
  uint64_t size = 0;
  std::string modified;  // "2026-11-20 21:05:39 GMT"
  ManifestChecksum algorithm = ManifestChecksum::kNone;
  std::string checksum;  // lower-case hexadecimal; empty for kNone
};

// WAL that has to be replayed for consistency: [start, end) on one timeline.
struct ManifestWalRange {
  TimelineId timeline;
  Lsn start;
  Lsn end;
};

struct BackupManifest {
  int version = 1;                            // 1, or 2 (17 and later)
  std::optional<uint64_t> system_identifier;  // version 2
  std::vector<ManifestFile> files;
  std::vector<ManifestWalRange> wal_ranges;
};

// kCorrupt where the JSON or a field does not parse, or the manifest's own checksum does not match; kUnsupported where
// the version is neither 1 nor 2.
Result<BackupManifest> ParseBackupManifest(std::string_view text);

}  // namespace pgstrata::pgdata
