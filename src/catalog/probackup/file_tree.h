// What a chain of backups says of one tree of files (PGDATA, or an external directory), put together from the file
// lists, the newest first. Its names, kinds and modes are those of the newest list alone; older ones say where the
// bytes of a file lie.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "backup/image/image.h"
#include "catalog/probackup/backup_control.h"
#include "catalog/probackup/content_list.h"

namespace pgstrata::probackup {

// The bytes of a file in one backup of the chain.
struct StoredCopy {
  uint32_t layer = 0;  // of the chain: 0 is the newest
  PageCompression compression = PageCompression::kNone;
  uint32_t crc = 0;
  uint64_t size = 0;
  HeaderMapPlace header_map;  // without entries: there is none
};

struct FileNode {
  std::string name;
  image::EntryKind kind = image::EntryKind::kFile;
  uint32_t mode = 0;
  bool has_pages = false;
  uint32_t segment = 0;
  // With pages: how many the newest list says that there are, and how many backups that read every page have seen.
  std::optional<uint32_t> blocks;
  uint32_t blocks_seen = 0;
  // In bytes. Nothing: the page indexes have to say it (LengthInBlocks in chain_reader.h).
  std::optional<uint64_t> length;
  // Where its bytes lie, the newest first. With pages: all copies, of which each holds some pages. Without: one, or
  // none where the file is empty, or `lost`.
  std::vector<StoredCopy> copies;
  bool lost = false;               // no backup of the chain holds its bytes
  std::vector<uint32_t> children;  // of a directory, sorted by name
};

class FileTree {
 public:
  // The root, alone.
  FileTree();

  // Entries of the newest list, in any order. Without effect: a second entry of a path. `mode` is that of the backup.
  void AddNewest(const ContentEntry& entry, BackupMode mode);
  // Entries of the list of backup `layer`, after all of the one before it.
  void AddOlder(const ContentEntry& entry, uint32_t layer, BackupMode mode);
  // After the last list. `newest` is the version of the newest backup.
  void Finish(const ProgramVersion& newest);

  // Nothing where there is no such path.
  [[nodiscard]] std::optional<uint32_t> Find(std::string_view path) const;
  [[nodiscard]] const FileNode& node(uint32_t number) const { return nodes_[number]; }
  static constexpr uint32_t kRoot = 0;

 private:
  // How far the search for the bytes of a file without pages has come.
  struct Search {
    bool done = false;
    uint32_t last_layer = 0;  // the last that had an entry
  };

  uint32_t MakeDirectory(std::string_view path);
  uint32_t Attach(std::string_view path, FileNode node);
  static void NoteCoverage(FileNode& node, const ContentEntry& entry, BackupMode mode);

  std::vector<FileNode> nodes_;
  std::vector<Search> searches_;  // by node, until Finish
  std::vector<bool> given_;       // by node: it has an entry of its own
  std::unordered_map<std::string, uint32_t> by_path_;
};

}  // namespace pgstrata::probackup
