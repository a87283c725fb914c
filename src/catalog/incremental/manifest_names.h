// The files that a backup's manifest lists, to notice those that are missing: a server takes a relation's missing
// segment for its end.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backup/image/image.h"

namespace pgstrata::incremental {

// Safe from several threads at once. The manifest is read when it is first needed.
class ManifestNames {
 public:
  struct File {
    std::string name;
    uint64_t size = 0;  // in the backup
  };

  explicit ManifestNames(const image::Image& backup) : backup_(backup) {}

  // The files of `directory` by name; none where there is no manifest, or one that does not parse (a warning in the log
  // says so).
  [[nodiscard]] const std::vector<File>& In(std::string_view directory) const;
  [[nodiscard]] std::optional<File> Find(std::string_view path) const;

 private:
  void Read() const;

  const image::Image& backup_;
  mutable std::once_flag once_;
  // Constant after the first use.
  mutable std::unordered_map<std::string, std::vector<File>> directories_;
};

}  // namespace pgstrata::incremental
