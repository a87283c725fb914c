// What backup_label and the backup history file share: lines of "KEY: value", each key once.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "foundation/base/error.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/backup_label.h"

namespace pgstrata::pgdata {

struct WalPosition {
  Lsn lsn;
  std::string wal_file;
};

class BackupLabelLines {
 public:
  // `extra_keys` are allowed beside those of backup_label. Errors as ParseBackupLabel.
  static Result<BackupLabelLines> Parse(std::string_view file, std::string_view text,
                                        std::span<const std::string_view> extra_keys);

  // The fields of backup_label.
  Result<BackupLabel> Label() const;
  // "0/2000028 (file 000000010000000000000002)".
  Result<WalPosition> Position(std::string_view key) const;
  Result<Lsn> Location(std::string_view key) const;
  Result<TimelineId> Timeline(std::string_view key) const;
  // Empty where there is no such line.
  [[nodiscard]] std::string Text(std::string_view key) const;
  [[nodiscard]] bool Has(std::string_view key) const { return values_.contains(key); }

 private:
  explicit BackupLabelLines(std::string_view file) : file_(file) {}
  Result<std::string_view> Value(std::string_view key) const;
  Status Add(std::string_view line, std::span<const std::string_view> extra_keys);
  std::unexpected<Error> Corrupt(std::string_view why) const;

  std::string file_;
  std::string last_key_;
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace pgstrata::pgdata
