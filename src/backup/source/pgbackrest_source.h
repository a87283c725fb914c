// A backup in a pgBackRest repository as a source.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backup/source/source.h"
#include "catalog/pgbackrest/repository.h"
#include "foundation/base/error.h"

namespace pgstrata::source {

// `rest` is REPO/STANZA[/LABEL] or STANZA[/LABEL]. Where it names no repository, what the configuration says of the
// stanza's repositories is used: that of the smallest number which has the backup. Without a LABEL it is the backup
// that ended last. It may also be a native path that IsPgbackrestPath knows: a place in a backup is that backup; of the
// backups in a stanza's directory, or in REPO, one is chosen.
Result<ResolvedSource> ResolvePgbackrest(const std::string& rest, const SourceRequest& request);

struct PgbackrestBackup {
  std::shared_ptr<const pgbackrest::Repository> repository;
  std::string label;
  bool newest_was_taken = false;  // of several, as request.newest_before says
};
// The backup that ResolvePgbackrest opens, whether or not it can be opened.
Result<PgbackrestBackup> FindPgbackrest(const std::string& rest, const SourceRequest& request);

// A stanza in one repository.
struct PgbackrestStanza {
  std::string root;
  std::string stanza;
  Result<std::shared_ptr<const pgbackrest::Repository>> repository;
};
// All that `rest` names: the stanza of the path or of the label's path, those of a whole repository, or the stanza in
// each repository that the configuration says. One that cannot be opened is among them, with its error.
Result<std::vector<PgbackrestStanza>> FindPgbackrestStanzas(const std::string& rest, const SourceRequest& request);

// Whether this native path is a repository, a stanza's directory in it, a backup, or a place in a backup.
bool IsPgbackrestPath(const std::string& path);

}  // namespace pgstrata::source
