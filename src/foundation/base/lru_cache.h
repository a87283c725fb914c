// What was made last for a key, kept as long as there is room: open files, indexes, anything that can be made again.
#pragma once

#include <cstddef>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "foundation/base/error.h"

namespace pgstrata {

// Safe from several threads at once. What somebody holds lives on after it was dropped here; nothing is made or
// destroyed under the lock.
template <typename Value, typename Key = std::string>
class LruCache {
 public:
  using Shared = std::shared_ptr<const Value>;

  // Keeps as much as weighs `limit` together, the most recently used, and always the last one.
  explicit LruCache(size_t limit) : limit_(limit) {}

  // Nothing where it is not kept.
  Shared Find(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return nullptr;
    order_.splice(order_.begin(), order_, found->second);
    return found->second->value;
  }

  // `value`, or what another thread put there for `key` in the meantime.
  Shared Put(const Key& key, Shared value, size_t weight = 1) {
    Order dropped;
    const std::lock_guard lock(mutex_);
    if (const auto other = by_key_.find(key); other != by_key_.end()) return other->second->value;
    order_.push_front({key, value, weight});
    by_key_.emplace(key, order_.begin());
    weight_ += weight;
    while (weight_ > limit_ && order_.size() > 1) {
      weight_ -= order_.back().weight;
      by_key_.erase(order_.back().key);
      dropped.splice(dropped.begin(), order_, std::prev(order_.end()));
    }
    return value;
  }

  // What is kept for `key`, or what `make` gives now: a Result of a Value, or of a pointer to one. For each key one
  // thread at a time makes it while the others wait for it; a failure is not kept, and each of them tries for itself.
  // `weigh` says what the value weighs.
  template <typename Make, typename Weigh>
  Result<Shared> Get(const Key& key, const Make& make, const Weigh& weigh) {
    if (auto kept = Find(key)) return kept;
    const auto turn = TurnOf(key);
    const std::lock_guard alone(*turn);
    if (auto kept = Find(key)) return kept;
    auto made = make();
    Shared value;
    if (made) value = ToShared(*std::move(made));
    if (value) value = Put(key, value, weigh(*value));
    EndTurn(key);
    if (!made) return Fail(std::move(made).error());
    return value;
  }
  template <typename Make>
  Result<Shared> Get(const Key& key, const Make& make) {
    return Get(key, make, [](const Value&) { return size_t{1}; });
  }

  // It is made anew when it is asked for again.
  void Forget(const Key& key) {
    Order dropped;
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    weight_ -= found->second->weight;
    dropped.splice(dropped.begin(), order_, found->second);
    by_key_.erase(found);
  }

 private:
  struct Kept {
    Key key;
    Shared value;
    size_t weight;
  };
  using Order = std::list<Kept>;
  using Turn = std::shared_ptr<std::mutex>;

  template <typename Made>
  static Shared ToShared(Made&& made) {
    if constexpr (std::is_convertible_v<Made, Shared>) {
      return Shared(std::forward<Made>(made));
    } else {
      return std::make_shared<const Value>(std::forward<Made>(made));
    }
  }
  Turn TurnOf(const Key& key) {
    const std::lock_guard lock(mutex_);
    Turn& turn = turns_[key];
    if (!turn) turn = std::make_shared<std::mutex>();
    return turn;
  }
  void EndTurn(const Key& key) {
    const std::lock_guard lock(mutex_);
    turns_.erase(key);
  }

  const size_t limit_;
  std::mutex mutex_;
  // Guarded by mutex_: the most recently used in front.
  Order order_;
  std::unordered_map<Key, typename Order::iterator> by_key_;
  std::unordered_map<Key, Turn> turns_;  // of what is being made
  size_t weight_ = 0;
};

}  // namespace pgstrata
