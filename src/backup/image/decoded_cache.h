// The decoded content of files that are stored as one compressed or encrypted stream, which has no random access. Such
// a file is decoded once, when it is first read, into a directory that every process of its user may share; what was
// decoded is read from there, also by those who open the same content later.
//
// What is always true:
//   - a file of the directory that has its final name is whole: it gets that name when all of it is decoded, found
//     right and synced. A crash leaves at most a file with a name of its own kind (.part), which nobody takes for
//     content and which the next who uses the directory removes;
//   - two processes that decode the same content do so beside each other, each in a file of its own. The first that is
//     ready gives it to all who come later;
//   - the files together are no larger than the limit, or than the one file that is being decoded. Those that were not
//     used for the longest time go first, and are decoded again when they are read again;
//   - nobody decodes further than a reader asks: there are no threads here, the reader that needs more decodes it. What
//     the decoder has passed is read meanwhile without waiting for it.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "backup/image/first_touch.h"
#include "backup/image/image.h"
#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/codec/byte_source.h"

namespace pgstrata::image {

struct DecodedContent {
  std::string key;               // names the decoded bytes: whoever has the same key has the same content
  std::string name;              // for messages: "base/5/16384 of backup ..."
  std::optional<uint64_t> size;  // of all of it, where that is known before
  uint64_t stored_size = 0;      // of what it is decoded from
  // Begins to decode, from the first byte. At its end the source fails where what it gave was not right. Called by one
  // thread at a time, and again where the content was dropped.
  std::function<Result<std::unique_ptr<codec::ByteSource>>()> open;
};

// Safe from several threads at once, and of use in the child after a fork.
class DecodedCache {
 public:
  static constexpr uint64_t kDefaultLimit = 10ULL << 30;

  // Nothing is read or made before the first call. `directory` is made where it is missing, for its user alone: what
  // was encrypted lies in it in plain text.
  explicit DecodedCache(std::string directory, uint64_t limit = kDefaultLimit);
  ~DecodedCache();
  DecodedCache(const DecodedCache&) = delete;
  DecodedCache& operator=(const DecodedCache&) = delete;

  // As ImageFile::ReadAt. Decodes as far as the end of `out`; kCorrupt where the content is not `size` bytes long or
  // the source says so (and from then on at once), kNoSpace where the directory's file system is full.
  Status ReadAt(const DecodedContent& content, uint64_t offset, MutableBytes out);
  // What was decoded of content that failed as kCorrupt, before it failed: for a caller who can tell by other means
  // whether it is right. kCorrupt behind that.
  Status ReadDamaged(const DecodedContent& content, uint64_t offset, MutableBytes out);
  // The size of the content: decodes all of it where that is not known otherwise.
  Result<uint64_t> SizeOf(const DecodedContent& content);
  // Whether it is here whole: then reading it decodes nothing.
  [[nodiscard]] bool Holds(std::string_view key) const;

  // Who is told of all decoding from now on; nobody, where it is empty.
  void Observe(DecodeObserver observer);

  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  class Entry;

  std::shared_ptr<Entry> Find(std::string_view key);  // under mutex_
  Result<std::shared_ptr<Entry>> Enter(const DecodedContent& content);
  Result<std::shared_ptr<Entry>> MakeEntry(const DecodedContent& content);
  Status Prepare();  // under mutex_
  void Forget(const std::shared_ptr<Entry>& entry);
  Status DecodeTo(const std::shared_ptr<Entry>& entry, const DecodedContent& content, uint64_t end);

  const std::string directory_;
  const uint64_t limit_;

  mutable std::mutex mutex_;
  // Guarded by mutex_: what was used last, the last first.
  std::list<std::shared_ptr<Entry>> entries_;
  bool prepared_ = false;
  DecodeObserver observer_;
};

// A file of an image whose content is decoded. `content.size` is given.
std::unique_ptr<ImageFile> MakeDecodedFile(std::shared_ptr<DecodedCache> cache, DecodedContent content);

}  // namespace pgstrata::image
