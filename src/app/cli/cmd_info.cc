#include <fmt/core.h>
#include <fmt/ostream.h>

#include <memory>
#include <optional>
#include <ostream>

#include "app/cli/command.h"
#include "app/cli/source_options.h"
#include "branch/branch/source_report.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "postgres/pgdata/pg_time.h"

namespace pgstrata::cli {
namespace {

using branch::SourceReport;

struct InfoArguments {
  SourceArguments source;
  std::string pg_bin;
  bool json = false;
};

std::string WalSummary(const SourceReport& report) {
  const auto& plan = report.recovery;
  if (!plan.missing_segment.empty()) return "missing from " + plan.missing_segment + " on";
  std::string text = fmt::format("{} to {}", plan.segments.front(), plan.segments.back());
  const auto archived = plan.from_archives.size();
  return archived == 0 ? text : text + fmt::format(" ({} of them from an archive)", archived);
}

void PrintLine(std::ostream& out, std::string_view name, std::string_view value) {
  if (!value.empty()) fmt::print(out, "{:<20} {}\n", name, value);
}

std::string FirstTouchSummary(const image::FirstTouch& cost) {
  std::string text =
      fmt::format("{} in {} files is decoded when it is first read (stored as {}), at most {} at once ({})",
                  FormatBytes(cost.bytes), cost.files, FormatBytes(cost.stored_bytes), FormatBytes(cost.largest_bytes),
                  cost.largest);
  return cost.files_in_cache == 0 ? text : text + fmt::format("; {} of the files are decoded", cost.files_in_cache);
}

codec::Json ToJson(const image::FirstTouch& cost) {
  return {{"files", cost.files},
          {"bytes", cost.bytes},
          {"stored_bytes", cost.stored_bytes},
          {"files_decoded_already", cost.files_in_cache},
          {"largest_file", cost.largest},
          {"largest_file_bytes", cost.largest_bytes}};
}

codec::Json ToJson(const branch::Moment& moment) {
  return {{"description", moment.description},
          {"timeline", moment.timeline.value},
          {"lsn", moment.end.ToString()},
          {"last_transaction",
           moment.last_transaction ? codec::Json(pgdata::FormatExactly(*moment.last_transaction)) : codec::Json()},
          {"is_end_of_wal", !moment.stop},
          {"warnings", moment.warnings}};
}

void PrintText(std::ostream& out, const source::ResolvedSource& source, const SourceReport& report) {
  const auto& control = report.facts.control;
  const auto& label = report.facts.label;
  PrintLine(out, "source", source.display_name);
  PrintLine(out, "kind", ClusterKindName(report.facts.kind));
  PrintLine(out, "version", std::to_string(report.facts.major_version));
  PrintLine(out, "system identifier", std::to_string(control.system_identifier));
  PrintLine(out, "timeline", std::to_string(report.facts.timeline.value));
  PrintLine(out, "state", ClusterStateName(control.state));
  if (label) {
    PrintLine(out, "label", label->label);
    PrintLine(out, "start time", label->start_time);
    PrintLine(out, "stop time", report.recovery.stop_time.empty() ? "not recorded" : report.recovery.stop_time);
  } else {
    PrintLine(out, "last written", control.time.ToString());
  }
  PrintLine(out, "start LSN", report.facts.redo.ToString());
  PrintLine(out, "stop LSN", report.consistent_at ? report.consistent_at->ToString() : "");
  PrintLine(out, "WAL", WalSummary(report));
  if (report.recovery.moment) {
    PrintLine(out, "moment", report.recovery.moment->description);
    for (const auto& warning : report.recovery.moment->warnings) PrintLine(out, "", "note: " + warning);
  }
  PrintLine(out, "data checksums", control.data_checksums() ? "on" : "off");
  PrintLine(out, "size", fmt::format("{} in {} files", FormatBytes(report.bytes), report.files));
  for (const auto& older : source.older) PrintLine(out, "stands on", older);
  if (source.first_touch) PrintLine(out, "first read", FirstTouchSummary(*source.first_touch));
  for (const auto& tablespace : report.tablespaces) {
    PrintLine(out, "tablespace",
              fmt::format("{} {} {}", tablespace.oid, FormatBytes(tablespace.bytes), tablespace.location));
  }
  PrintLine(out, "can be opened here", report.obstacle ? "no: " + report.obstacle->message() : "yes");
  if (report.obstacle) PrintLine(out, "", report.obstacle->hint());
}

codec::Json ToJson(const source::ResolvedSource& source, const SourceReport& report) {
  const auto& control = report.facts.control;
  codec::Json json;
  json["source"] = source.path;
  json["kind"] = ClusterKindName(report.facts.kind);
  json["version"] = report.facts.major_version;
  json["system_identifier"] = std::to_string(control.system_identifier);
  json["timeline"] = report.facts.timeline.value;
  json["state"] = ClusterStateName(control.state);
  json["label"] = report.facts.label ? codec::Json(report.facts.label->label) : codec::Json();
  json["start_lsn"] = report.facts.redo.ToString();
  json["start_time"] = report.facts.label ? codec::Json(report.facts.label->start_time) : codec::Json();
  json["stop_lsn"] = report.consistent_at ? codec::Json(report.consistent_at->ToString()) : codec::Json();
  json["stop_time"] = report.recovery.stop_time.empty() ? codec::Json() : codec::Json(report.recovery.stop_time);
  json["last_written"] = control.time.ToString();
  json["data_checksums"] = control.data_checksums();
  json["files"] = report.files;
  json["bytes"] = report.bytes;
  json["stands_on"] = source.older;
  json["first_read"] = source.first_touch ? ToJson(*source.first_touch) : codec::Json();
  json["tablespaces"] = codec::Json::array();
  for (const auto& tablespace : report.tablespaces) {
    json["tablespaces"].push_back(
        {{"oid", tablespace.oid}, {"location", tablespace.location}, {"bytes", tablespace.bytes}});
  }
  json["moment"] = report.recovery.moment ? ToJson(*report.recovery.moment) : codec::Json();
  json["wal_segments"] = report.recovery.segments;
  json["missing_wal_segment"] =
      report.recovery.missing_segment.empty() ? codec::Json() : codec::Json(report.recovery.missing_segment);
  json["can_be_opened"] = !report.obstacle;
  json["obstacle"] = report.obstacle ? codec::Json(report.obstacle->message()) : codec::Json();
  json["hint"] = report.obstacle ? codec::Json(report.obstacle->hint()) : codec::Json();
  return json;
}

// What is decoded for a description without asking: it takes a second, and the next who opens the backup reuses it.
constexpr uint64_t kDecodedUnasked = 64ULL << 20;  // stored

// Archives that are compressed as a whole have to be decoded before anything can be said of the cluster in them.
Result<source::ResolvedSource> ResolveCheaply(SourceArguments arguments) {
  std::optional<Error> too_much;
  arguments.decoding = [&](const image::DecodeStep& step) {
    if (step.stored_bytes <= kDecodedUnasked) return true;
    too_much = Error(ErrorCode::kUnavailable,
                     fmt::format("{} is compressed as a whole, {}: it is decoded once, when it is first opened, before "
                                 "anything can be said of the cluster in it",
                                 step.name, FormatBytes(step.stored_bytes)))
                   .WithHint("pgstrata open decodes it and tells how far it is; then pgstrata info describes it too");
    return false;
  };
  auto source = ResolveSource(arguments, true);
  if (too_much) return Fail(*std::move(too_much));
  return source;
}

Result<int> RunInfo(const InfoArguments& arguments, Output& output) {
  PGS_ASSIGN(const auto at, MomentOf(arguments.source));
  PGS_ASSIGN(const auto source, ResolveCheaply(arguments.source));
  PGS_ASSIGN(SourceReport report, branch::ReportSource(*source.image, source.wal_archives, arguments.pg_bin, at));
  if (source.used_by) report.obstacle = source::InUseError(*source.used_by, source.path);
  if (arguments.json) {
    output.out << codec::FormatJson(ToJson(source, report), 2) << '\n';
  } else {
    PrintText(output.out, source, report);
  }
  return 0;
}

}  // namespace

void AddInfoCommand(CommandLine& line) {
  auto arguments = std::make_shared<InfoArguments>();
  Command command = line.Add("info", "Say what a backup is and whether it can be opened here");
  AddSourceArguments(command, arguments->source);
  AddMomentOptions(command, arguments->source);
  command.Option("--pg-bin", "DIR", arguments->pg_bin, "Directory of PostgreSQL's programs (default: searched for)");
  command.Flag("--json", arguments->json, "Print JSON");
  command.Examples({"pgstrata info /backups/monday", "pgstrata info /backups/monday --wal /archive --json",
                    "pgstrata info /backups/monday --wal /archive --at '2026-11-20 21:30:00+00'"});
  command.Run([arguments](Output& output) { return RunInfo(*arguments, output); });
}

}  // namespace pgstrata::cli
