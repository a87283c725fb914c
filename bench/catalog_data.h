// The catalogs that are opened, made of a real cluster: pgbench's tables with a load between one backup and the next.
#pragma once

#include <string>

namespace pgstrata::bench {

// pgbench's tables, and one small table beside them.
inline constexpr const char* kSmallTable = "small";

struct CatalogData {
  std::string directory;  // the newest backup as pg_basebackup wrote it
  std::string chain;      // the same as the newest of a chain of three (FULL, DELTA, DELTA), zlib
  std::string single;     // the same as a FULL backup
};

// Below `path`, made where it is not there yet.
CatalogData MakeCatalogData(const std::string& path, int scale);

// pg_basebackup of a cluster with the small table and nothing else.
void MakeBackupWithSmallTable(const std::string& path);

// The newest of a chain of eight below `path`, FULL of `gigabytes` GiB in segments and 10,000 small files, and seven in
// which every tenth page changed. The pages are zeros and files share their streams: what counts is how many there are.
// Opens as a cluster, with what `like` (a base backup) has besides.
std::string MakeLargeChain(const std::string& path, const std::string& like, int gigabytes);

}  // namespace pgstrata::bench
