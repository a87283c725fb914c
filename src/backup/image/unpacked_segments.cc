#include "backup/image/unpacked_segments.h"

#include <algorithm>
#include <utility>

namespace pgstrata::image {

Status UnpackedSegments::Use(const std::string& key, const Unpack& unpack, const std::function<Status(ByteView)>& use) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::find(held_, key, &Held::key);
  if (found != held_.end()) {
    held_.splice(held_.begin(), held_, found);
  } else {
    PGS_ASSIGN(auto content, unpack());
    MakeRoom(content.size());
    bytes_ += content.size();
    held_.push_front({key, std::move(content)});
  }
  return use(held_.front().content);
}

void UnpackedSegments::MakeRoom(uint64_t size) {
  while (!held_.empty() && bytes_ + size > limit_) {
    bytes_ -= held_.back().content.size();
    held_.pop_back();
  }
}

uint64_t UnpackedSegments::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace pgstrata::image
