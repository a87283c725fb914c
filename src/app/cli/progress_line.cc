#include "app/cli/progress_line.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <ostream>
#include <utility>

namespace pgstrata::cli {
namespace {

constexpr auto kEvery = std::chrono::milliseconds(200);
constexpr const char* kEraseLine = "\r\033[K";

void Show(const std::stop_token& stop, std::ostream& err, const std::function<std::string()>& say) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  while (!wake.wait_for(lock, stop, kEvery, [&stop] { return stop.stop_requested(); })) {
    err << kEraseLine << say() << std::flush;
  }
  err << kEraseLine << std::flush;
}

}  // namespace

ProgressLine::ProgressLine(Output& output, std::function<std::string()> say) {
  if (&output.err != &std::cerr || ::isatty(STDERR_FILENO) == 0) return;
  writer_ =
      std::jthread([&err = output.err, say = std::move(say)](const std::stop_token& stop) { Show(stop, err, say); });
}

ProgressLine::~ProgressLine() = default;

}  // namespace pgstrata::cli
