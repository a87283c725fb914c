// WAL that lies outside the backup: a directory of segments, a catalog's archive, a store's.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup/image/image.h"

namespace pgstrata::image {

struct WalFile {
  std::string name;      // as pg_wal names it: "000000010000000000000003", "00000002.history"; no suffix of storage
  bool partial = false;  // kept as NAME.partial
};

// Safe from several threads at once.
class WalArchive {
 public:
  virtual ~WalArchive() = default;
  [[nodiscard]] virtual const std::string& name() const = 0;
  // Segments, timeline history and backup history files, sorted by name; where a name is there both whole and partial,
  // the whole one.
  virtual Result<std::vector<WalFile>> List() const = 0;
  // The file with its compression taken off. kNotFound where it is absent, kCorrupt where it does not decompress.
  virtual Result<std::unique_ptr<ImageFile>> Open(std::string_view wal_name) const = 0;
};

}  // namespace pgstrata::image
