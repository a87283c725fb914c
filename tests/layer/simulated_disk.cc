#include "tests/layer/simulated_disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pgstrata::test {

class SimulatedDisk::File final : public layer::StorageFile {
 public:
  File(SimulatedDisk& disk, InodePtr inode) : disk_(disk), inode_(std::move(inode)) {}

  Result<size_t> ReadAt(uint64_t offset, MutableBytes out) const override {
    const std::scoped_lock lock(disk_.mutex_);
    if (const auto fault = disk_.Count()) return Fail(Failure(Fault::kIo));
    const std::string& content = inode_->content;
    if (offset >= content.size()) return size_t{0};
    const size_t count = std::min<uint64_t>(out.size(), content.size() - offset);
    std::memcpy(out.data(), content.data() + offset, count);
    return count;
  }
  Status WriteAt(uint64_t offset, ByteView bytes) override {
    const std::scoped_lock lock(disk_.mutex_);
    const auto fault = disk_.Count();
    if (fault == Fault::kShortWrite) Put(offset, bytes.first(bytes.size() / 2 / kSector * kSector));
    if (fault) return Fail(Failure(*fault));
    Put(offset, bytes);
    return {};
  }
  Status Truncate(uint64_t size) override {
    const std::scoped_lock lock(disk_.mutex_);
    if (const auto fault = disk_.Count()) return Fail(Failure(*fault));
    const uint64_t before = inode_->content.size();
    inode_->content.resize(size, '\0');
    NotePages(*inode_, std::min(before, size), std::max(before, size));
    return {};
  }
  Status PunchHole(uint64_t offset, uint64_t length) override {
    const std::scoped_lock lock(disk_.mutex_);
    if (const auto fault = disk_.Count()) return Fail(Failure(*fault));
    std::string& content = inode_->content;
    if (offset >= content.size()) return {};
    length = std::min<uint64_t>(length, content.size() - offset);
    std::memset(content.data() + offset, 0, length);
    NotePages(*inode_, offset, offset + length);
    return {};
  }
  Status Allocate(uint64_t, uint64_t) override {
    const std::scoped_lock lock(disk_.mutex_);
    if (const auto fault = disk_.Count()) return Fail(Failure(*fault));
    return {};
  }
  Status CopyFrom(const StorageFile& from, uint64_t offset, uint64_t length) override {
    const std::scoped_lock lock(disk_.mutex_);
    const auto fault = disk_.Count();
    const std::string& content = static_cast<const File&>(from).inode_->content;
    if (offset + length > content.size()) return Fail(ErrorCode::kCorrupt, "the file ends before");
    const ByteView bytes = AsBytes(content).subspan(offset, length);
    if (fault == Fault::kShortWrite) Put(offset, bytes.first(bytes.size() / 2 / kSector * kSector));
    if (fault) return Fail(Failure(*fault));
    Put(offset, bytes);
    return {};
  }
  Status DataSync() override {
    const std::scoped_lock lock(disk_.mutex_);
    const auto fault = disk_.Count();
    Inode& inode = *inode_;
    if (!fault) {
      inode.durable.resize(inode.content.size(), '\0');
      for (const auto& [page, versions] : inode.unsynced_pages) {
        const uint64_t begin = page * kPage;
        if (begin >= inode.content.size()) continue;
        const uint64_t count = std::min(kPage, inode.content.size() - begin);
        std::memcpy(inode.durable.data() + begin, inode.content.data() + begin, count);
      }
    }
    if (fault) {
      disk_.LosePages(inode);
      if (inode.is_data) disk_.lost_data_ = true;
    } else {
      inode.unsynced_sizes.clear();
    }
    inode.unsynced_pages.clear();
    if (fault) return Fail(Failure(Fault::kIo));
    return {};
  }
  [[nodiscard]] Result<uint64_t> Size() const override {
    const std::scoped_lock lock(disk_.mutex_);
    return inode_->content.size();
  }

 private:
  void Put(uint64_t offset, ByteView bytes) {
    if (bytes.empty()) return;
    const uint64_t end = offset + bytes.size();
    const uint64_t begin = std::min<uint64_t>(offset, inode_->content.size());
    if (inode_->content.size() < end) inode_->content.resize(end, '\0');
    std::memcpy(inode_->content.data() + offset, bytes.data(), bytes.size());
    NotePages(*inode_, begin, end);
  }

  SimulatedDisk& disk_;
  const InodePtr inode_;
};

std::optional<SimulatedDisk::Fault> SimulatedDisk::Count() {
  if (suspended_) return std::nullopt;
  ++operations_;
  if (fail_at_ == 0 || (fail_forever_ ? operations_ < fail_at_ : operations_ != fail_at_)) return std::nullopt;
  failed_ = true;
  return fault_;
}

Error SimulatedDisk::Failure(Fault fault) {
  return Error::FromErrno(fault == Fault::kIo ? EIO : ENOSPC, "this operation fails");
}

void SimulatedDisk::FailAt(uint64_t number, Fault fault, bool forever) {
  const std::scoped_lock lock(mutex_);
  operations_ = 0;
  fail_at_ = number;
  fault_ = fault;
  fail_forever_ = forever;
  failed_ = lost_data_ = false;
}

void SimulatedDisk::StopFailing() {
  const std::scoped_lock lock(mutex_);
  fail_at_ = 0;
}

void SimulatedDisk::NotePages(Inode& inode, uint64_t begin, uint64_t end) {
  for (uint64_t page = begin / kPage; page * kPage < end; ++page) {
    std::string version = page * kPage < inode.content.size() ? inode.content.substr(page * kPage, kPage) : "";
    version.resize(kPage, '\0');
    inode.unsynced_pages[page].push_back(std::move(version));
  }
  inode.unsynced_sizes.push_back(inode.content.size());
}

void SimulatedDisk::LosePages(Inode& inode) {
  const uint64_t size = inode.content.size();
  std::string kept = inode.durable;
  kept.resize(std::max<uint64_t>(size, kept.size()), '\0');
  for (const auto& [page, versions] : inode.unsynced_pages) {
    const uint64_t begin = page * kPage;
    if (begin >= size || Below(2) == 0) continue;
    const uint64_t count = std::min(kPage, size - begin);
    kept.replace(begin, count, inode.content, begin, count);
    if (inode.durable.size() < begin + count) inode.durable.resize(begin + count, '\0');
    inode.durable.replace(begin, count, inode.content, begin, count);
  }
  inode.content = kept.substr(0, size);
}

void SimulatedDisk::CutInode(Inode& inode) {
  uint64_t size = inode.durable.size();
  if (!inode.unsynced_sizes.empty() && Below(2) == 0) size = inode.unsynced_sizes[Below(inode.unsynced_sizes.size())];
  if (!inode.unsynced_sizes.empty() && Below(3) == 0) size = inode.content.size();
  inode.durable.resize(size, '\0');
  const uint64_t keep = Below(4);  // so many of three pages, so that now and then all or none survive
  for (const auto& [page, versions] : inode.unsynced_pages) {
    const uint64_t begin = page * kPage;
    if (begin >= size || Below(3) >= keep) continue;
    const std::string& version = Below(2) == 0 ? versions.back() : versions[Below(versions.size())];
    inode.durable.replace(begin, std::min(kPage, size - begin), version, 0, std::min(kPage, size - begin));
  }
  inode.content = inode.durable;
  inode.unsynced_pages.clear();
  inode.unsynced_sizes.clear();
}

void SimulatedDisk::Cut() {
  const std::scoped_lock lock(mutex_);
  std::set<InodePtr> inodes;
  for (auto& [path, directory] : directories_) {
    const uint64_t keep = Below(4);
    if (Below(2) == 0) std::ranges::shuffle(directory.unsynced, random_);
    for (const NameChange& change : directory.unsynced) {
      if (Below(3) >= keep) continue;
      if (!change.removed.empty()) directory.durable.erase(change.removed);
      if (!change.added.empty()) directory.durable[change.added] = change.inode;
    }
    directory.unsynced.clear();
    directory.names = directory.durable;
    for (const auto& [name, inode] : directory.names) inodes.insert(inode);
  }
  for (const InodePtr& inode : inodes) CutInode(*inode);
}

std::pair<std::string, std::string> SimulatedDisk::Split(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return {path.substr(0, slash), path.substr(slash + 1)};
}

Result<std::shared_ptr<layer::StorageFile>> SimulatedDisk::Open(const std::string& path, layer::OpenMode mode) {
  const std::scoped_lock lock(mutex_);
  if (const auto fault = Count()) return Fail(Failure(*fault));
  const auto [parent, name] = Split(path);
  const auto directory = directories_.find(parent);
  if (directory == directories_.end()) return Fail(Error::FromErrno(ENOENT, "no directory " + parent));
  auto found = directory->second.names.find(name);
  if (found == directory->second.names.end()) {
    if (mode != layer::OpenMode::kCreate) return Fail(Error::FromErrno(ENOENT, "no file " + path));
    found = directory->second.names.emplace(name, std::make_shared<Inode>()).first;
    found->second->is_data = parent.ends_with("/blobs");
    directory->second.unsynced.push_back({.added = name, .inode = found->second});
  }
  return std::make_shared<File>(*this, found->second);
}

Status SimulatedDisk::MakeDirectories(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    directories_[path.substr(0, end)];
    if (end == std::string::npos) break;
  }
  return {};
}

Result<std::vector<std::string>> SimulatedDisk::List(const std::string& directory) {
  const std::scoped_lock lock(mutex_);
  if (const auto fault = Count()) return Fail(Failure(Fault::kIo));
  std::vector<std::string> names;
  for (const auto& [name, inode] : directories_[directory].names) names.push_back(name);
  for (const auto& [path, other] : directories_) {
    if (const auto [parent, name] = Split(path); parent == directory && path != directory) names.push_back(name);
  }
  return names;
}

Status SimulatedDisk::Rename(const std::string& from, const std::string& to) {
  const std::scoped_lock lock(mutex_);
  if (const auto fault = Count()) return Fail(Failure(*fault));
  const auto [parent, name] = Split(from);
  const std::string new_name = Split(to).second;  // of the same directory
  Directory& directory = directories_[parent];
  const auto found = directory.names.find(name);
  if (found == directory.names.end()) return Fail(Error::FromErrno(ENOENT, "no file " + from));
  const InodePtr inode = found->second;
  directory.names.erase(found);
  directory.names[new_name] = inode;
  directory.unsynced.push_back({.removed = name, .added = new_name, .inode = inode});
  return {};
}

Status SimulatedDisk::Link(const std::string& from, const std::string& to) {
  const std::scoped_lock lock(mutex_);
  if (const auto fault = Count()) return Fail(Failure(*fault));
  const auto [parent, name] = Split(from);
  const auto found = directories_[parent].names.find(name);
  if (found == directories_[parent].names.end()) return Fail(Error::FromErrno(ENOENT, "no file " + from));
  const InodePtr inode = found->second;
  const auto [new_parent, new_name] = Split(to);
  Directory& directory = directories_[new_parent];
  if (!directory.names.emplace(new_name, inode).second) return Fail(Error::FromErrno(EEXIST, "a file " + to));
  directory.unsynced.push_back({.added = new_name, .inode = inode});
  return {};
}

Status SimulatedDisk::Remove(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  if (const auto fault = Count()) return Fail(Failure(Fault::kIo));
  const auto [parent, name] = Split(path);
  Directory& directory = directories_[parent];
  if (directory.names.erase(name) != 0) directory.unsynced.push_back({.removed = name});
  return {};
}

Status SimulatedDisk::SyncDirectory(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  if (const auto fault = Count()) return Fail(Failure(Fault::kIo));
  Directory& directory = directories_[path];
  directory.durable = directory.names;
  directory.unsynced.clear();
  return {};
}

Result<io::DiskSpace> SimulatedDisk::Space(const std::string&) {
  return io::DiskSpace{.total_bytes = uint64_t{1} << 40, .available_bytes = uint64_t{1} << 40};
}

Result<io::FileLock> SimulatedDisk::Lock(const std::string& path) {
  std::string name = path;
  std::ranges::replace(name, '/', '_');
  return io::FileLock::TryAcquire(locks_.path() + '/' + name);
}

std::string SimulatedDisk::Content(const std::string& path) {
  const std::scoped_lock lock(mutex_);
  const auto [parent, name] = Split(path);
  return directories_.at(parent).names.at(name)->content;
}

void SimulatedDisk::Load(const Snapshot& snapshot) {
  const std::scoped_lock lock(mutex_);
  directories_.clear();
  for (const auto& [path, files] : snapshot) {
    Directory& directory = directories_[path];
    for (const auto& [name, content] : files) {
      directory.names[name] = std::make_shared<Inode>(Inode{.content = content, .durable = content});
    }
    directory.durable = directory.names;
  }
}

SimulatedDisk::Snapshot SimulatedDisk::Save() {
  const std::scoped_lock lock(mutex_);
  Snapshot snapshot;
  for (const auto& [path, directory] : directories_) {
    snapshot[path];
    for (const auto& [name, inode] : directory.names) snapshot[path][name] = inode->content;
  }
  return snapshot;
}

void SimulatedDisk::SetContent(const std::string& path, const std::string& content) {
  const std::scoped_lock lock(mutex_);
  const auto [parent, name] = Split(path);
  Inode& inode = *directories_.at(parent).names.at(name);
  inode.content = inode.durable = content;
}

}  // namespace pgstrata::test
