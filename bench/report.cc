#include "bench/report.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

namespace pgstrata::bench {

std::string Show(const Series& series) {
  return fmt::format("{:.1f} ms (± {:.1f}; processor {:.1f})", series.WallMs(), series.SpreadMs(), series.CpuMs());
}

Verdict CompareDifference(std::string what, const Series& ours, const Series& other, double most_ms) {
  const double difference = ours.WallMs() - other.WallMs();
  return {.what = std::move(what),
          .ours = Show(ours),
          .other = Show(other),
          .result = fmt::format("{:+.1f} ms (processor {:+.1f})", difference, ours.CpuMs() - other.CpuMs()),
          .target = fmt::format("<= {:.0f} ms", most_ms),
          .passed = difference <= most_ms};
}

Verdict CompareRatio(std::string what, const Series& ours, const Series& other, double most) {
  const double ratio = ours.WallMs() / other.WallMs();
  return {.what = std::move(what),
          .ours = Show(ours),
          .other = Show(other),
          .result = fmt::format("{:.2f} times", ratio),
          .target = fmt::format("<= {:.1f} times", most),
          .passed = ratio <= most};
}

Verdict CompareBytes(std::string what, double bytes, double most) {
  constexpr double kMiB = 1 << 20;
  return {.what = std::move(what),
          .ours = fmt::format("{:.2f} MiB", bytes / kMiB),
          .other = "",
          .result = fmt::format("{:.2f} MiB", bytes / kMiB),
          .target = fmt::format("<= {:.0f} MiB", most / kMiB),
          .passed = bytes <= most};
}

void Report::Progress(const std::string& text) { fmt::print(stderr, "bench: {}\n", text); }

void Report::Print() const {
  for (const auto& line : conditions_) fmt::print("- {}\n", line);
  fmt::print("\n| what | pgstrata | compared with | result | target | |\n| --- | --- | --- | --- | --- | --- |\n");
  for (const auto& verdict : verdicts_) {
    fmt::print("| {} | {} | {} | {} | {} | {} |\n", verdict.what, verdict.ours, verdict.other, verdict.result,
               verdict.target, verdict.passed ? "pass" : "FAIL");
  }
  std::fflush(stdout);
}

bool Report::AllPassed() const { return std::ranges::all_of(verdicts_, &Verdict::passed); }

}  // namespace pgstrata::bench
