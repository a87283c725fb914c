// Programs run to their end with the time that they took, and series of such runs.
//
// Sides of a comparison are alternated round by round, in an order that rotates, so that what the machine does
// meanwhile meets all of them; what is compared are medians. Beside the wall time stands the processor time of
// everything that the run started: another's load hardly changes it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "foundation/base/error.h"
#include "foundation/io/process.h"

namespace pgstrata::bench {

// The value, or std::runtime_error with the error's words: a benchmark that cannot measure ends.
template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}
void Must(Status status);

struct Sample {
  double wall_ms = 0;
  double cpu_ms = 0;
};

class Series {
 public:
  void Add(const Sample& sample) { samples_.push_back(sample); }
  [[nodiscard]] double WallMs() const;  // median
  [[nodiscard]] double CpuMs() const;   // median
  // Half the distance between the quartiles of the wall time: what the medians may be off by, roughly.
  [[nodiscard]] double SpreadMs() const;

 private:
  std::vector<Sample> samples_;
};

// One side of a comparison. Calls of its function prepare what they need outside of the time that they report.
using Side = std::function<Sample()>;
// Every side once per round; the first round is not counted.
std::vector<Series> Alternate(int rounds, const std::vector<Side>& sides);

struct ProgramRun {
  Sample whole;                // until its end
  double first_output_ms = 0;  // until the first byte of its standard output
  std::string output;
};
// Runs a program with input from /dev/null. Throws, with what it wrote to standard error, unless it ends with status 0.
ProgramRun RunProgram(io::SpawnOptions options);

// The processor time of this process's children that have ended and been waited for, with theirs.
double ChildrenCpuMs();

}  // namespace pgstrata::bench
