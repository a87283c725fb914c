#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <ostream>
#include <set>
#include <tuple>

#include "app/cli/command.h"
#include "app/cli/exit_status.h"
#include "app/cli/progress_line.h"
#include "app/cli/source_options.h"
#include "app/cli/terminal_text.h"
#include "app/job/verify_source.h"
#include "foundation/base/parallel.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/codec/sha256.h"

namespace pgstrata::cli {
namespace {

using image::Damage;

// Of a backup that is all damage, so many are kept to be listed; the rest is counted.
constexpr size_t kMostListed = 100'000;

struct VerifyArguments {
  SourceArguments source;
  bool json = false;
};

// The damages in the order in which they are shown: by backup, file and block.
void Sort(std::vector<Damage>& damages, const std::vector<std::string>& backups) {
  const auto place = [&](const Damage& damage) { return std::ranges::find(backups, damage.backup) - backups.begin(); };
  const auto key = [&](const Damage& damage) {
    return std::tuple(place(damage), std::string_view(damage.backup), std::string_view(damage.path), damage.block);
  };
  std::ranges::sort(damages, [&](const Damage& a, const Damage& b) { return key(a) < key(b); });
}

// Names in JSON are UTF-8; those that are not have their bytes beside them.
void AddText(codec::Json& json, const std::string& key, const std::string& text) {
  json[key] = IsUtf8(text) ? text : EscapeForTerminal(text);
  if (!IsUtf8(text)) json[key + "_hex"] = codec::ToHex(AsBytes(text));
}

codec::Json ToJson(const Damage& damage) {
  codec::Json json;
  AddText(json, "backup", damage.backup);
  AddText(json, "path", damage.path);
  json["block"] = damage.block ? codec::Json(*damage.block) : codec::Json(nullptr);
  json["problem"] = IsUtf8(damage.problem) ? damage.problem : EscapeForTerminal(damage.problem);
  return json;
}

codec::Json ToJson(const job::VerifiedSource& source, const std::vector<Damage>& damages) {
  codec::Json json;
  AddText(json, "source", source.source);
  json["sound"] = source.verified.damages == 0;
  json["backups"] = codec::Json::array();
  for (const auto& backup : source.backups) json["backups"].push_back(EscapeForTerminal(backup));
  json["files"] = source.verified.files;
  json["pages"] = source.verified.pages;
  json["bytes"] = source.verified.bytes;
  json["data_checksums"] = source.data_checksums ? codec::Json(*source.data_checksums) : codec::Json(nullptr);
  json["wal"] = nullptr;
  if (source.wal) {
    json["wal"] = {{"from", source.wal->from.ToString()},
                   {"to", source.wal->to ? codec::Json(source.wal->to->ToString()) : codec::Json(nullptr)},
                   {"segments", source.wal->segments},
                   {"is_missing", source.wal->is_missing}};
  }
  json["notes"] = codec::Json::array();
  for (const auto& note : source.notes) json["notes"].push_back(EscapeForTerminal(note));
  json["damage_count"] = source.verified.damages;
  json["damages"] = codec::Json::array();
  for (const auto& damage : damages) json["damages"].push_back(ToJson(damage));
  return json;
}

std::string Line(const Damage& damage) {
  std::string place = EscapeForTerminal(damage.backup);
  if (!damage.path.empty()) place += ": " + EscapeForTerminal(damage.path);
  if (damage.block) place += fmt::format(", block {}", *damage.block);
  return place + ": " + EscapeForTerminal(damage.problem);
}

std::string Counted(size_t number, std::string_view what) {
  return fmt::format("{} {}{}", number, what, number == 1 ? "" : "s");
}

void PrintText(std::ostream& out, const job::VerifiedSource& source, const std::vector<Damage>& damages) {
  for (const auto& damage : damages) out << Line(damage) << '\n';
  const auto& verified = source.verified;
  if (verified.damages > damages.size()) fmt::print(out, "... and {} more\n", verified.damages - damages.size());
  for (const auto& note : source.notes) out << "note: " << EscapeForTerminal(note) << '\n';
  std::string walked =
      fmt::format("{} in {}, {}, {}", Counted(verified.files, "file"), Counted(source.backups.size(), "backup"),
                  Counted(verified.pages, "page"), FormatBytes(verified.bytes));
  if (source.wal) {
    walked += fmt::format(", WAL from {}", source.wal->from.ToString());
    if (source.wal->to) walked += " to " + source.wal->to->ToString();
  }
  if (verified.damages == 0) {
    fmt::print(out, "sound: {}\n", walked);
    return;
  }
  std::set<std::pair<std::string_view, std::string_view>> files;
  for (const auto& damage : damages) files.emplace(damage.backup, damage.path);
  fmt::print(out, "damaged: {} in {}; looked at: {}\n", Counted(verified.damages, "place"),
             Counted(files.size(), "file"), walked);
}

int StatusOf(const job::VerifiedSource& source) {
  if (source.verified.damages == 0) return kExitOk;
  const bool only_wal = source.wal && source.wal->is_missing && source.verified.damages == 1;
  return only_wal ? kExitMissingWal : kExitBadData;
}

Result<int> RunVerify(const VerifyArguments& arguments, Output& output) {
  std::vector<Damage> damages;
  std::atomic<uint64_t> count = 0;
  image::VerifyProgress progress;
  const auto say = [&] {
    const uint64_t total = progress.total;
    const uint64_t done = std::min<uint64_t>(progress.done, total);
    std::string text = fmt::format("{} of {}", FormatBytes(done), FormatBytes(total));
    if (total != 0) text += fmt::format(" ({}%)", done * 100 / total);
    return count == 0 ? text : text + ", " + Counted(count, "damaged place");
  };
  auto verified = [&] {
    const ProgressLine line(output, say);
    return job::VerifySource(RequestOf(arguments.source), {.threads = UsefulThreads(), .progress = &progress},
                             [&](const Damage& damage) {
                               ++count;
                               if (damages.size() < kMostListed) damages.push_back(damage);
                             });
  }();
  if (!verified) return Fail(std::move(verified).error());
  Sort(damages, verified->backups);
  if (arguments.json) {
    output.out << codec::FormatJson(ToJson(*verified, damages), 2) << '\n';
  } else {
    PrintText(output.out, *verified, damages);
  }
  output.out.flush();
  if (!output.out) return Fail(ErrorCode::kIo, "could not write to standard output");
  return StatusOf(*verified);
}

}  // namespace

void AddVerifyCommand(CommandLine& line) {
  auto arguments = std::make_shared<VerifyArguments>();
  Command command = line.Add("verify", "Read all of a backup and list what is damaged");
  AddSourceArguments(command, arguments->source);
  command.Flag("--json", arguments->json, "Print JSON");
  command.Examples({"pgstrata verify /backups/monday", "pgstrata verify pg_probackup:/backups/main/TOTJZL --json",
                    "pgstrata verify pgbackrest:main || mail -s 'backup is damaged' dba"});
  command.Run([arguments](Output& output) { return RunVerify(*arguments, output); });
}

}  // namespace pgstrata::cli
