// Random operations on a durable volume with syncs, freezes, restarts and power cuts, against a model of what may be
// there afterwards:
//   - names are those of one moment, at or after the last sync of names;
//   - a file's length is one that it had since it was last synced, and so is every 4 KiB block of it; a block behind
//     the synced length may be zeros.
// Operations of the disk may fail meanwhile: what a failed write leaves is then old or new, byte for byte, and a file
// whose sync failed (*broken*) is looked at again after a restart only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>

#include "tests/layer/simulated_disk.h"
#include "tests/layer/volume_fixture.h"
#include "tests/vfs/conformance/suite.h"
#include "volume/layer/layer_merge.h"

namespace pgstrata::layer {

struct CrashModelFile {
  static constexpr uint64_t kBlock = 4096;
  std::string content;
  bool broken = false;
  uint64_t synced_size = 0;
  std::set<uint64_t> sizes;                          // since the last sync, it included
  std::map<uint64_t, std::set<std::string>> blocks;  // every content since the last sync, it included

  // Call it around every change: what was there counts too.
  void Note(uint64_t begin, uint64_t end) {
    sizes.insert(content.size());
    for (uint64_t block = begin / kBlock; block * kBlock < end; ++block) blocks[block].insert(Block(content, block));
  }
  void Synced() {
    synced_size = content.size();
    sizes = {content.size()};
    blocks.clear();
  }
  static std::string Block(const std::string& content, uint64_t block) {
    std::string bytes = block * kBlock < content.size() ? content.substr(block * kBlock, kBlock) : "";
    bytes.resize(kBlock, '\0');
    return bytes;
  }
  [[nodiscard]] bool MayBe(const std::string& seen) const {
    if (!sizes.contains(seen.size())) return false;
    for (uint64_t block = 0; block * kBlock < seen.size(); ++block) {
      const std::string bytes = seen.substr(block * kBlock, kBlock);
      const auto same = [&](const std::string& version) { return version.compare(0, bytes.size(), bytes) == 0; };
      const auto versions = blocks.find(block);
      if (same(Block(content, block))) continue;
      if (versions != blocks.end() && std::ranges::any_of(versions->second, same)) continue;
      // A length may be there before the block is; what was not synced of a block is then zeros.
      const bool zeros = bytes.find_first_not_of('\0') == bytes.npos;
      if (zeros && (block + 1) * kBlock > synced_size) continue;
      if (MayBeWithOldTail(block, bytes)) continue;
      return false;
    }
    return true;
  }
  // A truncation within the block may be undone while what was changed in front of it stays.
  [[nodiscard]] bool MayBeWithOldTail(uint64_t block, const std::string& bytes) const {
    const auto versions = blocks.find(block);
    if (versions == blocks.end()) return false;
    return std::ranges::any_of(sizes, [&](uint64_t size) {
      if (size <= block * kBlock || size >= block * kBlock + bytes.size()) return false;
      const size_t cut = size - block * kBlock;
      const auto is_front = [&](const std::string& version) { return version.compare(0, cut, bytes, 0, cut) == 0; };
      const auto is_tail = [&](const std::string& version) {
        return version.compare(cut, bytes.size() - cut, bytes, cut, bytes.npos) == 0;
      };
      const bool front = is_front(Block(content, block)) || std::ranges::any_of(versions->second, is_front);
      return front && std::ranges::any_of(versions->second, is_tail);
    });
  }
};

class CrashModel {
  static constexpr uint64_t kBlock = CrashModelFile::kBlock;
  static constexpr uint64_t kMaxSize = 12 * kBlock;
  static constexpr vfs::Owner kOwner{1000, 1001};
  using ModelFile = CrashModelFile;
  using ModelFilePtr = std::shared_ptr<ModelFile>;
  // By path; a directory has no file.
  using Names = std::map<std::string, ModelFilePtr>;

 public:
  explicit CrashModel(uint64_t seed) : random_(seed), disk_(seed ^ 0x5EED) {
    std::map<std::string, std::string> tree{{"d0/", ""}};
    names_["d0"] = nullptr;
    for (const char* path : {"f0", "f1", "f2", "d0/f0", "d0/f1"}) {
      const std::string content = Content(Below(kMaxSize));
      tree[path] = content;
      AddToModel(path, content);
    }
    image_ = ImageOf(tree);
    NamesSynced();
    layers_.push_back(NewLayer());
    Open();
  }

  // False when volume and model disagree.
  bool Step() {
    const uint64_t choice = Below(64);
    if (choice < 4) return Create();
    if (choice < 8) return Unlink();
    if (choice < 14) return Rename();
    if (choice < 16) return Link();
    if (choice < 18) return MakeDirectory();
    if (choice < 20) return RemoveDirectory();
    if (choice < 24) return Resize();
    if (choice < 28) return Punch();
    if (choice < 44) return Write();
    if (choice < 50) return Sync();
    if (choice < 52) return SyncNames();
    if (choice < 54) return Tend();
    if (choice < 55) return Flush();
    if (choice < 57) return Freeze();
    if (choice < 58) return Merge();
    if (choice < 60) return Restart(false);
    if (choice < 63) return Restart(true);
    return SetMode();
  }
  bool Agrees() { return Compare(names_, true); }
  test::SimulatedDisk& disk() { return disk_; }
  // The disk works again. What is not lost for good is there and can be made durable.
  bool Heals() {
    disk_.StopFailing();
    if (!disk_.lost_data() && !(Flush() && Agrees())) return false;
    return Restart(Below(2) == 0);
  }
  [[nodiscard]] const std::string& last() const { return last_; }

 private:
  uint64_t Below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }
  uint64_t Offset(uint64_t limit) {
    const uint64_t offset = Below(limit);
    return Below(3) == 0 ? offset / kBlock * kBlock : offset;
  }
  std::string Content(uint64_t length) {
    std::string bytes(length, '\0');
    const char letter = static_cast<char>('a' + Below(26));
    if (Below(5) != 0) {
      for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(letter + static_cast<char>(random_() % 4));
    }
    return bytes;
  }
  std::string NewLayer() {
    std::string path = "/disk/" + std::to_string(next_layer_++);
    disk_.Suspend(true);
    EXPECT_TRUE(MakeLayer(path, disk_).has_value());
    disk_.Suspend(false);
    return path;
  }
  std::unique_ptr<Volume> Opened(const std::vector<std::string>& layers) {
    disk_.Suspend(true);
    auto volume = OpenVolume(image_, layers, &disk_);
    disk_.Suspend(false);
    return volume;
  }
  void Open() { volume_ = Opened(layers_); }
  void AddToModel(const std::string& path, const std::string& content) {
    names_[path] = std::make_shared<ModelFile>();
    names_[path]->content = content;
    names_[path]->Synced();
  }
  // An operation that the disk failed. Everything may be as before it, or as after it.
  bool Failed(const char* what, int seen) {
    last_ = what;
    return (seen == EIO || seen == ENOSPC) && disk_.failed();
  }
  bool Is(const char* what, int seen, int expected) {
    last_ = what;
    EXPECT_EQ(seen, expected) << what;
    return seen == expected;
  }

  // --- names of the model ---
  void NamesChanged() { history_.push_back(names_); }
  void NamesSynced() { history_ = {names_}; }
  std::string AnyPath() {
    static constexpr std::array kDirectories = {"", "", "d0/", "d1/"};
    return std::string(kDirectories[Below(4)]) + 'f' + std::to_string(Below(4));
  }
  std::string AnyDirectory() { return Below(2) == 0 ? "d0" : "d1"; }
  static std::string ParentOf(const std::string& path) {
    const size_t slash = path.find('/');
    return slash == path.npos ? "" : path.substr(0, slash);
  }
  static std::string NameOf(const std::string& path) { return path.substr(path.find('/') + 1); }
  bool HasParent(const std::string& path) {
    const std::string parent = ParentOf(path);
    return parent.empty() || names_.contains(parent);
  }
  vfs::Inode InodeOf(const std::string& path) {
    if (path.empty()) return vfs::kRootInode;
    const vfs::Inode parent = InodeOf(ParentOf(path));
    const auto found = volume_->Lookup(parent, NameOf(path));
    EXPECT_TRUE(found.has_value()) << path;
    if (!found) return {};
    volume_->Forget(found->inode, 1);  // its name keeps it
    return found->inode;
  }
  std::optional<std::pair<vfs::Inode, ModelFilePtr>> AnyFile() {
    const std::string path = AnyPath();
    if (!names_.contains(path) || names_[path]->broken) return std::nullopt;
    return std::pair(InodeOf(path), names_[path]);
  }

  // --- operations ---
  bool Create() {
    const std::string path = AnyPath();
    if (!HasParent(path)) return true;
    const auto made = volume_->CreateFile(InodeOf(ParentOf(path)), NameOf(path), 0600, kOwner);
    if (!Is("create", vfs::ErrorOf(made), names_.contains(path) ? EEXIST : 0)) return false;
    if (!made) return true;
    volume_->Forget(made->inode, 1);
    AddToModel(path, "");
    NamesChanged();
    return true;
  }
  bool Unlink() {
    const std::string path = AnyPath();
    if (!HasParent(path)) return true;
    const auto status = volume_->Unlink(InodeOf(ParentOf(path)), NameOf(path));
    if (!Is("unlink", vfs::ErrorOf(status), names_.contains(path) ? 0 : ENOENT)) return false;
    if (names_.erase(path) != 0) NamesChanged();
    return true;
  }
  bool Rename() {
    const std::string from = AnyPath();
    const std::string to = AnyPath();
    if (!names_.contains(from) || !HasParent(to)) return RenameDirectory();
    const bool exchange = Below(4) == 0 && names_.contains(to);
    const auto mode = exchange ? vfs::RenameMode::kExchange : vfs::RenameMode::kReplace;
    const auto status = volume_->Rename(InodeOf(ParentOf(from)), NameOf(from), InodeOf(ParentOf(to)), NameOf(to), mode);
    if (!Is("rename", vfs::ErrorOf(status), 0)) return false;
    if (names_.contains(to) && names_[from] == names_[to]) return true;
    const ModelFilePtr file = names_[from];
    if (exchange) {
      std::swap(names_[from], names_[to]);
    } else {
      names_.erase(from);
      names_[to] = file;
    }
    NamesChanged();
    return true;
  }
  bool RenameDirectory() {
    const bool forth = names_.contains("d0") && !names_.contains("d1");
    const bool back = names_.contains("d1") && !names_.contains("d0");
    if (!forth && !back) return true;
    const std::string from = forth ? "d0" : "d1";
    const std::string to = forth ? "d1" : "d0";
    const auto status = volume_->Rename(vfs::kRootInode, from, vfs::kRootInode, to, vfs::RenameMode::kReplace);
    if (!Is("rename a directory", vfs::ErrorOf(status), 0)) return false;
    Names renamed;
    for (const auto& [path, file] : names_) {
      renamed[path == from || ParentOf(path) == from ? to + path.substr(2) : path] = file;
    }
    names_ = renamed;
    NamesChanged();
    return true;
  }
  bool Link() {
    const auto file = AnyFile();
    const std::string path = AnyPath();
    if (!file || !HasParent(path)) return true;
    const auto linked = volume_->Link(file->first, InodeOf(ParentOf(path)), NameOf(path));
    if (!Is("link", vfs::ErrorOf(linked), names_.contains(path) ? EEXIST : 0)) return false;
    if (!linked) return true;
    volume_->Forget(linked->inode, 1);
    names_[path] = file->second;
    NamesChanged();
    return true;
  }
  bool MakeDirectory() {
    const std::string path = AnyDirectory();
    const auto made = volume_->MakeDirectory(vfs::kRootInode, path, 0700, kOwner);
    if (!Is("mkdir", vfs::ErrorOf(made), names_.contains(path) ? EEXIST : 0)) return false;
    if (!made) return true;
    volume_->Forget(made->inode, 1);
    names_[path] = nullptr;
    NamesChanged();
    return true;
  }
  bool RemoveDirectory() {
    const std::string path = AnyDirectory();
    const bool empty = std::ranges::none_of(names_, [&](const auto& name) { return ParentOf(name.first) == path; });
    const auto status = volume_->RemoveDirectory(vfs::kRootInode, path);
    if (!Is("rmdir", vfs::ErrorOf(status), !names_.contains(path) ? ENOENT : empty ? 0 : ENOTEMPTY)) return false;
    if (status) {
      names_.erase(path);
      NamesChanged();
    }
    return true;
  }
  bool Resize() {
    const auto file = AnyFile();
    if (!file) return true;
    const uint64_t size = Offset(kMaxSize);
    ModelFile& model = *file->second;
    const uint64_t first = std::min<uint64_t>(model.content.size(), size);
    const uint64_t last = std::max<uint64_t>(model.content.size(), size);
    const std::string before = model.content;
    model.Note(first, last);
    model.content.resize(size, '\0');
    model.Note(first, last);
    const int seen = vfs::ErrorOf(volume_->SetAttributes(file->first, {.size = size}));
    return Failed("resize", seen) ? TakeWhatIsThere(*file, before) : Is("resize", seen, 0);
  }
  bool Punch() {
    const auto file = AnyFile();
    if (!file) return true;
    ModelFile& model = *file->second;
    const uint64_t offset = Offset(kMaxSize);
    const uint64_t length = 1 + Below(4 * kBlock);
    const vfs::AllocationMode mode{.keep_size = true, .punch_hole = true};
    const std::string before = model.content;
    if (offset < model.content.size()) {
      const uint64_t count = std::min<uint64_t>(length, model.content.size() - offset);
      model.Note(offset, offset + count);
      model.content.replace(offset, count, std::string(count, '\0'));
      model.Note(offset, offset + count);
    }
    const int seen = vfs::ErrorOf(volume_->Allocate(file->first, mode, offset, length));
    return Failed("punch", seen) ? TakeWhatIsThere(*file, before) : Is("punch", seen, 0);
  }
  bool Write() {
    const auto file = AnyFile();
    if (!file) return true;
    ModelFile& model = *file->second;
    const uint64_t offset = Offset(kMaxSize);
    const std::string bytes = Content(1 + Below(Below(2) == 0 ? 3 * kBlock : 300));
    const uint64_t end = offset + bytes.size();
    const uint64_t first = std::min<uint64_t>(offset, model.content.size());
    const std::string before = model.content;
    model.Note(first, end);
    if (model.content.size() < end) model.content.resize(end, '\0');
    model.content.replace(offset, bytes.size(), bytes);
    model.Note(first, end);
    const int seen = vfs::ErrorOf(volume_->Write(file->first, offset, AsBytes(bytes)));
    return Failed("write", seen) ? TakeWhatIsThere(*file, before) : Is("write", seen, 0);
  }
  // After a failed change: every byte is old or new.
  bool TakeWhatIsThere(const std::pair<vfs::Inode, ModelFilePtr>& file, const std::string& before) {
    ModelFile& model = *file.second;
    const std::string seen = ReadAll(file.first);
    model.broken = seen.starts_with("errno");
    if (model.broken) return true;
    EXPECT_GE(seen.size(), std::min(before.size(), model.content.size()));
    EXPECT_LE(seen.size(), std::max(before.size(), model.content.size()));
    for (size_t i = 0; i < seen.size(); ++i) {
      const bool is_old = seen[i] == (i < before.size() ? before[i] : '\0');
      if (!is_old && seen[i] != (i < model.content.size() ? model.content[i] : '\0')) return false;
    }
    model.content = seen;
    model.Note(0, seen.size());
    return true;
  }
  // After a failed sync.
  bool FindBroken() {
    for (const auto& [path, file] : names_) {
      if (file) file->broken = ReadAll(InodeOf(path)).starts_with("errno");
    }
    return true;
  }
  bool SetMode() {
    const auto file = AnyFile();
    return !file || Is("chmod", vfs::ErrorOf(volume_->SetAttributes(file->first, {.mode = 0400})), 0);
  }
  bool Sync() {
    const auto file = AnyFile();
    if (!file) return true;
    const int seen = vfs::ErrorOf(volume_->Sync(file->first, Below(2) == 0));
    if (Failed("sync", seen)) return FindBroken();
    file->second->Synced();
    return Is("sync", seen, 0);
  }
  bool SyncNames() {
    const int seen = vfs::ErrorOf(volume_->SyncDirectory(vfs::kRootInode));
    if (Failed("sync a directory", seen)) return true;
    NamesSynced();
    return Is("sync a directory", seen, 0);
  }
  static int ErrorOf(const Status& status) { return status ? 0 : status.error().system_errno(); }
  bool Tend() {
    const int seen = ErrorOf(volume_->Tend());
    return Failed("tend", seen) || Is("tend", seen, 0);
  }
  bool Flush() {
    const int seen = ErrorOf(volume_->Flush());
    if (Failed("flush", seen)) return FindBroken();
    EverythingSynced();
    return Is("flush", seen, 0);
  }
  void EverythingSynced() {
    NamesSynced();
    for (const auto& [path, file] : names_) {
      if (file) file->Synced();
    }
  }
  bool Freeze() {
    if (layers_.size() == 6) return true;
    layers_.push_back(NewLayer());
    const auto frozen = volume_->Freeze(layers_.back());
    if (!frozen) {
      layers_.pop_back();
      return Failed("freeze", frozen.error().system_errno()) && FindBroken();
    }
    if (!frozen->sealed) return Failed("seal", frozen->sealed.error().system_errno()) && FindBroken();
    EverythingSynced();
    if (disk_.failed()) return true;
    // A second volume above what was frozen sees this moment.
    std::vector<std::string> stack = layers_;
    stack.back() = NewLayer();
    std::unique_ptr<Volume> kept = std::exchange(volume_, Opened(stack));
    const bool same = Compare(names_, true);
    volume_ = std::move(kept);
    last_ = "a volume above the frozen layer";
    return same;
  }
  // Some of the frozen layers become one, and the volume goes on above that, or above the old ones where it failed.
  bool Merge() {
    const size_t frozen = layers_.size() - 1;
    if (frozen == 0) return true;
    const size_t first = Below(frozen);
    const size_t last = first + 1 + Below(frozen - first);
    const auto at = [&](size_t index) { return layers_.begin() + static_cast<std::ptrdiff_t>(index); };
    const std::string merged = "/disk/" + std::to_string(next_layer_++);
    const auto done = MergeLayers({.below = {layers_.begin(), at(first)},
                                   .run = {at(first), at(last)},
                                   .directory = merged,
                                   .image = Below(2) == 0 ? image_ : nullptr,
                                   .progress = {}},
                                  disk_);
    const bool unsealed = !done && done.error().code() == ErrorCode::kInvalidArgument && disk_.failed();
    if (!done) return unsealed || Failed("merge", done.error().system_errno());
    layers_.erase(at(first), at(last));
    layers_.insert(at(first), merged);
    return Restart(Below(2) == 0);
  }
  // The process ends, with or without the machine.
  bool Restart(bool power_cut) {
    last_ = power_cut ? "power cut" : "restart";
    volume_.reset();
    if (power_cut) disk_.Cut();
    // Opening may be what fails; that does no harm.
    if (!disk_.failed()) static_cast<void>(Volume::Open({.image = image_, .layers = layers_, .storage = &disk_}));
    if (disk_.failed()) disk_.StopFailing();
    Open();
    if (!volume_) return false;
    for (auto moment = history_.rbegin(); moment != history_.rend(); ++moment) {
      if (!Compare(*moment, false)) continue;
      names_ = *moment;
      return Adopt(power_cut);
    }
    ADD_FAILURE() << "what is there was never there; the newest names: " << Differences();
    return false;
  }
  // What is there now is what counts; after a restart what files hold is no more durable than before.
  bool Adopt(bool durable) {
    std::set<ModelFile*> done;
    for (const auto& [path, file] : names_) {
      if (!file || !done.insert(file.get()).second) continue;
      file->Note(0, file->content.size());
      file->content = ReadAll(InodeOf(path));
      file->Note(0, file->content.size());
      file->broken = false;
      if (durable) file->Synced();
    }
    NamesSynced();
    return true;
  }

  // --- comparing ---
  std::string ReadAll(vfs::Inode inode) {
    disk_.Suspend(true);
    std::string bytes(volume_->GetAttributes(inode)->size, '?');
    const auto count = volume_->Read(inode, 0, std::as_writable_bytes(std::span(bytes)));
    disk_.Suspend(false);
    return count ? bytes.substr(0, *count) : "errno " + std::to_string(count.error().value);
  }
  void ListInto(vfs::Inode directory, const std::string& prefix, std::map<std::string, vfs::Inode>& listed) {
    std::vector<std::pair<std::string, vfs::Inode>> below;
    const auto status = volume_->ReadDirectory(directory, 0, [&](const vfs::DirectoryEntry& entry) {
      listed[prefix + std::string(entry.name)] = entry.inode;
      if (entry.type == S_IFDIR) below.emplace_back(prefix + std::string(entry.name) + '/', entry.inode);
      return true;
    });
    EXPECT_TRUE(status.has_value());
    for (const auto& [path, inode] : below) ListInto(inode, path, listed);
  }
  // Whether the volume holds these names, each with what it may hold (`exact`: with what it holds).
  bool Compare(const Names& names, bool exact) {
    std::map<std::string, vfs::Inode> listed;
    ListInto(vfs::kRootInode, "", listed);
    if (!std::ranges::equal(listed, names, {}, &decltype(listed)::value_type::first, &Names::value_type::first)) {
      EXPECT_FALSE(exact) << Differences();
      return false;
    }
    std::map<uint64_t, ModelFilePtr> files;
    std::map<ModelFilePtr, uint64_t> links;
    for (const auto& [path, inode] : listed) {
      const ModelFilePtr& file = names.at(path);
      if (!file) continue;
      if (files.emplace(inode.value, file).first->second != file) return false;
      ++links[file];
    }
    for (const auto& [inode, file] : files) {
      const std::string seen = ReadAll({inode});
      if (exact && file->broken) continue;
      const bool right = exact ? seen == file->content : file->MayBe(seen);
      EXPECT_TRUE(right || !exact) << vfs::SameBytes(seen, file->content).message();
      if (!right || volume_->GetAttributes({inode})->link_count != links[file]) return false;
    }
    return files.size() == links.size();
  }
  std::string Differences() {
    std::map<std::string, vfs::Inode> listed;
    ListInto(vfs::kRootInode, "", listed);
    std::string text = "there:";
    for (const auto& [path, inode] : listed) text += ' ' + path + '=' + std::to_string(inode.value);
    text += "; expected:";
    for (const auto& [path, file] : names_) {
      text += ' ' + path;
      if (!file || !listed.contains(path)) continue;
      const std::string seen = ReadAll(listed[path]);
      if (!file->MayBe(seen)) text += " (" + std::string(vfs::SameBytes(seen, file->content).message()) + ')';
    }
    return text;
  }

  std::mt19937_64 random_;
  test::SimulatedDisk disk_;
  std::shared_ptr<const image::Image> image_;
  std::vector<std::string> layers_;
  uint64_t next_layer_ = 0;
  Names names_;
  std::vector<Names> history_;  // since the last sync of names, it included
  std::unique_ptr<Volume> volume_;
  std::string last_;
};

}  // namespace pgstrata::layer
