#include "postgres/instance/diagnosis.h"

#include <algorithm>
#include <array>
#include <optional>

#include "foundation/base/text.h"
#include "postgres/pgdata/config_file.h"

namespace pgstrata::instance {
namespace {

// A message of the server: its severity and text; a line that has no severity (a program's own message) has none.
struct Entry {
  std::string_view severity;
  std::string text;
};

struct Cause {
  std::string_view words;  // in the message, literally
  StartProblem problem;
  ErrorCode code;
  std::string_view hint;  // "{}" stands for the object
};

constexpr std::string_view kAddWal =
    "the backup needs WAL that is not there; add a directory that holds it with --wal DIR";
constexpr std::string_view kRaise = "the setting must be at least as high as it was on the backup's own server";
constexpr std::string_view kOtherPrograms = "use programs of the backup's own version and build, with --pg-bin DIR";
constexpr std::string_view kFreeSpace = "free some space, or keep the changes on another disk with PGSTRATA_HOME";
constexpr std::string_view kWithout = "install the library, or start without it: --without-preload {}";
constexpr std::string_view kLocale = "generate the locale \"{}\" on this machine (Debian: dpkg-reconfigure locales)";

constexpr std::string_view kTablespaceReplay =
    "the WAL to be replayed creates a tablespace, at the place where production has it; open a backup that ended "
    "before "
    "that or began after it";

// In the order in which they are looked for: the particular before the general. The words are PostgreSQL's, 14 to 18.
constexpr std::array kCauses = {
    Cause{"could not access file ", StartProblem::kMissingLibrary, ErrorCode::kUnavailable, kWithout},
    Cause{"could not load library ", StartProblem::kMissingLibrary, ErrorCode::kUnavailable, kWithout},
    Cause{"database was initialized with LC_COLLATE ", StartProblem::kMissingLocale, ErrorCode::kUnavailable, kLocale},
    Cause{"database was initialized with LC_CTYPE ", StartProblem::kMissingLocale, ErrorCode::kUnavailable, kLocale},
    Cause{"recovery ended before configured recovery target", StartProblem::kTargetNotReached, ErrorCode::kMissingWal,
          "the WAL at hand ends before the moment asked for; add more with --wal DIR, or ask for an earlier moment"},
    Cause{"recovery stop point is before consistent recovery point", StartProblem::kTargetTooEarly,
          ErrorCode::kInvalidArgument,
          "the backup ended later than that; ask for a later moment or use an earlier backup"},
    Cause{"WAL was generated with wal_level=minimal", StartProblem::kWalLevelMinimal, ErrorCode::kUnsupported,
          "the WAL lacks what was changed meanwhile; use a backup taken after that, or an earlier moment"},
    Cause{"WAL ends before end of online backup", StartProblem::kMissingWal, ErrorCode::kMissingWal, kAddWal},
    Cause{"WAL ends before consistent recovery point", StartProblem::kMissingWal, ErrorCode::kMissingWal, kAddWal},
    Cause{"could not locate required checkpoint record", StartProblem::kMissingWal, ErrorCode::kMissingWal, kAddWal},
    Cause{"could not locate a valid checkpoint record", StartProblem::kMissingWal, ErrorCode::kMissingWal, kAddWal},
    Cause{"could not find redo location", StartProblem::kMissingWal, ErrorCode::kMissingWal, kAddWal},
    Cause{"requested WAL segment ", StartProblem::kMissingWal, ErrorCode::kMissingWal, kAddWal},
    Cause{"recovery target timeline ", StartProblem::kMissingWal, ErrorCode::kMissingWal,
          "the history file of that timeline is missing; add its directory with --wal DIR"},
    Cause{"is not a child of this server's history", StartProblem::kMissingWal, ErrorCode::kMissingWal,
          "the timeline does not continue this backup; look at the .history files given with --wal DIR"},
    Cause{"insufficient parameter settings", StartProblem::kTooLowSetting, ErrorCode::kInvalidArgument, kRaise},
    Cause{"maximum number of prepared transactions reached", StartProblem::kTooLowSetting, ErrorCode::kInvalidArgument,
          kRaise},
    Cause{"not enough shared memory for", StartProblem::kSharedMemory, ErrorCode::kUnavailable, kRaise},
    Cause{"unrecognized configuration parameter ", StartProblem::kConfiguration, ErrorCode::kInvalidArgument, ""},
    Cause{"invalid value for parameter \"lc_", StartProblem::kMissingLocale, ErrorCode::kUnavailable, kLocale},
    Cause{"invalid value for parameter ", StartProblem::kConfiguration, ErrorCode::kInvalidArgument, ""},
    Cause{"contains errors", StartProblem::kConfiguration, ErrorCode::kInvalidArgument, ""},
    Cause{"shared memory segment", StartProblem::kSharedMemory, ErrorCode::kUnavailable,
          "the machine gives too little shared memory; lower shared_buffers, or enlarge /dev/shm"},
    Cause{"could not map anonymous shared memory", StartProblem::kSharedMemory, ErrorCode::kUnavailable,
          "the machine has too little free memory; lower shared_buffers"},
    Cause{"pre-existing shared memory block", StartProblem::kBusy, ErrorCode::kBusy,
          "processes of an earlier server of this directory still run; `pgstrata doctor --repair` ends them"},
    Cause{"could not create any Unix-domain sockets", StartProblem::kBusy, ErrorCode::kBusy, ""},
    Cause{"which is not compatible with this version", StartProblem::kIncompatible, ErrorCode::kUnsupported,
          kOtherPrograms},
    Cause{"database files are incompatible with server", StartProblem::kIncompatible, ErrorCode::kUnsupported,
          kOtherPrograms},
    Cause{"unexpected directory entry ", StartProblem::kInPlaceTablespace, ErrorCode::kUnsupported,
          "the server must know allow_in_place_tablespaces (14.5, or 15 and later)"},
    Cause{"could not create symbolic link \"pg_tblspc/", StartProblem::kInPlaceTablespace, ErrorCode::kUnsupported,
          kTablespaceReplay},
    Cause{"could not remove directory \"pg_tblspc/", StartProblem::kInPlaceTablespace, ErrorCode::kUnsupported,
          kTablespaceReplay},
    Cause{"has invalid permissions", StartProblem::kPermission, ErrorCode::kPermission, ""},
    Cause{"has wrong ownership", StartProblem::kPermission, ErrorCode::kPermission,
          "run the server as the owner, --user"},
    Cause{"\"root\" execution of the PostgreSQL server", StartProblem::kPermission, ErrorCode::kPermission,
          "name the user that the server shall run as, --user"},
    Cause{"No space left on device", StartProblem::kNoSpace, ErrorCode::kNoSpace, kFreeSpace},
    Cause{"Disk quota exceeded", StartProblem::kNoSpace, ErrorCode::kNoSpace, kFreeSpace},
    Cause{"Permission denied", StartProblem::kPermission, ErrorCode::kPermission, ""},
    Cause{"lock file ", StartProblem::kBusy, ErrorCode::kBusy, "another server runs there"},
    Cause{"incorrect checksum in control file", StartProblem::kCorrupt, ErrorCode::kCorrupt, ""},
    Cause{"control file contains invalid", StartProblem::kCorrupt, ErrorCode::kCorrupt, ""},
    Cause{"references to invalid pages", StartProblem::kCorrupt, ErrorCode::kCorrupt, ""},
    Cause{"invalid page in block", StartProblem::kCorrupt, ErrorCode::kCorrupt, ""},
    Cause{"Input/output error", StartProblem::kUnknown, ErrorCode::kIo, ""},
};

constexpr std::array<std::string_view, 9> kSeverities = {"FATAL", "PANIC",   "ERROR",   "DETAIL",   "HINT",
                                                         "LOG",   "WARNING", "CONTEXT", "STATEMENT"};

Entry ParseLine(std::string_view line) {
  // The marker that comes first in the line: a message may quote another one.
  size_t at = std::string_view::npos;
  std::string_view found;
  for (const auto severity : kSeverities) {
    const size_t here = line.find(std::string(severity) + ":  ");
    if (here < at) {
      at = here;
      found = severity;
    }
  }
  if (found.empty()) return {.severity = {}, .text = std::string(TrimWhitespace(line))};
  return {.severity = found, .text = std::string(TrimWhitespace(line.substr(at + found.size() + 3)))};
}

std::vector<Entry> ParseLog(std::string_view log) {
  std::vector<Entry> entries;
  for (const auto line : SplitLines(log)) {
    if (TrimWhitespace(line).empty()) continue;
    if (line.starts_with('\t') && !entries.empty()) {  // how the server continues a message of several lines
      entries.back().text += ' ' + std::string(TrimWhitespace(line));
    } else {
      entries.push_back(ParseLine(line));
    }
  }
  return entries;
}

bool IsRefusalOfAPoller(std::string_view text) { return text.starts_with("the database system is "); }

// Errors with what explains them, refusals left out. Messages without a severity come from before logging is set up.
std::vector<Entry> Interesting(const std::vector<Entry>& entries) {
  std::vector<Entry> chosen;
  bool belongs = false;  // whether the last message of its own was chosen
  for (const auto& entry : entries) {
    if (entry.severity == "DETAIL" || entry.severity == "HINT") {
      if (belongs) chosen.push_back(entry);
      continue;
    }
    if (entry.severity == "CONTEXT" || entry.severity == "STATEMENT") continue;
    const bool is_error = entry.severity == "FATAL" || entry.severity == "PANIC" || entry.severity == "ERROR";
    // What is wrong in a configuration file is logged; only that it is wrong is fatal.
    const bool is_setting = entry.severity == "LOG" && (entry.text.contains("configuration parameter \"") ||
                                                        entry.text.contains("value for parameter \"") ||
                                                        entry.text.starts_with("syntax error in file"));
    belongs = entry.severity.empty() || is_setting || (is_error && !IsRefusalOfAPoller(entry.text));
    if (belongs) chosen.push_back(entry);
  }
  return chosen;
}

std::vector<std::string> Shown(const std::vector<Entry>& entries) {
  constexpr size_t kLimit = 12;
  std::vector<std::string> lines;
  const size_t skipped = entries.size() > kLimit ? entries.size() - kLimit : 0;
  for (size_t i = skipped; i < entries.size(); ++i) {
    const auto& [severity, text] = entries[i];
    lines.push_back(severity.empty() ? text : std::string(severity) + ": " + text);
  }
  return lines;
}

// The text between the quotes that follow `from`.
std::string QuotedAfter(std::string_view text, size_t from) {
  const size_t open = text.find('"', from);
  if (open == std::string_view::npos) return {};
  const size_t close = text.find('"', open + 1);
  return close == std::string_view::npos ? std::string() : std::string(text.substr(open + 1, close - open - 1));
}

std::string WalSegmentIn(const std::vector<Entry>& entries) {
  constexpr size_t kLength = 24;
  for (const auto& entry : entries) {
    for (const std::string_view before : {"pg_wal/", "WAL segment "}) {
      const size_t at = entry.text.find(before);
      if (at == std::string::npos) continue;
      const std::string name = entry.text.substr(at + before.size(), kLength);
      const bool hex = name.size() == kLength && name.find_first_not_of("0123456789ABCDEF") == std::string::npos;
      if (hex) return name;
    }
  }
  return {};
}

// "max_connections = 10 is a lower setting than on the primary server, where its value was 100."
std::string TooLowSettingIn(const std::vector<Entry>& entries) {
  for (const auto& entry : entries) {
    const size_t at = entry.text.find(" = ");
    if (at != std::string::npos && entry.text.contains("is a lower setting than on the primary")) {
      return entry.text.substr(0, at);
    }
    if (entry.text.starts_with("maximum number of prepared transactions")) return "max_prepared_transactions";
  }
  return {};
}

std::string ObjectOf(const Cause& cause, const Entry& entry, const std::vector<Entry>& all) {
  const size_t at = entry.text.find(cause.words);
  switch (cause.problem) {
    case StartProblem::kMissingLibrary:
      return pgdata::LibraryName(QuotedAfter(entry.text, at));
    case StartProblem::kMissingLocale: {
      // invalid value for parameter "lc_messages": "xx_YY"; but initialized with LC_COLLATE "xx_YY"
      const size_t colon = entry.text.find("\": ", at);
      return QuotedAfter(entry.text, colon == std::string::npos ? at : colon + 1);
    }
    case StartProblem::kConfiguration:
      return QuotedAfter(entry.text, at);
    case StartProblem::kMissingWal:
      return WalSegmentIn(all);
    case StartProblem::kTooLowSetting:
      return TooLowSettingIn(all);
    default:
      return {};
  }
}

std::string HintOf(const Cause& cause, const std::string& object) {
  std::string hint(cause.hint);
  if (const size_t at = hint.find("{}"); at != std::string::npos) hint.replace(at, 2, object);
  return hint;
}

}  // namespace

StartError Diagnose(std::string_view what, std::string_view log) {
  const std::vector<Entry> all = ParseLog(log);
  const std::vector<Entry> entries = Interesting(all);
  std::string message(what);
  const auto lines = Shown(entries);
  if (lines.empty()) message += ", without a word in its log";
  for (size_t i = 0; i < lines.size(); ++i) message += (i == 0 ? ":\n  " : "\n  ") + lines[i];
  for (const auto& cause : kCauses) {
    const auto entry =
        std::ranges::find_if(entries, [&](const Entry& each) { return each.text.contains(cause.words); });
    if (entry == entries.end()) continue;
    const std::string object = ObjectOf(cause, *entry, all);
    return {Error(cause.code, message).WithHint(HintOf(cause, object)), cause.problem, object};
  }
  return {Error(ErrorCode::kUnavailable, message), StartProblem::kUnknown};
}

}  // namespace pgstrata::instance
