#include "app/cli/decoding_progress.h"

#include <fmt/core.h>

#include "app/cli/terminal_text.h"
#include "foundation/base/text.h"

namespace pgstrata::cli {
namespace {

constexpr std::chrono::milliseconds kBetweenLines{100};
constexpr const char* kClearLine = "\r\033[K";

}  // namespace

DecodingProgress::DecodingProgress(std::ostream& err, SignalQueue* signals, bool is_shown)
    : err_(err), signals_(signals), is_shown_(is_shown) {}

DecodingProgress::~DecodingProgress() {
  if (has_line_) err_ << kClearLine << std::flush;
}

bool DecodingProgress::Tell(const image::DecodeStep& step) {
  const std::lock_guard lock(mutex_);
  Show(fmt::format("decoding {} ({} stored): {}", EscapeForTerminal(step.name), FormatBytes(step.stored_bytes),
                   FormatBytes(step.done)));
  return GoOn();
}

bool DecodingProgress::Add(uint64_t bytes, uint64_t total) {
  constexpr uint64_t kPercent = 100;
  const std::lock_guard lock(mutex_);
  done_ += bytes;
  Show(fmt::format("decoding: {} of {} ({} %)", FormatBytes(done_), FormatBytes(total),
                   total == 0 ? kPercent : done_ * kPercent / total));
  return GoOn();
}

bool DecodingProgress::GoOn() {
  if (signals_ == nullptr || signal_) return !signal_;
  if (const auto received = signals_->Take()) signal_ = received->number;
  return !signal_;
}

void DecodingProgress::Show(const std::string& line) {
  if (!is_shown_) return;
  const auto now = std::chrono::steady_clock::now();
  if (has_line_ && now - shown_at_ < kBetweenLines) return;
  shown_at_ = now;
  has_line_ = true;
  err_ << kClearLine << line << std::flush;
}

}  // namespace pgstrata::cli
