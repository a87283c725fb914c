#include "volume/layer/layer_log.h"

namespace pgstrata::layer {
namespace {

// Room on disk is taken ahead, so that a removal can be recorded, and give space back, on a disk that is full.
constexpr uint64_t kReserve = 256 << 10;

}  // namespace

uint64_t LayerLog::Append(const Record& record) {
  const std::scoped_lock lock(mutex_);
  const size_t before = fresh_.size();
  AppendFrame(fresh_, header_, end_, record);
  end_ += fresh_.size() - before;
  return end_;
}

Status LayerLog::Write(uint64_t from, ByteView bytes) {
  const uint64_t end = from + bytes.size();
  if (end + kReserve / 2 > allocated_) {
    if (file_->Allocate(from, bytes.size() + kReserve)) allocated_ = end + kReserve;
  }
  PGS_TRY(file_->WriteAt(from, bytes));
  return file_->DataSync();
}

Status LayerLog::SyncTo(uint64_t position) {
  std::unique_lock lock(mutex_);
  while (durable_ < position) {
    if (syncing_) {
      synced_.wait(lock);
      continue;
    }
    syncing_ = true;
    writing_ += fresh_;
    fresh_.clear();
    const uint64_t from = durable_;
    lock.unlock();
    const Status written = Write(from, AsBytes(writing_));
    lock.lock();
    syncing_ = false;
    if (written) {
      durable_ = from + writing_.size();
      writing_.clear();
    }
    synced_.notify_all();
    if (!written) return written;
  }
  return {};
}

bool LayerLog::IsDurable(uint64_t position) const {
  const std::scoped_lock lock(mutex_);
  return durable_ >= position;
}

uint64_t LayerLog::end() const {
  const std::scoped_lock lock(mutex_);
  return end_;
}

uint64_t LayerLog::waiting() const {
  const std::scoped_lock lock(mutex_);
  return end_ - durable_;
}

Status LayerLog::SetMark(Mark mark) {
  header_.clean = true;
  header_.sealed = mark == Mark::kSealed;
  PGS_TRY(file_->WriteAt(0, AsBytes(EncodeLogHeader(header_))));
  return file_->DataSync();
}

}  // namespace pgstrata::layer
