#include "bench/workload.h"

#include <fmt/core.h>
#include <unistd.h>

#include <filesystem>

#include "bench/measure.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::bench {

void MakeCleanDirectory(const std::string& path) {
  const test::PostgresCluster cluster;
  test::CopyTree(cluster.data_directory(), path);
}

void MakeOnlineBackup(const std::string& path) {
  test::PostgresCluster cluster({.configuration = {"wal_level = replica"}});
  cluster.Start();
  cluster.Psql("CREATE TABLE orders AS SELECT i AS id, repeat('x', 80) AS what FROM generate_series(1, 20000) i");
  cluster.BaseBackup(path, {"-X", "stream"});
  cluster.Stop();
}

void AddSparseSegments(const std::string& data_directory, int count) {
  constexpr uint64_t kSegment = 1ULL << 30;
  std::string database = data_directory + "/base/5";  // "postgres" since version 15
  if (!io::Exists(database)) database = data_directory + "/base/1";
  for (int i = 0; i < count; ++i) {
    const std::string path = i == 0 ? database + "/99999" : fmt::format("{}/99999.{}", database, i);
    Must(Must(io::File::Open(path, O_WRONLY | O_CREAT | O_EXCL)).Truncate(kSegment));
    test::GiveToPostgres(path);
  }
}

void MakeAccounts(const std::string& path, int scale) {
  test::PostgresCluster cluster({.configuration = {"max_wal_size = 8GB"}});
  cluster.Start({"-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "maintenance_work_mem=256MB"});
  cluster.RunProgram({"pgbench", "-i", "-q", "-s", std::to_string(scale), "postgres"});
  cluster.Stop();
  test::CopyTree(cluster.data_directory(), path);
}

uint64_t ContentBytes(const std::string& path) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

void ReplaceByCopy(const std::string& from, const std::string& to) {
  Must(io::RemoveTree(to));
  test::CopyTree(from, to);
}

}  // namespace pgstrata::bench
