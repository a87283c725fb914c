// How far decoding is, on a terminal: one line that is written over. Elsewhere nothing is said.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <ostream>
#include <string>

#include "app/cli/signals.h"
#include "backup/image/first_touch.h"

namespace pgstrata::cli {

// Safe from several threads.
class DecodingProgress {
 public:
  // `signals` may be null: then nothing stops the decoding. `is_shown`: on a terminal, and not --quiet.
  DecodingProgress(std::ostream& err, SignalQueue* signals, bool is_shown);
  ~DecodingProgress();
  DecodingProgress(const DecodingProgress&) = delete;
  DecodingProgress& operator=(const DecodingProgress&) = delete;

  // What is decoded of one archive, whose size is not known before. False where a signal came.
  bool Tell(const image::DecodeStep& step);
  // So many more bytes of `total`. False where a signal came.
  bool Add(uint64_t bytes, uint64_t total);

  [[nodiscard]] std::optional<int> signal() const { return signal_; }

 private:
  bool GoOn();
  void Show(const std::string& line);

  std::ostream& err_;
  SignalQueue* const signals_;
  const bool is_shown_;
  std::mutex mutex_;
  // Guarded by mutex_.
  uint64_t done_ = 0;
  bool has_line_ = false;
  std::chrono::steady_clock::time_point shown_at_;
  std::optional<int> signal_;
};

}  // namespace pgstrata::cli
