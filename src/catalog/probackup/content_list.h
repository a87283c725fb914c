// backup_content.control: every file of a backup, one a line (docs/format/pg_probackup.md). The list, not the
// directory, says what a backup holds.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "foundation/base/error.h"

namespace pgstrata::probackup {

enum class PageCompression : uint8_t { kNone, kZlib, kPglz, kUnknown };

// A page header map holds this many bytes and entries for a file.
struct HeaderMapPlace {
  uint64_t offset = 0;
  uint32_t size = 0;     // compressed
  uint32_t entries = 0;  // pages; the map holds one more
  uint32_t crc = 0;      // CRC-32C, uncompressed
  bool operator==(const HeaderMapPlace&) const = default;
};

struct ContentEntry {
  std::string path;
  uint32_t external = 0;  // the number of the external directory that it lies in; 0: PGDATA
  uint32_t mode = 0;      // with the kind of file, as stat(2) has it
  // Bytes in the backup. Nothing: as in the parent.
  std::optional<uint64_t> size;
  bool is_datafile = false;  // kept page by page, unless is_cfs
  bool is_cfs = false;
  uint32_t crc = 0;  // CRC-32C of the bytes in the backup
  PageCompression compression = PageCompression::kNone;
  uint32_t segment = 0;
  std::optional<uint32_t> blocks;            // of a datafile in the cluster
  std::optional<HeaderMapPlace> header_map;  // of a datafile, from 2.4.0 on
  std::optional<uint64_t> full_size;         // where it differs from `size`

  [[nodiscard]] bool IsDirectory() const;
  [[nodiscard]] bool IsRegular() const;
  [[nodiscard]] bool HasPages() const { return is_datafile && !is_cfs; }
  bool operator==(const ContentEntry&) const = default;
};

// Calls `visit` for each entry, in the order of the list. Unknown keys are passed over. kCorrupt, with the number of
// the line, where one is not of this format or its path leads out of the backup; and what `visit` fails with.
Status ParseContentList(std::string_view text, const std::function<Status(ContentEntry&&)>& visit);

}  // namespace pgstrata::probackup
