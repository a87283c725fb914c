// backup_manifest (src/backend/backup/backup_manifest.c, src/common/parse_manifest.c): the files of a base backup with
// their checksums, and the WAL that it needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/bytes.h"
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
  std::string checksum;  // SHA-256 of the first `checked_bytes` bytes, lower-case hexadecimal
  uint64_t checked_bytes = 0;
};

// Does not look at the checksum: hash the first `checked_bytes` bytes of `text` and call CheckManifestDigest. kCorrupt
// where the JSON or a field does not parse, kUnsupported where the version is neither 1 nor 2.
Result<BackupManifest> ParseBackupManifest(std::string_view text);
// `sha256`: 32 bytes. kCorrupt where it is not the manifest's own.
Status CheckManifestDigest(const BackupManifest& manifest, ByteView sha256);

}  // namespace pgstrata::pgdata
