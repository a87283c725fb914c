// The command line: what each command takes, over CLI11. Only command_line.cc sees CLI11, whose templates and inline
// functions cost more to compile than a command does.
//
// `names` are as CLI11 writes them: "-c,--command". What a declaration refers to has to live until the action has run.
#pragma once

#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "foundation/base/error.h"

namespace CLI {
class App;
}  // namespace CLI

namespace pgstrata::cli {

struct Output {
  std::ostream& out;  // what was asked for, and nothing else
  std::ostream& err;  // steps, timings, warnings, errors
};

// What the parsed command line wants done. Returns the exit status.
using Action = std::function<Result<int>(Output&)>;

// An option that is one of several whose order on the command line matters.
struct OrderedOption {
  std::string names;
  std::string spelling;  // how each use stands in the result, in front of its value
  std::string type;
  std::string description;
};

// The declaration of one command.
class Command {
 public:
  // Arguments without a dash, in order.
  void Required(const std::string& name, std::string& value, const std::string& description);
  void Optional(const std::string& name, std::string& value, const std::string& description);

  // All further ones.
  void Rest(const std::string& name, std::vector<std::string>& values, const std::string& description);

  void Flag(const std::string& names, bool& value, const std::string& description);
  // `type` is what --help shows for the value: "DIR".
  void Option(const std::string& names, const std::string& type, std::string& value, const std::string& description);
  // Where an empty value is not the same as none.
  void Option(const std::string& names, const std::string& type, std::optional<std::string>& value,
              const std::string& description);
  // May be given again, with one value each time.
  void Repeatable(const std::string& names, const std::string& type, std::vector<std::string>& values,
                  const std::string& description);
  // `values` becomes {spelling, value, spelling, value, ...}.
  void Ordered(const std::vector<OrderedOption>& options, std::vector<std::string>& values);

  // Both together are an error of usage.
  void Exclude(const std::string& name, const std::string& other);
  // Shown at the end of --help, one a line.
  void Examples(const std::vector<std::string>& lines);
  // What is done when this command was named.
  void Run(Action action);

 private:
  friend class CommandLine;
  friend class CommandGroup;
  Command(CLI::App& app, Action& chosen) : app_(&app), chosen_(&chosen) {}

  CLI::App* app_;
  Action* chosen_;
  // What is left to do once everything is parsed.
  std::shared_ptr<std::vector<std::function<void()>>> after_parse_ =
      std::make_shared<std::vector<std::function<void()>>>();
};

// A command that consists of commands.
class CommandGroup {
 public:
  Command Add(const std::string& name, const std::string& description);

 private:
  friend class CommandLine;
  CommandGroup(CLI::App& app, Action& chosen) : app_(&app), chosen_(&chosen) {}

  CLI::App* app_;
  Action* chosen_;
};

class CommandLine {
 public:
  CommandLine(const std::string& description, const std::string& version, const std::string& footer);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Command Add(const std::string& name, const std::string& description);
  CommandGroup AddGroup(const std::string& name, const std::string& description);

  // The action of the command that was named; or, when all is said already, the exit status: 0 after --help and
  // --version, which go to `output.out`, kExitUsage after a message on `output.err`.
  std::variant<int, Action> Parse(std::vector<std::string> arguments, Output& output);

 private:
  std::unique_ptr<CLI::App> app_;
  Action chosen_;
};

}  // namespace pgstrata::cli
