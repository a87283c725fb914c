// What the programs of ./dev bench share: options, the choice of rows, the report and the exit status.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

#include "bench/report.h"

namespace pgstrata::bench {

class BenchProgram {
 public:
  // `rows` can be chosen by --rows; all of them are wanted where none is.
  BenchProgram(const std::string& description, std::vector<std::string> rows);
  BenchProgram(const BenchProgram&) = delete;
  BenchProgram& operator=(const BenchProgram&) = delete;

  // An option that changes `value`, which outlives this object; a number has to be positive.
  void Add(const std::string& name, std::string& value, const std::string& description);
  void Add(const std::string& name, int& value, const std::string& description);

  using Wanted = std::function<bool(const char* row)>;
  // Parses the command line, measures, and prints the report with the machine's load before and after. Exit status: 0
  // when every target is reached, 1 when one is not, 2 when something could not be measured.
  int Run(int argc, char** argv, const std::function<void(Report& report, const Wanted& wanted)>& measure);

 private:
  CLI::App app_;
  std::vector<std::string> rows_;
};

}  // namespace pgstrata::bench
