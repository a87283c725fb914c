#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <thread>

#include "app/cli/command.h"
#include "app/cli/source_options.h"
#include "app/cli/terminal_text.h"
#include "backup/image/checksum_list.h"
#include "foundation/base/text.h"
#include "foundation/codec/json.h"

namespace pgstrata::cli {
namespace {

using image::Entry;
using image::EntryKind;

struct LsArguments {
  SourceArguments source;
  std::string path;
  bool long_format = false;
  bool recursive = false;
  bool json = false;
  bool checksum = false;
};

std::string_view KindName(EntryKind kind) {
  switch (kind) {
    case EntryKind::kDirectory:
      return "directory";
    case EntryKind::kLink:
      return "link";
    case EntryKind::kFile:
      break;
  }
  return "file";
}

// "drwx------".
std::string ModeText(const Entry& entry) {
  constexpr std::string_view kLetters = "rwxrwxrwx";
  std::string text = entry.kind == EntryKind::kDirectory ? "d" : entry.kind == EntryKind::kLink ? "l" : "-";
  for (size_t i = 0; i < kLetters.size(); ++i) {
    text += (entry.mode & (0400U >> i)) != 0 ? kLetters[i] : '-';
  }
  return text;
}

std::string TextLine(const std::string& shown, const Entry& entry, bool long_format) {
  std::string name = EscapeForTerminal(shown);
  if (entry.kind == EntryKind::kDirectory) name += '/';
  if (!long_format) return name;
  if (entry.kind == EntryKind::kLink) name += " -> " + EscapeForTerminal(entry.link_target);
  if (!entry.grafted_from.empty()) name += " (a link to " + EscapeForTerminal(entry.grafted_from) + ')';
  const std::string size = entry.kind == EntryKind::kDirectory ? "-" : std::to_string(entry.size);
  return fmt::format("{} {:>12} {} {}", ModeText(entry), size, entry.modified.ToString(), name);
}

codec::Json PathToJson(const std::string& path) {
  codec::Json json;
  json["path"] = path;
  if (!IsUtf8(path)) json["path_hex"] = codec::ToHex(AsBytes(path));
  return json;
}

codec::Json ToJson(const std::string& path, const Entry& entry) {
  codec::Json json = PathToJson(path);
  json["kind"] = KindName(entry.kind);
  json["mode"] = fmt::format("{:04o}", entry.mode);
  json["uid"] = entry.uid;
  json["gid"] = entry.gid;
  if (entry.kind == EntryKind::kFile) json["size"] = entry.size;
  json["modified"] = entry.modified.ToString();
  if (entry.kind == EntryKind::kLink) json["target"] = entry.link_target;
  if (!entry.grafted_from.empty()) json["link_to"] = entry.grafted_from;
  return json;
}

// One listing, written as it is found: lines, or the elements of a JSON array.
class Listing {
 public:
  Listing(std::ostream& out, bool json) : out_(out), json_(json) {}

  Status AddLine(std::string_view line) {
    out_ << line << '\n';
    return Written();
  }
  Status AddElement(const codec::Json& element) {
    out_ << (empty_ ? "[\n  " : ",\n  ") << codec::FormatJson(element);
    empty_ = false;
    return Written();
  }
  Status End() {
    if (json_) out_ << (empty_ ? "[]\n" : "\n]\n");
    out_.flush();
    return Written();
  }

 private:
  Status Written() {
    if (out_) return {};
    return Fail(ErrorCode::kIo, "could not write the listing to standard output");
  }

  std::ostream& out_;
  const bool json_;
  bool empty_ = true;
};

Status ListChecksums(const LsArguments& arguments, const image::Image& image, const std::string& path, bool to_terminal,
                     Listing& listing) {
  const unsigned threads = std::clamp(std::thread::hardware_concurrency(), 2U, 16U);
  return image::VisitChecksums(image, path, threads, [&](const image::FileChecksum& file) -> Status {
    if (!arguments.json) {
      const std::string line = image::FormatChecksumLine(file);
      if (!to_terminal) return listing.AddLine(line);
      image::FileChecksum shown = file;
      shown.path.clear();
      return listing.AddLine(image::FormatChecksumLine(shown) + EscapeForTerminal(file.path));
    }
    codec::Json json = PathToJson(file.path);
    json["sha256"] = codec::ToHex(file.digest);
    json["size"] = file.size;
    json["mode"] = fmt::format("{:04o}", file.mode);
    return listing.AddElement(json);
  });
}

Status ListEntries(const LsArguments& arguments, const image::Image& image, const std::string& path, Listing& listing) {
  const auto add = [&](const std::string& entry_path, const Entry& entry) -> Status {
    if (arguments.json) return listing.AddElement(ToJson(entry_path, entry));
    const std::string& shown = arguments.recursive ? entry_path : entry.name;
    return listing.AddLine(TextLine(shown, entry, arguments.long_format));
  };
  PGS_ASSIGN(const Entry top, image.Stat(path));
  if (top.kind != EntryKind::kDirectory) return add(path, top);
  if (arguments.recursive) return image::Walk(image, path, add);
  PGS_ASSIGN(const auto entries, image.List(path));
  for (const Entry& entry : entries) PGS_TRY(add(JoinPath(path, entry.name), entry));
  return {};
}

Result<int> RunLs(const LsArguments& arguments, Output& output) {
  PGS_ASSIGN(const auto source, ResolveSource(arguments.source));
  PGS_ASSIGN(const std::string path, image::FollowLinks(*source.image, arguments.path));
  Listing listing(output.out, arguments.json);
  if (arguments.checksum) {
    const bool to_terminal = &output.out == &std::cout && ::isatty(STDOUT_FILENO) != 0;
    PGS_TRY(ListChecksums(arguments, *source.image, path, to_terminal, listing));
  } else {
    PGS_TRY(ListEntries(arguments, *source.image, path, listing));
  }
  PGS_TRY(listing.End());
  return 0;
}

}  // namespace

void AddLsCommand(CommandLine& line) {
  auto arguments = std::make_shared<LsArguments>();
  Command command = line.Add("ls", "List the files of a backup");
  AddFileSourceArguments(command, arguments->source);
  command.Optional("PATH", arguments->path, "A directory or file in it (default: all of PGDATA)");
  command.Flag("-l", arguments->long_format, "With mode, size, time and link target");
  command.Flag("-R,--recursive", arguments->recursive, "Everything below, with its path");
  command.Flag("--json", arguments->json, "Print JSON");
  command.Flag("--checksum", arguments->checksum,
               "Every file below as a restore would write it: sha256, size, mode, path");
  command.Exclude("--checksum", "-l");
  command.Examples({"pgstrata ls /backups/monday", "pgstrata ls -l /backups/monday pg_wal",
                    "pgstrata ls --checksum /backups/monday > monday.sha256"});
  command.Run([arguments](Output& output) { return RunLs(*arguments, output); });
}

}  // namespace pgstrata::cli
