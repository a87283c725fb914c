// Where a worker's log goes, and how it looks.
#pragma once

#include <string>

#include "foundation/base/error.h"

namespace pgstrata::worker {

struct LogStyle {
  enum class Sink { kFile, kJournal };
  enum class Format { kText, kJson };
  Sink sink = Sink::kFile;
  // kJson: one object a line with "time", "level", "pid" and "message".
  Format format = Format::kText;
  bool debug = false;  // also what helps only to look for a mistake
};

// From now on this process's log goes there. `file` is appended to; empty: no log in a file. kUnavailable where the
// journal is wanted and does not run.
Status SendLogTo(const std::string& file, const LogStyle& style);

}  // namespace pgstrata::worker
