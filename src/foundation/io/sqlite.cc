#include "foundation/io/sqlite.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mman.h>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::io {
namespace {

constexpr int kPatienceMs = 10'000;
// The next program that opens the file reads them: few, so that it opens at once.
constexpr int kPagesOfLog = 50;

ErrorCode CodeOf(int code) {
  if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY) return ErrorCode::kAlreadyExists;
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kBusy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupt;
    case SQLITE_FULL:
      return ErrorCode::kNoSpace;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return ErrorCode::kPermission;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      return ErrorCode::kIo;
    default:
      return ErrorCode::kInternal;
  }
}

// Called after each commit. Where somebody else is at work, or it fails, the next one does it: the log holds all.
int EmptyLongLog(void*, sqlite3* connection, const char* database, int pages) {
  if (pages < kPagesOfLog) return SQLITE_OK;
  sqlite3_busy_timeout(connection, 0);
  sqlite3_wal_checkpoint_v2(connection, database, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  sqlite3_busy_timeout(connection, kPatienceMs);
  return SQLITE_OK;
}

// A write-ahead log needs memory that all processes share, in a file of the same directory.
bool CanShareMemoryBeside(const std::string& path) {
  const std::string probe = path + "-probe";
  auto file = File::Open(probe, O_RDWR | O_CREAT);
  bool possible = false;
  if (file && file->Truncate(1)) {
    void* shared = ::mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd(), 0);
    possible = shared != MAP_FAILED;
    if (possible) ::munmap(shared, 1);
  }
  static_cast<void>(RemoveFile(probe));
  return possible;
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

int Bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
  if (const auto* number = std::get_if<int64_t>(&value)) return sqlite3_bind_int64(statement, index, *number);
  if (const auto* text = std::get_if<std::string>(&value)) {
    return sqlite3_bind_text64(statement, index, text->data(), text->size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  }
  return sqlite3_bind_null(statement, index);
}

SqlRow ReadRow(sqlite3_stmt* statement) {
  SqlRow row;
  for (int column = 0; column < sqlite3_column_count(statement); ++column) {
    switch (sqlite3_column_type(statement, column)) {
      case SQLITE_NULL:
        row.emplace_back(nullptr);
        break;
      case SQLITE_INTEGER:
        row.emplace_back(static_cast<int64_t>(sqlite3_column_int64(statement, column)));
        break;
      default:
        row.emplace_back(std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, column)),
                                     static_cast<size_t>(sqlite3_column_bytes(statement, column))));
    }
  }
  return row;
}

}  // namespace

void Database::Close::operator()(sqlite3* connection) const { sqlite3_close(connection); }

Error Database::LastError(int code) const {
  const int extended = connection_ ? sqlite3_extended_errcode(connection_.get()) : code;
  const std::string message = connection_ ? sqlite3_errmsg(connection_.get()) : sqlite3_errstr(code);
  return {CodeOf(extended), Quoted(path_) + ": " + message};
}

Result<Database> Database::Open(const std::string& path) {
  Database database;
  database.path_ = path;
  // SQLite would make it readable for all that the umask lets in. Only where it is missing: to close a file takes away
  // the locks that this process has on it by another connection.
  if (!Exists(path)) PGS_TRY(File::Open(path, O_RDWR | O_CREAT, 0600));
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &connection, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  database.connection_.reset(connection);
  if (code != SQLITE_OK) return Fail(database.LastError(code));
  sqlite3_busy_timeout(connection, kPatienceMs);
  PGS_TRY(database.Execute("PRAGMA synchronous = EXTRA; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF"));
  PGS_TRY(database.UseWriteAheadLog());
  return database;
}

Status Database::UseWriteAheadLog() {
  // To fold the log into the file whenever somebody closes it would cost each of our short programs three more syncs.
  // SQLite's own way, at a thousand pages, never empties it: none of them lives to the next transaction.
  sqlite3_db_config(connection_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_hook(connection_.get(), &EmptyLongLog, nullptr);
  PGS_ASSIGN(const auto mode, Query("PRAGMA journal_mode"));
  if (TextOf(mode[0][0]) == "wal" || !CanShareMemoryBeside(path_)) return {};
  // The file says it from then on. Not while somebody is in a transaction: then the next one does it.
  const auto changed = Query("PRAGMA journal_mode = WAL");
  if (!changed && changed.error().code() != ErrorCode::kBusy) return Fail(changed.error());
  return {};
}

Status Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Fail(LastError(code));
  return {};
}

Result<std::vector<SqlRow>> Database::Query(const std::string& sql, const std::vector<SqlValue>& values) {
  sqlite3_stmt* prepared = nullptr;
  int code = sqlite3_prepare_v2(connection_.get(), sql.data(), static_cast<int>(sql.size()), &prepared, nullptr);
  const Statement statement(prepared);
  if (code != SQLITE_OK) return Fail(LastError(code));
  for (size_t i = 0; i < values.size(); ++i) {
    code = Bind(prepared, static_cast<int>(i + 1), values[i]);
    if (code != SQLITE_OK) return Fail(LastError(code));
  }
  std::vector<SqlRow> rows;
  while ((code = sqlite3_step(prepared)) == SQLITE_ROW) rows.push_back(ReadRow(prepared));
  if (code != SQLITE_DONE) return Fail(LastError(code));
  return rows;
}

Result<SqlTransaction> SqlTransaction::Begin(Database& database) {
  PGS_TRY(database.Execute("BEGIN IMMEDIATE"));
  return SqlTransaction(database);
}

SqlTransaction::~SqlTransaction() {
  // Fails where SQLite has taken it back by itself.
  if (database_ != nullptr) static_cast<void>(database_->Execute("ROLLBACK"));
}

Status SqlTransaction::Commit() {
  PGS_TRY(database_->Execute("COMMIT"));
  database_ = nullptr;
  return {};
}

int64_t IntegerOf(const SqlValue& value) { return std::get<int64_t>(value); }
const std::string& TextOf(const SqlValue& value) { return std::get<std::string>(value); }

}  // namespace pgstrata::io
