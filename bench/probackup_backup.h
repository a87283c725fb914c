// One backup of a pg_probackup catalog while it is written, as version 2.5 does it: STREAM, zlib at level 1.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/types.h"

namespace pgstrata::bench {

// A datafile's records and their entries of the page header map.
struct PageStream {
  std::string records;
  std::string headers;  // not compressed, the last entry too
  uint32_t pages = 0;
};

// Of the pages in `content` (a segment, or a part of it; `first_in_fork` is the number of its first page) those that
// are not older than `since`. Uses all processors.
PageStream PackPages(ByteView content, uint32_t first_in_fork, Lsn since);
// One page of a segment of zeros in `step`, the first among them.
PageStream PackZeros(uint32_t step);

class ProbackupBackup {
 public:
  // In `instance` (CATALOG/backups/NAME), begun at `start_time` (seconds since 1970). `parent`: an ID; empty of a FULL
  // backup.
  ProbackupBackup(const std::string& instance, uint64_t start_time, std::string parent);

  void AddDirectory(const std::string& path);
  void AddFile(const std::string& path, const std::string& content);
  // A datafile of `blocks` blocks in its segment. An empty stream is a file that is as it was in the parent.
  void AddDatafile(const std::string& path, const PageStream& stream, uint32_t segment, uint32_t blocks);
  // One more datafile with the stream of the last one, for catalogs that are larger than the disk: the two share it.
  void AddDatafileLikeLast(const std::string& path, uint32_t segment);
  void Finish(Lsn start, Lsn stop);

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  // What the list says of a file.
  struct Listed {
    std::string size;
    uint32_t crc = 0;
    std::string more;  // of a datafile: headers and blocks
  };
  void List(const std::string& path, uint32_t mode, bool has_pages, const Listed& listed);
  [[nodiscard]] std::string PathOf(const std::string& path) const { return directory_ + "/database/" + path; }

  const std::string id_;
  const std::string directory_;
  const uint64_t start_time_;
  const std::string parent_;
  std::string list_;
  std::string map_;
  // The last datafile with a stream.
  std::string last_path_;
  Listed last_;
  std::string last_blocks_;
};

}  // namespace pgstrata::bench
