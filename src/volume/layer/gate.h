// Lets many through at once, and now and then holds all up for a moment.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <utility>

namespace pgstrata::layer {

// Safe from several threads.
class Gate {
 public:
  // While somebody has one, the gate does not close. Not to be taken twice by one thread.
  class Pass {
   public:
    Pass() = default;
    explicit Pass(Gate& gate) : gate_(&gate) { gate.Enter(); }
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(gate_, other.gate_);
      return *this;
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    ~Pass() {
      if (gate_ != nullptr) gate_->inside_.fetch_sub(1);
    }

   private:
    Gate* gate_ = nullptr;
  };

  // Closes the gate when all that are inside leave within `patience`; else lets those who wait in again, and is false.
  // One thread at a time.
  bool TryClose(std::chrono::microseconds patience);
  void Open();

 private:
  void Enter();

  std::atomic<uint64_t> inside_ = 0;
  std::atomic<bool> closed_ = false;
};

}  // namespace pgstrata::layer
