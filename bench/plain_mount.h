// `pgstrata mount`, taken away at the end.
#pragma once

#include <string>

#include "foundation/codec/json.h"

namespace pgstrata::bench {

class PlainMount {
 public:
  // `changes` is the diff directory; empty: read-only.
  PlainMount(std::string program, const std::string& source, std::string mountpoint, const std::string& changes);
  ~PlainMount();
  PlainMount(const PlainMount&) = delete;
  PlainMount& operator=(const PlainMount&) = delete;

  // What `pgstrata stat --json` says.
  [[nodiscard]] codec::Json Stat() const;
  [[nodiscard]] const std::string& mountpoint() const { return mountpoint_; }

 private:
  std::string program_;
  std::string mountpoint_;
};

}  // namespace pgstrata::bench
