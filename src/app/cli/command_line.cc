#include "app/cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "app/cli/exit_status.h"

namespace pgstrata::cli {
namespace {

constexpr size_t kDescriptionColumn = 34;

struct OrderedGroup {
  std::map<const CLI::Option*, std::string> spellings;
  std::map<const CLI::Option*, size_t> seen;
};

CLI::App* AddTo(CLI::App& parent, const std::string& name, const std::string& description) {
  CLI::App* command = parent.add_subcommand(name, description);
  command->footer("");  // its parent's otherwise
  return command;
}

std::vector<std::string> InOrder(const CLI::App& app, OrderedGroup& group) {
  std::vector<std::string> values;
  for (const CLI::Option* option : app.parse_order()) {
    const auto spelling = group.spellings.find(option);
    if (spelling == group.spellings.end()) continue;
    values.insert(values.end(), {spelling->second, option->results()[group.seen[option]++]});
  }
  return values;
}

}  // namespace

void Command::Required(const std::string& name, std::string& value, const std::string& description) {
  app_->add_option(name, value, description)->required();
}

void Command::Optional(const std::string& name, std::string& value, const std::string& description) {
  app_->add_option(name, value, description);
}

void Command::Rest(const std::string& name, std::vector<std::string>& values, const std::string& description) {
  app_->add_option(name, values, description)->expected(0, -1);
}

void Command::Flag(const std::string& names, bool& value, const std::string& description) {
  app_->add_flag(names, value, description);
}

void Command::Option(const std::string& names, const std::string& type, std::string& value,
                     const std::string& description) {
  app_->add_option(names, value, description)->type_name(type);
}

void Command::Option(const std::string& names, const std::string& type, std::optional<std::string>& value,
                     const std::string& description) {
  app_->add_option(names, value, description)->type_name(type);
}

void Command::Repeatable(const std::string& names, const std::string& type, std::vector<std::string>& values,
                         const std::string& description) {
  app_->add_option(names, values, description)->type_name(type)->expected(1)->take_all()->allow_extra_args(false);
}

void Command::Ordered(const std::vector<OrderedOption>& options, std::vector<std::string>& values) {
  auto group = std::make_shared<OrderedGroup>();
  for (const auto& [names, spelling, type, description] : options) {
    CLI::Option* option =
        app_->add_option(names, description)->type_name(type)->expected(1)->take_all()->allow_extra_args(false);
    group->spellings.emplace(option, spelling);
  }
  after_parse_->push_back([app = app_, group, &values] { values = InOrder(*app, *group); });
}

void Command::Exclude(const std::string& name, const std::string& other) {
  app_->get_option(name)->excludes(app_->get_option(other));
}

void Command::Examples(const std::vector<std::string>& lines) {
  std::string footer = "Examples:";
  for (const auto& line : lines) footer += "\n  " + line;
  app_->footer(footer);
}

void Command::Run(Action action) {
  app_->callback([chosen = chosen_, action = std::move(action), after_parse = after_parse_] {
    for (const auto& step : *after_parse) step();
    *chosen = action;
  });
}

CommandLine::CommandLine(const std::string& description, const std::string& version, const std::string& footer)
    : app_(std::make_unique<CLI::App>(description, "pgstrata")) {
  app_->set_version_flag("--version", version, "Print the version and exit");
  app_->get_formatter()->column_width(kDescriptionColumn);
  app_->require_subcommand(1);
  app_->footer(footer);
}

CommandLine::~CommandLine() = default;

Command CommandLine::Add(const std::string& name, const std::string& description) {
  return Command(*AddTo(*app_, name, description), chosen_);
}

CommandGroup CommandLine::AddGroup(const std::string& name, const std::string& description) {
  CLI::App* group = AddTo(*app_, name, description);
  group->require_subcommand(1);
  return CommandGroup(*group, chosen_);
}

Command CommandGroup::Add(const std::string& name, const std::string& description) {
  return Command(*AddTo(*app_, name, description), *chosen_);
}

std::variant<int, Action> CommandLine::Parse(std::vector<std::string> arguments, Output& output) {
  try {
    std::ranges::reverse(arguments);  // as CLI11 wants them
    app_->parse(std::move(arguments));
  } catch (const CLI::ParseError& problem) {
    return app_->exit(problem, output.out, output.err) == 0 ? kExitOk : kExitUsage;
  }
  return chosen_;
}

}  // namespace pgstrata::cli
