// What branches there are (docs/format/catalogue.md). Open it for one look or one change and let it go: it is not
// carried over the fork of a worker.
//
// A change is one transaction. Who changes a branch holds its lock (branch_directory.h), so that what was read here is
// still so when it is put back.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "branch/branch/source_reference.h"
#include "foundation/base/error.h"
#include "foundation/io/sqlite.h"

namespace pgstrata::branch {

struct LayerRecord {
  std::string id;
  bool frozen = false;
  bool written = false;  // it may hold something
  bool operator==(const LayerRecord&) const = default;
};

enum class BranchState {
  kStopped,   // its volume was closed in order
  kStarting,  // from before the mount until the server is ready
  kRunning,   // until after the volume is closed again
};
std::string_view BranchStateName(BranchState state);

struct BranchRecord {
  std::string id;
  std::string name;
  BranchState state = BranchState::kStopped;
  int64_t created = 0;  // seconds since the epoch
  SourceReference source;
  std::string source_typed;
  std::string parent;  // id, or empty
  std::string kind;    // in words
  int major_version = 0;
  uint64_t system_identifier = 0;
  std::string server_user;
  std::string pg_bin;
  std::string database;  // as wished; empty: chosen
  std::string role;
  std::string login_database;  // as chosen by the last start
  std::string login_role;
  bool login_superuser = true;
  uint64_t max_size = 0;  // bytes; 0: no limit
  bool ephemeral = false;
  bool allow_network = false;
  int64_t wal = 1;
  size_t layers_at_creation = 0;
  uint64_t logical_bytes = 0;
  std::vector<LayerRecord> layers;                // the lowest first; the last one is written
  std::map<std::string, std::string> parameters;  // by lower-case name
  bool operator==(const BranchRecord&) const = default;
};

// kUsage unless `name` is a NAME of docs/sources.md that no source of another kind can be confused with.
Status CheckBranchName(std::string_view name);

class Catalogue {
 public:
  // That of `home`, made where there is none; one of an older format is brought to the present one, in one transaction.
  // kUnsupported where a newer pgstrata made it.
  static Result<Catalogue> Open(const std::string& home);
  // Nothing where there is none: looking makes no files.
  static Result<std::optional<Catalogue>> OpenIfThere(const std::string& home);

  // By name.
  Result<std::vector<BranchRecord>> List();
  // kNotFound, naming `name`.
  Result<BranchRecord> Find(std::string_view name);
  Result<std::optional<BranchRecord>> FindById(std::string_view id);
  // How many branches stand on a layer.
  Result<std::map<std::string, int64_t>> LayerUses();

  // Enters the branches of `put`, new or changed, and takes out those of `remove` (ids): whole or not at all. Returns
  // the layers in which nobody stands any more: their directories are the caller's to remove. kAlreadyExists, naming
  // the branch, where a name is taken.
  Result<std::vector<std::string>> Change(const std::vector<BranchRecord>& put,
                                          const std::vector<std::string>& remove = {});

 private:
  explicit Catalogue(io::Database database) : database_(std::move(database)) {}
  static Result<Catalogue> OpenFile(const std::string& path);
  Status BringUpToDate();
  Result<std::vector<BranchRecord>> Select(const std::string& condition, const std::vector<io::SqlValue>& values);
  Status Put(const BranchRecord& record);
  Status PutPaths(const std::string& id, const char* role, const std::vector<std::string>& paths);
  Result<std::vector<std::string>> TakeOrphans();

  io::Database database_;
};

}  // namespace pgstrata::branch
