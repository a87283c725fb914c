// What the verification of a backup tells, in whatever form the backup is stored.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace pgstrata::image {

struct Damage {
  std::string backup;             // that holds it: its path, ID or label
  std::string path;               // of the file, as the backup names it; empty: a list of the backup's own
  std::optional<uint64_t> block;  // of 8 KiB, from the start of the file; nothing where all of it is concerned
  std::string problem;
};

struct Verified {
  uint64_t files = 0;
  uint64_t pages = 0;  // where they were looked at one by one
  uint64_t bytes = 0;
  uint64_t damages = 0;

  Verified& operator+=(const Verified& other) {
    files += other.files;
    pages += other.pages;
    bytes += other.bytes;
    damages += other.damages;
    return *this;
  }
};

// How far a verification is, for whoever looks from another thread. In bytes of whatever is read.
struct VerifyProgress {
  std::atomic<uint64_t> total = 0;
  std::atomic<uint64_t> done = 0;
};

// The damages that several threads find, told to `report` by one at a time.
class Findings {
 public:
  using Report = std::function<void(const Damage&)>;

  explicit Findings(Report report) : report_(std::move(report)) {}

  void Add(const Damage& damage) {
    const std::lock_guard lock(mutex_);
    ++damages_;
    report_(damage);
  }
  [[nodiscard]] uint64_t damages() const {
    const std::lock_guard lock(mutex_);
    return damages_;
  }

 private:
  const Report report_;
  mutable std::mutex mutex_;
  uint64_t damages_ = 0;  // guarded by mutex_
};

// How a verification goes about it.
struct VerifyOptions {
  unsigned threads = 1;
  VerifyProgress* progress = nullptr;  // may be null
};

}  // namespace pgstrata::image
