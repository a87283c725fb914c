#include "foundation/io/sync_batch.h"

#include <utility>

#include "foundation/base/parallel.h"
#include "foundation/io/directory.h"

namespace pgstrata::io {
namespace {

constexpr size_t kMostWaiting = 64;
constexpr unsigned kThreads = 12;

}  // namespace

Status SyncBatch::Add(File file) {
  return Add([file = std::move(file)]() mutable { return file.DataSync(); });
}

Status SyncBatch::AddFile(const std::string& path, std::string_view content) {
  PGS_ASSIGN(File file, File::Open(path, O_WRONLY | O_CREAT | O_TRUNC));
  PGS_TRY(file.WriteAt(0, AsBytes(content)));
  return Add(std::move(file));
}

Status SyncBatch::Add(std::move_only_function<Status()> sync) {
  Syncs syncs;
  {
    const std::scoped_lock lock(mutex_);
    syncs_.push_back(std::move(sync));
    if (syncs_.size() < kMostWaiting) return {};
    syncs = std::exchange(syncs_, {});
  }
  return RunBeside(std::move(syncs));
}

void SyncBatch::AddDirectory(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  directories_.insert(path);
}

Status SyncBatch::Run() {
  Syncs syncs;
  {
    const std::scoped_lock lock(mutex_);
    syncs = std::exchange(syncs_, {});
    for (auto& path : std::exchange(directories_, {})) syncs.emplace_back([path] { return SyncDirectory(path); });
  }
  return RunBeside(std::move(syncs));
}

Status SyncBatch::RunBeside(Syncs syncs) {
  std::mutex failing;
  Status result;
  ForEachInParallel(syncs.size(), kThreads, [&](size_t i) {
    auto status = syncs[i]();
    const std::scoped_lock lock(failing);
    if (!status && result) result = std::move(status);
  });
  return result;
}

}  // namespace pgstrata::io
