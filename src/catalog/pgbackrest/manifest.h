// backup.manifest: every file, directory and link of one backup, and where the bytes are stored. Pure: text in, facts
// out. docs/format/pgbackrest.md has the keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/codec/decompress.h"
#include "foundation/codec/sha1.h"

namespace pgstrata::pgbackrest {

// How pgBackRest compresses: by `compress-type`.
enum class CompressType : uint8_t { kNone, kGz, kBz2, kLz4, kZst };
// ".gz"; empty for kNone.
std::string_view SuffixOf(CompressType type);
// `raw`: without what a file of its own would have at its head and end.
codec::Compression CompressionOf(CompressType type, bool raw);
// By the end of a stored file's name.
CompressType CompressTypeByName(std::string_view name);

struct ManifestFile {
  std::string name;  // "pg_data/base/5/16384", "pg_tblspc/16400/PG_15_202209061/5/16401"
  uint64_t size = 0;
  uint64_t stored_size = 0;  // block map included
  uint64_t bundle = 0;       // 0: a stored file of its own
  uint64_t bundle_offset = 0;
  uint64_t block_size = 0;  // 0: one stream; else block incremental
  uint64_t map_size = 0;    // of the block map, which ends what is stored
  uint32_t block_checksum_size = 0;
  uint32_t holder = 0;  // into Manifest::labels: the backup that has the bytes (of a block incremental file: the map)
  uint32_t mode = 0;
  uint32_t owner = 0;  // into Manifest::owners
  int64_t modified = 0;
  bool checksum_page = false;  // its pages had right checksums, or are in page_errors
  bool has_page_errors = false;
  std::optional<codec::Sha1Digest> checksum;         // of the content
  std::optional<codec::Sha1Digest> stored_checksum;  // of what is stored, in [bundle_offset, + stored_size)

  // Whether it is read block by block.
  [[nodiscard]] bool is_block_incremental() const { return block_size != 0 && map_size != 0; }
};

struct ManifestPath {
  std::string name;
  uint32_t mode = 0;
  uint32_t owner = 0;
};

struct ManifestLink {
  std::string name;
  std::string destination;
};

struct ManifestOwner {
  std::string user;  // empty: unknown where the backup was made
  std::string group;
  bool operator==(const ManifestOwner&) const = default;
};

struct Manifest {
  std::string label;
  std::string type;  // "full", "diff", "incr"
  std::string prior;
  std::vector<std::string> labels;  // block maps name backups by their place here; the backup's own is among them
  uint32_t own_label = 0;           // into labels
  int64_t start_time = 0;           // seconds since 1970
  int64_t stop_time = 0;
  std::string start_lsn;  // empty where the backup was made offline
  std::string stop_lsn;
  bool bundle_raw = false;
  bool online = true;
  CompressType compress_type = CompressType::kNone;
  std::string passphrase;  // of the backup's files; empty where they are not encrypted
  std::string cluster_version;
  uint64_t system_identifier = 0;
  uint32_t cluster_id = 0;
  std::vector<ManifestOwner> owners;
  std::vector<ManifestFile> files;
  std::vector<ManifestPath> paths;
  std::vector<ManifestLink> links;
};

// kCorrupt where a line does not make sense, a name leads out of the backup, or a number cannot be; kUnsupported where
// it is of another form, or its compression is unknown.
Result<Manifest> ParseManifest(std::string_view text);

}  // namespace pgstrata::pgbackrest
