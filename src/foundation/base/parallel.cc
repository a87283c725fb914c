#include "foundation/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "foundation/base/log.h"

namespace pgstrata {

void ForEachInParallel(size_t count, unsigned threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::jthread> others;
  try {
    for (size_t i = 1; i < std::min<size_t>(threads, count); ++i) others.emplace_back(run);
  } catch (const std::system_error& problem) {
    log::Debug("the work is done by {} threads, no more can be had: {}", others.size() + 1, problem.what());
  }
  run();
}

unsigned UsefulThreads() {
  constexpr unsigned kMost = 16;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kMost);
}

}  // namespace pgstrata
