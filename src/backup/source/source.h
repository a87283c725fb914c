// What the user names becomes an image and its WAL.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/first_touch.h"
#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "backup/source/in_use.h"
#include "backup/source/source_name.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::source {

// A moment that the backup is to be older than. Without a time and an LSN: any.
struct EndedBefore {
  std::optional<Timestamp> time;
  std::optional<Lsn> lsn;
};

struct SourceRequest {
  std::string source;                        // as typed; see source_name.h
  std::vector<std::string> wal_directories;  // each --wal, in their order
  // Each --chain: what an incremental backup stands on, the oldest first (base_backup.h).
  std::vector<std::string> chain;
  // Asks a person which of several backups is meant; gives its number. Without it several are an error.
  std::function<Result<size_t>(const std::string& question, const std::vector<std::string>& choices)> choose;
  // Of several backups of one cluster the newest that ended before this is taken, and nobody is asked.
  std::optional<EndedBefore> newest_before = {};
  // WAL is wanted as far as the catalog has it, not only what the backup needs.
  bool all_wal = false;
  // A source that a running server uses is resolved all the same, for a command that only says what it is.
  bool may_be_in_use = false;
  // What a catalog's format calls damaged, or is newer than known here, is resolved all the same.
  bool force = false;
  // Where the files that have no random access are decoded to. Empty: into memory, however large they are.
  std::string cache_directory;
  // Is told when archives are decoded to be opened, and may stop it; may be empty.
  image::DecodeObserver decoding;
  // A file that holds the passphrase of an encrypted catalog (its first line), or a pgbackrest.conf that says it.
  std::string passphrase_file;
  // Asks a person for a passphrase that is nowhere else; may be empty.
  std::function<Result<std::string>(const std::string& prompt)> ask_passphrase;
};

// Resolved again by KindWord(kind) + ':' + path, with `older` as the chain where that kind has one.
struct ResolvedSource {
  SourceKind kind = SourceKind::kDirectory;
  std::unique_ptr<image::Image> image;
  std::vector<std::unique_ptr<image::WalArchive>> wal_archives;  // one for each --wal, then the catalog's own
  std::string path;                                              // absolute, links resolved; of a catalog the backup's
  bool is_plain_directory = false;                               // the image shows the directory at `path` as it is
  // What is read besides: the older backups that it stands on, the oldest first, absolute.
  std::vector<std::string> older;
  bool newest_was_taken = false;                 // of several, as newest_before says
  std::string display_name;                      // short, one line, printable: for a prompt
  std::optional<RunningServer> used_by;          // only with may_be_in_use
  std::optional<image::FirstTouch> first_touch;  // where anything has to be decoded
};

// Costs a few look-ups and, of a catalog, reading its lists: no data is read.
// kUsage: not in the grammar. kUnsupported: a kind of source, or a format, that this version does not open. kNotFound:
// no such path or name. kInvalidArgument: not a backup, or several. kBusy: a running server uses the directory
// or what a link of it leads to. kPermission: it is encrypted and there is no passphrase. kCorrupt: a catalog is
// damaged.
Result<ResolvedSource> Resolve(const SourceRequest& request);

}  // namespace pgstrata::source
