#include <memory>

#include "app/cli/command.h"
#include "app/cli/demo_story.h"
#include "app/cli/source_options.h"

namespace pgstrata::cli {

void AddDemoCommand(CommandLine& line) {
  auto request = std::make_shared<DemoRequest>();
  Command command = line.Add("demo", "Lose a table of a small cluster, open its backup, and get the rows back");
  AddServerArguments(command, request->pg_bin, request->user);
  command.Examples({"pgstrata demo"});
  command.Run([request](Output& output) { return TellDemo(*request, output); });
}

}  // namespace pgstrata::cli
