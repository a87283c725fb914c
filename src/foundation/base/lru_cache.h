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
    const Turn alone(*this, key);
    if (auto kept = Find(key)) return kept;
    auto made = make();
    if (!made) return Fail(std::move(made).error());
    Shared value = ToShared(*std::move(made));
    return value ? Put(key, value, weigh(*value)) : value;
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
  // Those who want to make the value of one key.
  struct Queue {
    std::mutex mutex;   // held by the one whose turn it is
    size_t length = 0;  // guarded by the cache's mutex_
  };

  // Waits in the queue of `key`. The turn lasts as long as this lives.
  class Turn {
   public:
    Turn(LruCache& cache, const Key& key) : cache_(cache), key_(key), queue_(cache.Enter(key)), lock_(queue_->mutex) {}
    ~Turn() { cache_.Leave(key_); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    LruCache& cache_;
    const Key& key_;
    const std::shared_ptr<Queue> queue_;
    const std::lock_guard<std::mutex> lock_;
  };

  template <typename Made>
  static Shared ToShared(Made&& made) {
    if constexpr (std::is_convertible_v<Made, Shared>) {
      return Shared(std::forward<Made>(made));
    } else {
      return std::make_shared<const Value>(std::forward<Made>(made));
    }
  }
  std::shared_ptr<Queue> Enter(const Key& key) {
    const std::lock_guard lock(mutex_);
    auto& queue = queues_[key];
    if (!queue) queue = std::make_shared<Queue>();
    ++queue->length;
    return queue;
  }
  void Leave(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto queue = queues_.find(key);
    if (--queue->second->length == 0) queues_.erase(queue);
  }

  const size_t limit_;
  std::mutex mutex_;
  // Guarded by mutex_: the most recently used in front.
  Order order_;
  std::unordered_map<Key, typename Order::iterator> by_key_;
  std::unordered_map<Key, std::shared_ptr<Queue>> queues_;  // of what is being made
  size_t weight_ = 0;
};

}  // namespace pgstrata
