#include "backup/image/checksum_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace pgstrata::image {
namespace {

constexpr size_t kStep = 1 << 20;

void HashZeros(codec::Sha256& hash, uint64_t count) {
  static const std::vector<std::byte> kZeros(kStep);
  for (; count > 0; count -= std::min<uint64_t>(count, kStep)) {
    hash.Update(ByteView(kZeros).first(std::min<uint64_t>(count, kStep)));
  }
}

Result<codec::Sha256Digest> HashFile(const Image& image, const FileChecksum& file) {
  PGS_ASSIGN(const auto content, image.Open(file.path));
  if (content->size() != file.size) {
    return Fail(ErrorCode::kCorrupt, '"' + file.path + "\" of \"" + image.name() + "\" changed while it was listed");
  }
  codec::Sha256 hash;
  std::vector<std::byte> buffer(std::min<uint64_t>(file.size, kStep));
  for (uint64_t offset = 0; offset < file.size;) {
    const uint64_t data = content->NextData(offset);
    HashZeros(hash, data - offset);
    const auto piece = MutableBytes(buffer).first(std::min<uint64_t>(buffer.size(), file.size - data));
    PGS_TRY(content->ReadAt(data, piece));
    hash.Update(piece);
    offset = data + piece.size();
  }
  return hash.Finish();
}

Result<std::vector<FileChecksum>> FindFiles(const Image& image, std::string_view directory) {
  std::vector<FileChecksum> files;
  const auto add = [&files](const std::string& path, const Entry& entry) -> Status {
    if (entry.kind == EntryKind::kFile) files.push_back({.path = path, .size = entry.size, .mode = entry.mode});
    return {};
  };
  PGS_ASSIGN(const Entry top, image.Stat(directory));
  if (top.kind == EntryKind::kDirectory) {
    PGS_TRY(Walk(image, directory, add));
  } else {
    PGS_TRY(add(std::string(directory), top));
  }
  std::ranges::sort(files, {}, &FileChecksum::path);
  return files;
}

// Files hashed by several threads, handed out in their order.
class HashedFiles {
 public:
  HashedFiles(const Image& image, const std::vector<FileChecksum>& files, unsigned threads)
      : image_(image), files_(files), results_(files.size()) {
    for (unsigned i = 0; i < std::max(threads, 1U); ++i) threads_.emplace_back([this] { Work(); });
  }
  HashedFiles(const HashedFiles&) = delete;
  HashedFiles& operator=(const HashedFiles&) = delete;
  ~HashedFiles() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }

  Result<codec::Sha256Digest> Wait(size_t index) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return results_[index].has_value(); });
    return *results_[index];
  }

 private:
  void Work() {
    while (!stop_) {
      const size_t index = next_++;
      if (index >= files_.size()) return;
      auto result = HashFile(image_, files_[index]);
      const std::lock_guard lock(mutex_);
      results_[index] = std::move(result);
      done_.notify_one();
    }
  }

  const Image& image_;
  const std::vector<FileChecksum>& files_;
  std::atomic<size_t> next_ = 0;
  std::atomic<bool> stop_ = false;

  std::mutex mutex_;
  std::condition_variable done_;
  // Guarded by mutex_.
  std::vector<std::optional<Result<codec::Sha256Digest>>> results_;

  std::vector<std::thread> threads_;
};

}  // namespace

Status VisitChecksums(const Image& image, std::string_view directory, unsigned threads,
                      const std::function<Status(const FileChecksum&)>& visit) {
  PGS_ASSIGN(const auto files, FindFiles(image, directory));
  HashedFiles hashed(image, files, threads);
  for (size_t index = 0; index < files.size(); ++index) {
    FileChecksum file = files[index];
    PGS_ASSIGN(file.digest, hashed.Wait(index));
    PGS_TRY(visit(file));
  }
  return {};
}

std::string FormatChecksumLine(const FileChecksum& file) {
  return fmt::format("{} {} {:04o} {}", codec::ToHex(file.digest), file.size, file.mode, EscapePath(file.path));
}

std::string EscapePath(std::string_view path) {
  std::string escaped;
  escaped.reserve(path.size());
  for (const char c : path) {
    if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\\') {
      escaped += "\\\\";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace pgstrata::image
