#include "foundation/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace pgstrata {

void ForEachInParallel(size_t count, unsigned threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> others;
  for (size_t i = 1; i < std::min<size_t>(threads, count); ++i) others.emplace_back(run);
  run();
}

unsigned UsefulThreads() {
  constexpr unsigned kMost = 16;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kMost);
}

}  // namespace pgstrata
