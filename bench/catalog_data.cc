#include "bench/catalog_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <vector>

#include "bench/measure.h"
#include "bench/probackup_backup.h"
#include "bench/report.h"
#include "catalog/probackup/page_index.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/backup_label.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/relation_path.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {
namespace {

namespace fs = std::filesystem;
using probackup::kBlocksOfSegment;
using probackup::kPageBytes;

constexpr uint64_t kFirstTime = 1'790'000'000;  // in 2026
constexpr uint64_t kBetweenBackups = 3600;
constexpr int kChain = 3;
constexpr int kLargeChain = 8;
constexpr int kSmallFiles = 10'000;
constexpr uint32_t kUnchangedOf = 10;  // one page of so many changes
constexpr uint64_t kLargestFile = 1ULL << 30;

struct Range {
  Lsn start;
  Lsn stop;
};

Range RangeOf(const std::string& directory) {
  const auto label =
      Must(pgdata::ParseBackupLabel(Must(io::ReadWholeFile(directory + '/' + std::string(pgdata::kBackupLabelPath)))));
  const auto manifest = Must(
      pgdata::ParseBackupManifest(Must(io::ReadWholeFile(directory + '/' + std::string(pgdata::kBackupManifestPath)))));
  return {.start = label.start, .stop = manifest.wal_ranges.at(0).end};
}

// Every file of the base backup but its manifest. Datafiles: their pages from `since` on.
void AddTree(ProbackupBackup& backup, const std::string& directory, Lsn since) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    paths.push_back(fs::relative(entry.path(), directory).string());
  }
  std::ranges::sort(paths);
  for (const auto& path : paths) {
    const std::string native = directory + '/' + path;
    if (fs::is_directory(native)) {
      backup.AddDirectory(path);
    } else if (path != pgdata::kBackupManifestPath) {
      const std::string content = Must(io::ReadWholeFile(native, kLargestFile));
      const auto relation = pgdata::ParseRelationPath(path);
      if (relation && relation->fork == pgdata::Fork::kMain) {
        const uint32_t first = relation->segment * kBlocksOfSegment;
        backup.AddDatafile(path, PackPages(AsBytes(content), first, since), relation->segment,
                           static_cast<uint32_t>(content.size() / kPageBytes));
      } else {
        backup.AddFile(path, content);
      }
    }
  }
}

class ChainWriter {
 public:
  explicit ChainWriter(std::string instance) : instance_(std::move(instance)) {}

  void Add(const std::string& directory, const std::function<void(ProbackupBackup&, bool is_full)>& more = {}) {
    ProbackupBackup backup(instance_, time_, parent_);
    const Range range = RangeOf(directory);
    AddTree(backup, directory, since_);
    if (more) more(backup, parent_.empty());
    backup.Finish(range.start, range.stop);
    parent_ = backup.id();
    since_ = range.start;
    time_ += kBetweenBackups;
    newest_ = backup.directory();
  }
  [[nodiscard]] const std::string& newest() const { return newest_; }

 private:
  const std::string instance_;
  std::string newest_;
  std::string parent_;
  Lsn since_;
  uint64_t time_ = kFirstTime;
};

void MakeSmallTable(const test::PostgresCluster& cluster) {
  cluster.Psql(fmt::format("CREATE TABLE {} AS SELECT i AS id, repeat('x', 80) AS what FROM generate_series(1, 1000) i",
                           kSmallTable));
}

// As many transactions as change about a tenth of the accounts' pages.
void Change(const test::PostgresCluster& cluster, int scale) {
  cluster.RunProgram({"pgbench", "-n", "-c", "4", "-j", "2", "-t", std::to_string(40 * scale), "postgres"});
}

std::string NewestIn(const std::string& instance) {
  std::string newest;
  for (const auto& name : Must(io::ListDirectory(instance))) newest = std::max(newest, instance + '/' + name);
  return newest;
}

}  // namespace

CatalogData MakeCatalogData(const std::string& path, int scale) {
  CatalogData data{.directory = path + "/newest", .chain = {}, .single = {}};
  if (!io::Exists(path)) {
    const std::string made = path + ".new";
    Must(io::RemoveTree(made));
    for (const char* instance : {"chain", "single"}) {
      Must(io::MakeDirectories(made + "/catalog/backups/" + instance, 0755));
      Must(io::MakeDirectories(made + "/catalog/wal/" + instance, 0755));
    }
    Must(io::ChangeOwner(made, test::PostgresUser()->uid, test::PostgresUser()->gid));
    test::PostgresCluster cluster(
        {.initdb = {"--data-checksums"}, .configuration = {"wal_level = replica", "max_wal_size = 8GB"}});
    cluster.Start();
    cluster.RunProgram({"pgbench", "-i", "-q", "-s", std::to_string(scale), "postgres"});
    ChainWriter chain(made + "/catalog/backups/chain");
    for (int i = 0; i < kChain; ++i) {
      Report::Progress(fmt::format("making backup {} of {} of pgbench's tables, scale {}", i + 1, kChain, scale));
      if (i > 0) Change(cluster, scale);
      Must(io::RemoveTree(made + "/newest"));
      cluster.BaseBackup(made + "/newest", {"-X", "stream"});
      chain.Add(made + "/newest");
    }
    cluster.Stop();
    ChainWriter(made + "/catalog/backups/single").Add(made + "/newest");
    fs::rename(made, path);
  }
  data.chain = NewestIn(path + "/catalog/backups/chain");
  data.single = NewestIn(path + "/catalog/backups/single");
  return data;
}

void MakeBackupWithSmallTable(const std::string& path) {
  test::PostgresCluster cluster({.initdb = {"--data-checksums"}, .configuration = {"wal_level = replica"}});
  cluster.Start();
  MakeSmallTable(cluster);
  cluster.BaseBackup(path, {"-X", "stream"});
  cluster.Stop();
}

std::string MakeLargeChain(const std::string& path, const std::string& like, int gigabytes) {
  const std::string instance = path + "/backups/large";
  Must(io::MakeDirectories(instance));
  Must(io::MakeDirectories(path + "/wal/large"));
  const PageStream full = PackZeros(1);
  const PageStream changed = PackZeros(kUnchangedOf);
  const PageStream small = PackZeros(kBlocksOfSegment);
  ChainWriter chain(instance);
  for (int i = 0; i < kLargeChain; ++i) {
    chain.Add(like, [&](ProbackupBackup& backup, bool is_full) {
      constexpr const char* kDatabase = "base/5";
      backup.AddDatafile(fmt::format("{}/99999", kDatabase), is_full ? full : changed, 0, kBlocksOfSegment);
      for (int segment = 1; segment < gigabytes; ++segment) {
        backup.AddDatafileLikeLast(fmt::format("{}/99999.{}", kDatabase, segment), static_cast<uint32_t>(segment));
      }
      if (is_full) backup.AddDatafile(fmt::format("{}/{}", kDatabase, 1'000'000), small, 0, 1);
      for (int file = is_full ? 1 : 0; file < kSmallFiles; ++file) {
        const std::string name = fmt::format("{}/{}", kDatabase, 1'000'000 + file);
        if (is_full) {
          backup.AddDatafileLikeLast(name, 0);
        } else {
          backup.AddDatafile(name, {}, 0, 1);
        }
      }
    });
  }
  return chain.newest();
}

}  // namespace pgstrata::bench
