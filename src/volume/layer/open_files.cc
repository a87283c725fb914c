#include "volume/layer/open_files.h"

namespace pgstrata::layer {

void OpenFiles::Add(Member& member) {
  Closed closed;  // destroyed, and so closed, after the lock
  const std::scoped_lock lock(mutex_);
  if (!member.listed_) {
    member.position_ = ring_.insert(ring_.end(), &member);
    member.listed_ = true;
  }
  if (ring_.size() > limit_) closed = Shrink(limit_, member);
}

void OpenFiles::Remove(Member& member) {
  const std::scoped_lock lock(mutex_);
  if (!member.listed_) return;
  ring_.erase(member.position_);
  member.listed_ = false;
}

void OpenFiles::CloseSome(const Member& except) {
  Closed closed;
  const std::scoped_lock lock(mutex_);
  closed = Shrink(ring_.size() / 2, except);
}

size_t OpenFiles::size() const {
  const std::scoped_lock lock(mutex_);
  return ring_.size();
}

OpenFiles::Closed OpenFiles::Shrink(size_t target, const Member& except) {
  Closed closed;
  // Twice round: the first time may only take second chances away.
  for (size_t tries = 2 * ring_.size(); tries > 0 && ring_.size() > target; --tries) {
    Member& member = *ring_.front();
    const bool spare = &member == &except || member.recently_used_.exchange(false, std::memory_order_relaxed);
    auto file = spare ? nullptr : member.TryRelease();
    if (!file) {
      ring_.splice(ring_.end(), ring_, ring_.begin());
      continue;
    }
    ring_.pop_front();
    member.listed_ = false;
    closed.push_back(std::move(file));
  }
  return closed;
}

}  // namespace pgstrata::layer
