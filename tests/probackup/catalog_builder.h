// Catalogs as pg_probackup writes them, made by tests: any version, mode and damage.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/probackup/content_list.h"

namespace pgstrata::test {

// A page that PostgreSQL would take as block `block` of its fork, with its checksum; `seed` makes its content. One that
// does not compress is as large as a page in every stream.
std::string MakePage(uint32_t block, uint32_t seed, bool compressible = true);

struct BuiltFile {
  std::string path;
  uint32_t mode = 0100600;
  uint32_t external = 0;
  bool unchanged = false;  // size -1: as in the parent
  std::string content;     // of a file without pages
  bool has_pages = false;
  uint32_t segment = 0;
  std::map<uint32_t, std::string> pages;  // by block
  std::optional<uint32_t> blocks;         // n_blocks
  std::optional<uint64_t> full_size;
  probackup::PageCompression compression = probackup::PageCompression::kZlib;
  std::optional<uint32_t> cut_to;  // a record that cuts the file, after the pages (before 2.4.0)
};

struct BuiltBackup {
  uint64_t start_time = 0;  // seconds since 1970: makes the ID
  std::string mode = "FULL";
  std::string parent;
  std::string status = "OK";
  std::string version = "2.5.16";
  bool data_checksums = true;
  bool stream = true;
  std::string external_directories;
  std::string more_lines;  // of backup.control
  bool with_header_map = true;
  std::vector<BuiltFile> files;

  [[nodiscard]] std::string Id() const;
};

class CatalogBuilder {
 public:
  // Below `root`, which exists: `root`/backups/INSTANCE and `root`/wal/INSTANCE.
  CatalogBuilder(std::string root, std::string instance);
  // Writes the backup and gives its directory.
  std::string Add(const BuiltBackup& backup);
  [[nodiscard]] const std::string& root() const { return root_; }

 private:
  std::string root_;
  std::string instance_;
};

// Writes backup.control anew.
void WriteControl(const std::string& directory, const BuiltBackup& backup, uint32_t content_crc);

}  // namespace pgstrata::test
