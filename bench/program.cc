#include "bench/program.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "bench/conditions.h"

namespace pgstrata::bench {

BenchProgram::BenchProgram(const std::string& description, std::vector<std::string> rows)
    : app_(description), rows_(std::move(rows)) {
  app_.add_option("--rows", rows_, "Only these numbers")->delimiter(',')->check(CLI::IsMember(rows_));
}

void BenchProgram::Add(const std::string& name, std::string& value, const std::string& description) {
  auto* const option = app_.add_option(name, value, description);
  if (!value.empty()) option->capture_default_str();
}

void BenchProgram::Add(const std::string& name, int& value, const std::string& description) {
  app_.add_option(name, value, description)->check(CLI::PositiveNumber)->capture_default_str();
}

int BenchProgram::Run(int argc, char** argv, const std::function<void(Report& report, const Wanted& wanted)>& measure) {
  CLI11_PARSE(app_, argc, argv);
  try {
    Report report;
    report.AddCondition("sides alternated, medians; load " + LoadAverage() + " at the start");
    measure(report, [this](const char* row) { return std::ranges::find(rows_, row) != rows_.end(); });
    report.AddCondition("load at the end " + LoadAverage());
    report.Print();
    return report.AllPassed() ? 0 : 1;
  } catch (const std::exception& error) {
    Report::Progress(std::string("error: ") + error.what());
    return 2;
  }
}

}  // namespace pgstrata::bench
