// How long the steps of a session took. For one thread at a time.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "foundation/base/clock.h"

namespace pgstrata::branch {

struct StepTime {
  std::string name;
  double milliseconds = 0;
};

class StepTimes {
 public:
  // The step that began with the last mark, or with this object, has ended.
  void Mark(std::string step) {
    const double now = watch_.milliseconds();
    times_.push_back({std::move(step), now - last_mark_ms_});
    last_mark_ms_ = now;
  }
  [[nodiscard]] const std::vector<StepTime>& times() const { return times_; }

 private:
  std::vector<StepTime> times_;
  Stopwatch watch_;
  double last_mark_ms_ = 0;
};

}  // namespace pgstrata::branch
