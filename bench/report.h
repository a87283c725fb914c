// What is printed: the conditions, then a table (Markdown) with a line per number.
#pragma once

#include <string>
#include <vector>

#include "bench/measure.h"

namespace pgstrata::bench {

struct Verdict {
  std::string what;
  std::string ours;   // the measured side, as text
  std::string other;  // what it is compared with
  std::string result;
  std::string target;
  bool passed = false;
};

// "52.1 ms (± 0.9; processor 61.0)".
std::string Show(const Series& series);

// `ours` minus `other`, which has to be `most_ms` at most.
Verdict CompareDifference(std::string what, const Series& ours, const Series& other, double most_ms);
// `ours` divided by `other`, which has to be `most` at most.
Verdict CompareRatio(std::string what, const Series& ours, const Series& other, double most);
Verdict CompareBytes(std::string what, double bytes, double most);

class Report {
 public:
  // Prints what is being done, on standard error.
  static void Progress(const std::string& text);
  void AddCondition(const std::string& line) { conditions_.push_back(line); }
  void Add(const Verdict& verdict) { verdicts_.push_back(verdict); }
  void Print() const;
  [[nodiscard]] bool AllPassed() const;

 private:
  std::vector<std::string> conditions_;
  std::vector<Verdict> verdicts_;
};

}  // namespace pgstrata::bench
