#include "backup/image/decoded_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <utility>
#include <vector>

#include "backup/image/decoded_cache_directory.h"
#include "foundation/base/log.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::image {
namespace {

constexpr size_t kMostEntries = 64;        // descriptors
constexpr size_t kDecodeStep = 256 << 10;  // what is decoded before readers are told

using Clock = std::chrono::steady_clock;
constexpr auto kMarkEvery = std::chrono::seconds(30);

std::unexpected<Error> EndsEarly(const DecodedContent& content, uint64_t size) {
  return Fail(ErrorCode::kCorrupt, content.name + " ends at byte " + std::to_string(size) + " of what it decodes to");
}

Error Named(Error error, const DecodedContent& content) { return std::move(error).Wrap(content.name); }

}  // namespace

// One content: a whole file of the directory, or one that is being decoded.
class DecodedCache::Entry {
 public:
  // Whole.
  Entry(std::string key, io::File file, uint64_t size)
      : key_(std::move(key)), file_(std::move(file)), readable_(size), whole_(true) {}
  // Nothing of it yet; `whole_path` is the name that it gets.
  Entry(std::string key, io::File part, std::string whole_path)
      : key_(std::move(key)), file_(std::move(part)), whole_path_(std::move(whole_path)), maker_(::getpid()) {}
  ~Entry() {
    // A child that was forked meanwhile may go on with it.
    if (!whole_path_.empty() && !published_ && ::getpid() == maker_) static_cast<void>(io::RemoveFile(file_.path()));
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  [[nodiscard]] const std::string& key() const { return key_; }
  // False where it was removed from the directory, or cannot be used any more.
  [[nodiscard]] bool IsUsable() const {
    if (!whole_) return true;
    const auto status = file_.Stat();
    return status && status->st_nlink > 0;
  }
  void MarkUsedNow() {
    if (!whole_) return;
    const auto now = Clock::now().time_since_epoch().count();
    auto before = marked_.load();
    if (now - before < Clock::duration(kMarkEvery).count() || !marked_.compare_exchange_strong(before, now)) return;
    MarkUsed(file_);
  }

  // Readable up to `end`, or whole where that is before.
  Status DecodeTo(const DecodedContent& content, uint64_t end, const DecodeObserver& observer,
                  const std::function<void()>& before_publishing) {
    if (whole_ || (!is_bad_ && end <= readable_.load(std::memory_order_acquire))) return {};
    std::unique_lock lock(mutex_);
    while (!whole_) {
      if (failure_) return Fail(*failure_);
      if (readable_.load(std::memory_order_relaxed) >= end) return {};
      if (is_decoding_) {
        progressed_.wait(lock);
        continue;
      }
      is_decoding_ = true;
      lock.unlock();
      const Status decoded = Decode(content, end, observer);
      const bool is_ready = decoded && ended_;
      lock.lock();
      is_decoding_ = false;
      if (!decoded) {
        failure_ = decoded.error();
        is_bad_ = true;
      }
      if (is_ready) whole_ = true;
      progressed_.notify_all();
      lock.unlock();
      if (is_ready) Publish(before_publishing);
      lock.lock();
    }
    return {};
  }

  Status Read(const DecodedContent& content, uint64_t offset, MutableBytes out) const {
    const uint64_t readable = readable_.load(std::memory_order_acquire);
    if (offset > readable || readable - offset < out.size()) return EndsEarly(content, readable);
    PGS_ASSIGN(const size_t count, file_.ReadAt(offset, out));
    if (count == out.size()) return {};
    return Fail(ErrorCode::kIo, Quoted(file_.path()) + ", the decoded " + content.name + ", was cut short");
  }
  [[nodiscard]] uint64_t readable() const { return readable_.load(std::memory_order_acquire); }

 private:
  // Only one thread is here: the one that set is_decoding_.
  Status Decode(const DecodedContent& content, uint64_t end, const DecodeObserver& observer) {
    const auto tell = [&](uint64_t done) -> Status {
      const DecodeStep step{.name = content.name, .stored_bytes = content.stored_size, .done = done};
      return !observer || observer(step)
                 ? Status()
                 : Fail(ErrorCode::kCancelled, "the decoding of " + content.name + " was stopped");
    };
    if (!source_) {
      PGS_TRY(tell(0));
      PGS_ASSIGN(source_, content.open());
    }
    std::vector<std::byte> step(kDecodeStep);
    uint64_t position = readable_.load(std::memory_order_relaxed);
    // Of content whose size is known the end is looked for together with the last byte: only there it is found right.
    const auto is_done = [&] { return ended_ || (position >= end && position != content.size); };
    while (!is_done()) {
      auto count = source_->Read(step);
      if (!count) return Fail(Named(std::move(count).error(), content));
      PGS_TRY(file_.WriteAt(position, ByteView(step).first(*count)));
      position += *count;
      ended_ = *count < step.size();
      if (content.size && (position > *content.size || (ended_ && position < *content.size))) {
        return Fail(ErrorCode::kCorrupt, content.name + " decodes to " + (ended_ ? "" : "at least ") +
                                             std::to_string(position) + " bytes instead of " +
                                             std::to_string(*content.size));
      }
      // The last bytes count when the source has said that all was right.
      if (position == content.size && !ended_) continue;
      {
        const std::lock_guard lock(mutex_);
        readable_.store(position, std::memory_order_release);
      }
      progressed_.notify_all();
      PGS_TRY(tell(position));
    }
    if (ended_) source_.reset();
    return {};
  }

  // What cannot be kept for others is still read here.
  void Publish(const std::function<void()>& before_publishing) {
    before_publishing();
    auto done = file_.DataSync();
    if (done) done = io::Rename(file_.path(), whole_path_);
    if (done || io::Exists(whole_path_)) {  // a child or parent with the same file was faster
      published_ = true;
    } else {
      log::Warning("{}", Error(done.error()).Wrap("decoded content is not kept").message());
    }
  }

  const std::string key_;
  io::File file_;
  const std::string whole_path_;
  const pid_t maker_ = 0;
  std::atomic<uint64_t> readable_ = 0;  // bytes of file_ that are content
  std::atomic<bool> whole_ = false;
  std::atomic<bool> is_bad_ = false;  // failure_ is there
  std::atomic<bool> published_ = false;
  std::atomic<int64_t> marked_ = 0;

  std::mutex mutex_;
  std::condition_variable progressed_;
  // Guarded by mutex_.
  bool is_decoding_ = false;
  std::optional<Error> failure_;
  // Of the thread that set is_decoding_.
  std::unique_ptr<codec::ByteSource> source_;
  bool ended_ = false;
};

DecodedCache::DecodedCache(std::string directory, uint64_t limit) : directory_(std::move(directory)), limit_(limit) {}

DecodedCache::~DecodedCache() = default;

Status DecodedCache::Prepare() {
  if (prepared_) return {};
  constexpr mode_t kEnteredByAll = 0755;  // what lies above is not ours alone
  PGS_TRY(io::MakeDirectories(std::string(SplitLast(directory_).first), kEnteredByAll));
  PGS_TRY(io::MakeDirectories(directory_));
  PGS_TRY(RemoveDeadParts(directory_));
  prepared_ = true;
  return {};
}

Result<std::shared_ptr<DecodedCache::Entry>> DecodedCache::MakeEntry(const DecodedContent& content) {
  const std::string name = CacheFileName(content.key);
  const std::string path = JoinPath(directory_, name);
  auto whole = io::File::Open(path, O_RDWR);
  if (whole) {
    PGS_ASSIGN(const struct stat status, whole->Stat());
    const auto size = static_cast<uint64_t>(status.st_size);
    if (!content.size || *content.size == size) {
      return std::make_shared<Entry>(content.key, *std::move(whole), size);
    }
    PGS_TRY(io::RemoveFile(path));  // somebody wrote to it
  } else if (whole.error().code() != ErrorCode::kNotFound) {
    return Fail(std::move(whole).error());
  }
  PGS_TRY(MakeRoomInCache(directory_, limit_, content.size.value_or(0), name));
  PGS_ASSIGN(auto part, MakePartFile(directory_, name));
  return std::make_shared<Entry>(content.key, std::move(part), path);
}

std::shared_ptr<DecodedCache::Entry> DecodedCache::Find(std::string_view key) {
  const auto found = std::ranges::find(entries_, key, [](const auto& entry) { return entry->key(); });
  if (found == entries_.end()) return nullptr;
  if (!(*found)->IsUsable()) {
    entries_.erase(found);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, found);
  return entries_.front();
}

Result<std::shared_ptr<DecodedCache::Entry>> DecodedCache::Enter(const DecodedContent& content) {
  std::shared_ptr<Entry> entry;
  {
    const std::lock_guard lock(mutex_);
    entry = Find(content.key);
    if (!entry) PGS_TRY(Prepare());
  }
  if (!entry) {
    PGS_ASSIGN(auto made, MakeEntry(content));
    const std::lock_guard lock(mutex_);
    entry = Find(content.key);  // another thread may have been faster
    if (!entry) {
      entry = std::move(made);
      entries_.push_front(entry);
      if (entries_.size() > kMostEntries) entries_.pop_back();
    }
  }
  entry->MarkUsedNow();
  return entry;
}

void DecodedCache::Forget(const std::shared_ptr<Entry>& entry) {
  const std::lock_guard lock(mutex_);
  std::erase(entries_, entry);
}

Status DecodedCache::ReadAt(const DecodedContent& content, uint64_t offset, MutableBytes out) {
  if (out.empty()) return {};
  PGS_ASSIGN(const auto entry, Enter(content));
  PGS_TRY(DecodeTo(entry, content, offset + out.size()));
  return entry->Read(content, offset, out);
}

void DecodedCache::Observe(DecodeObserver observer) {
  const std::lock_guard lock(mutex_);
  observer_ = std::move(observer);
}

Status DecodedCache::DecodeTo(const std::shared_ptr<Entry>& entry, const DecodedContent& content, uint64_t end) {
  DecodeObserver observer;
  {
    const std::lock_guard lock(mutex_);
    observer = observer_;
  }
  const auto decoded = entry->DecodeTo(content, end, observer, [&] {
    static_cast<void>(MakeRoomInCache(directory_, limit_, 0, CacheFileName(content.key)));
  });
  if (decoded) return {};
  // Damage stays; what else went wrong may be mended.
  if (decoded.error().code() != ErrorCode::kCorrupt) Forget(entry);
  if (decoded.error().code() != ErrorCode::kNoSpace) return decoded;
  return Fail(Error(decoded.error())
                  .WithHint("decoded files are kept in " + Quoted(directory_) +
                            ": make room there, or set "
                            "PGSTRATA_HOME to a directory elsewhere"));
}

Status DecodedCache::ReadDamaged(const DecodedContent& content, uint64_t offset, MutableBytes out) {
  PGS_ASSIGN(const auto entry, Enter(content));
  return entry->Read(content, offset, out);
}

Result<uint64_t> DecodedCache::SizeOf(const DecodedContent& content) {
  if (content.size) return *content.size;
  PGS_ASSIGN(const auto entry, Enter(content));
  PGS_TRY(DecodeTo(entry, content, UINT64_MAX));
  return entry->readable();
}

bool DecodedCache::Holds(std::string_view key) const { return io::Exists(JoinPath(directory_, CacheFileName(key))); }

namespace {

class DecodedFile final : public ImageFile {
 public:
  DecodedFile(std::shared_ptr<DecodedCache> cache, DecodedContent content)
      : cache_(std::move(cache)), content_(std::move(content)) {}

  [[nodiscard]] uint64_t size() const override { return content_.size.value_or(0); }
  Status ReadAt(uint64_t offset, MutableBytes out) const override { return cache_->ReadAt(content_, offset, out); }

 private:
  const std::shared_ptr<DecodedCache> cache_;
  const DecodedContent content_;
};

}  // namespace

std::unique_ptr<ImageFile> MakeDecodedFile(std::shared_ptr<DecodedCache> cache, DecodedContent content) {
  return std::make_unique<DecodedFile>(std::move(cache), std::move(content));
}

}  // namespace pgstrata::image
