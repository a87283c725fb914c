// A thin wrapper of SQLite, for the catalogue: one connection to one database file.
//
// Durable: a transaction that Commit said is done survives a power cut. One whose Commit failed may be done all the
// same: ask a new connection. The journal is a write-ahead log, which stays beside the file (FILE-wal, FILE-shm) from
// one program to the next and waits for the disk once or twice for each; only on a file system whose files cannot be
// mapped by several processes is it a rollback journal. Two processes at once wait for each other, for ten seconds;
// then it is kBusy. A connection is not carried over fork: the child does not touch it.
//
// Errors: kBusy, kCorrupt (not a database, or a damaged one), kNoSpace, kPermission, kAlreadyExists (a UNIQUE
// constraint), kIo, else kInternal; each names the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "foundation/base/error.h"

struct sqlite3;

namespace pgstrata::io {

using SqlValue = std::variant<std::nullptr_t, int64_t, std::string>;
using SqlRow = std::vector<SqlValue>;

// Move-only; closed at the end. One thread at a time.
class Database {
 public:
  // Makes the file, with mode 0600, where there is none; its directory exists.
  static Result<Database> Open(const std::string& path);

  // Runs statements without parameters, one after the other.
  Status Execute(const std::string& sql);
  // Runs one statement, its parameters ("?") taken from `values` in order, and returns its rows.
  Result<std::vector<SqlRow>> Query(const std::string& sql, const std::vector<SqlValue>& values = {});

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  Status UseWriteAheadLog();
  [[nodiscard]] Error LastError(int code) const;

  std::string path_;
  std::unique_ptr<sqlite3, Close> connection_;
};

// What is done between Begin and Commit is done whole or not at all. Nobody else writes meanwhile. Destruction without
// Commit takes everything back.
class SqlTransaction {
 public:
  static Result<SqlTransaction> Begin(Database& database);
  SqlTransaction(SqlTransaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  SqlTransaction& operator=(SqlTransaction&&) = delete;
  ~SqlTransaction();

  Status Commit();

 private:
  explicit SqlTransaction(Database& database) : database_(&database) {}
  Database* database_;
};

// A column that is of this type because the statement says so.
int64_t IntegerOf(const SqlValue& value);
const std::string& TextOf(const SqlValue& value);

}  // namespace pgstrata::io
