#include "volume/layer/gate.h"

#include <thread>

namespace pgstrata::layer {

// Whoever comes is counted first and looks then; who closes the gate closes it first and counts then: one sees the
// other.
void Gate::Enter() {
  while (true) {
    inside_.fetch_add(1);
    if (!closed_.load()) return;
    inside_.fetch_sub(1);
    closed_.wait(true);
  }
}

bool Gate::TryClose(std::chrono::microseconds patience) {
  constexpr std::chrono::microseconds kPause(20);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  closed_.store(true);
  while (inside_.load() != 0) {
    if (std::chrono::steady_clock::now() >= deadline) {
      Open();
      return false;
    }
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

void Gate::Open() {
  closed_.store(false);
  closed_.notify_all();
}

}  // namespace pgstrata::layer
