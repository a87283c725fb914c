// The clusters that are opened, made by a real PostgreSQL below one directory.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {

// A cleanly stopped data directory as initdb leaves it.
void MakeCleanDirectory(const std::string& path);
// pg_basebackup -Fp -X stream of a running cluster with a table and writes meanwhile.
void MakeOnlineBackup(const std::string& path);
// Gives a data directory `count` relation segments of 1 GiB, sparse, under names that no catalog knows.
void AddSparseSegments(const std::string& data_directory, int count);
// A cleanly stopped data directory with pgbench's tables of this scale (100: accounts take 1.3 GB).
void MakeAccounts(const std::string& path, int scale);

// What the files of a directory hold by their sizes.
uint64_t ContentBytes(const std::string& path);
// A copy that replaces what is at `to`, owned by PostgresUser().
void ReplaceByCopy(const std::string& from, const std::string& to);

}  // namespace pgstrata::bench
