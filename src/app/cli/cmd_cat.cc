#include <algorithm>
#include <memory>
#include <ostream>
#include <vector>

#include "app/cli/command.h"
#include "app/cli/source_options.h"

namespace pgstrata::cli {
namespace {

struct CatArguments {
  SourceArguments source;
  std::string path;
};

Status Copy(const image::ImageFile& file, std::ostream& out) {
  constexpr uint64_t kStep = 1 << 20;
  std::vector<std::byte> buffer(std::min(file.size(), kStep));
  for (uint64_t offset = 0; offset < file.size(); offset += buffer.size()) {
    buffer.resize(std::min(file.size() - offset, kStep));
    PGS_TRY(file.ReadAt(offset, buffer));
    out << AsText(buffer);
    if (!out) break;
  }
  out.flush();
  if (out) return {};
  return Fail(ErrorCode::kIo, "could not write the file to standard output");
}

Result<int> RunCat(const CatArguments& arguments, Output& output) {
  PGS_ASSIGN(const auto source, ResolveSource(arguments.source));
  PGS_ASSIGN(const std::string path, image::FollowLinks(*source.image, arguments.path));
  PGS_ASSIGN(const auto file, source.image->Open(path));
  PGS_TRY(Copy(*file, output.out));
  return 0;
}

}  // namespace

void AddCatCommand(CommandLine& line) {
  auto arguments = std::make_shared<CatArguments>();
  Command command = line.Add("cat", "Write a file of a backup to standard output");
  AddFileSourceArguments(command, arguments->source);
  command.Required("PATH", arguments->path, "The file, as ls shows it");
  command.Examples(
      {"pgstrata cat /backups/monday postgresql.conf", "pgstrata cat /backups/monday base/5/1259 > pg_class"});
  command.Run([arguments](Output& output) { return RunCat(*arguments, output); });
}

}  // namespace pgstrata::cli
