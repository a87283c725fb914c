// Random operations on a Volume and on a model of it that is too simple to be wrong: names that stand for strings.
// PGSTRATA_MODEL_SECONDS (default 3) says for how long, PGSTRATA_MODEL_SEED with which numbers.
#include <chrono>
#include <cstdlib>
#include <random>

#include "foundation/base/text.h"
#include "tests/layer/faulty_image.h"
#include "tests/layer/volume_fixture.h"
#include "tests/support/scratch_directory.h"
#include "tests/vfs/conformance/suite.h"

namespace pgstrata::layer {
namespace {

constexpr uint64_t kMaxSize = 40 * kBlock;
constexpr uint64_t kNames = 12;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : ParseDecimal(value).value_or(otherwise);
}

// A file of the model: alive while a name or a holder has it.
using ModelFile = std::shared_ptr<std::string>;
struct HeldFile {
  vfs::Inode inode;
  ModelFile model;
};

class Model {
 public:
  Model(uint64_t seed, const std::string& directory) : random_(seed) {
    std::map<std::string, std::string> tree;
    for (uint64_t i = 0; i < kNames / 2; ++i) {
      const std::string content = Content(Below(kMaxSize));
      tree[Name(i)] = content;
      names_[Name(i)] = std::make_shared<std::string>(content);
    }
    volume_ = MakeVolume(std::make_shared<test::FaultyImage>(ImageOf(tree)), directory, 3);
  }

  // One random operation; false when volume and model disagree.
  bool Step() {
    switch (Below(16)) {
      case 0:
        return Create();
      case 1:
        return Unlink();
      case 2:
        return Rename();
      case 3:
        return Link();
      case 4:
        return Resize();
      case 5:
        return Zero();
      case 6:
        return Copy();
      case 7:
        return Seek();
      case 8:
        return Hold();
      case 9:
        return LetGo();
      case 10:
      case 11:
      case 12:
        return Read();
      default:
        return Write();
    }
  }

  bool EverythingAgrees() {
    std::vector<std::string> listed;
    const auto status = volume_->ReadDirectory(vfs::kRootInode, 0, [&](const vfs::DirectoryEntry& entry) {
      listed.emplace_back(entry.name);
      return true;
    });
    std::ranges::sort(listed);
    std::vector<std::string> expected;
    expected.reserve(names_.size());
    for (const auto& [name, file] : names_) expected.push_back(name);
    EXPECT_TRUE(status.has_value());
    EXPECT_EQ(listed, expected);
    bool agree = listed == expected;
    for (const auto& [name, model] : names_) {
      const HeldFile file = LookUp(name);
      agree = agree && Compare(file, 0, kMaxSize + 1);
      agree = agree && volume_->GetAttributes(file.inode)->link_count == LinksOf(model);
      volume_->Forget(file.inode, 1);
    }
    for (const auto& file : held_) agree = agree && Compare(file, 0, kMaxSize + 1);
    return agree;
  }
  [[nodiscard]] const std::string& last() const { return last_; }

 private:
  uint64_t Below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }
  // Often at the edge of a block.
  uint64_t Offset(uint64_t limit) {
    const uint64_t offset = Below(limit);
    switch (Below(4)) {
      case 0:
        return offset / kBlock * kBlock;
      case 1:
        return std::min(limit, offset / kBlock * kBlock + kBlock - 1);
      default:
        return offset;
    }
  }
  uint64_t Length() {
    return Below(3) == 0 ? Below(10 * kBlock) : Below(2) == 0 ? kBlock * (1 + Below(4)) : 1 + Below(200);
  }
  // Random bytes with runs of zeros.
  std::string Content(uint64_t length) {
    std::string bytes(length, '\0');
    for (uint64_t at = 0; at < length;) {
      const uint64_t end = std::min(length, at + Length());
      const bool zeros = Below(3) == 0;
      for (; at < end; ++at) bytes[at] = zeros ? '\0' : static_cast<char>(random_());
    }
    return bytes;
  }
  static std::string Name(uint64_t number) { return "f" + std::to_string(number); }
  std::string AnyName() { return Name(Below(kNames)); }
  uint64_t LinksOf(const ModelFile& model) {
    return static_cast<uint64_t>(
        std::ranges::count_if(names_, [&](const auto& named) { return named.second == model; }));
  }

  HeldFile LookUp(const std::string& name) {
    const auto found = volume_->Lookup(vfs::kRootInode, name);
    EXPECT_TRUE(found.has_value()) << name;
    return {found ? found->inode : vfs::Inode{}, names_.at(name)};
  }
  // A named or an unlinked file; nothing when there is none.
  std::optional<HeldFile> AnyFile() {
    if (!held_.empty() && Below(3) == 0) return held_[Below(held_.size())];
    const std::string name = AnyName();
    if (!names_.contains(name)) return std::nullopt;
    HeldFile file = LookUp(name);
    volume_->Forget(file.inode, 1);  // its name keeps it
    return file;
  }
  bool Compare(const HeldFile& file, uint64_t offset, uint64_t length) {
    std::string bytes(length, '?');
    const auto count = volume_->Read(file.inode, offset, std::as_writable_bytes(std::span(bytes)));
    EXPECT_TRUE(count.has_value());
    bytes.resize(count.value_or(0));
    const std::string expected = offset < file.model->size() ? file.model->substr(offset, length) : "";
    const auto same = vfs::SameBytes(bytes, expected);
    EXPECT_TRUE(same) << "from " << offset;
    return same && volume_->GetAttributes(file.inode)->size == file.model->size();
  }
  bool Expect(const char* what, int seen, int expected) {
    last_ = what;
    EXPECT_EQ(seen, expected) << what;
    return seen == expected;
  }

  bool Create() {
    const std::string name = AnyName();
    const auto made = volume_->CreateFile(vfs::kRootInode, name, 0600, kOwner);
    if (!Expect("create", vfs::ErrorOf(made), names_.contains(name) ? EEXIST : 0)) return false;
    if (!made) return true;
    names_[name] = std::make_shared<std::string>();
    volume_->Forget(made->inode, 1);
    return true;
  }
  bool Unlink() {
    const std::string name = AnyName();
    const bool there = names_.erase(name) != 0;
    return Expect("unlink", vfs::ErrorOf(volume_->Unlink(vfs::kRootInode, name)), there ? 0 : ENOENT);
  }
  bool Rename() {
    const std::string from = AnyName();
    const std::string to = AnyName();
    const auto mode = static_cast<vfs::RenameMode>(Below(3));
    const bool exchange = mode == vfs::RenameMode::kExchange;
    int expected = 0;
    if (!names_.contains(from) || (exchange && !names_.contains(to))) {
      expected = ENOENT;
    } else if (mode == vfs::RenameMode::kNoReplace && names_.contains(to)) {
      expected = EEXIST;
    }
    const auto status = volume_->Rename(vfs::kRootInode, from, vfs::kRootInode, to, mode);
    if (!Expect("rename", vfs::ErrorOf(status), expected)) return false;
    if (expected != 0 || names_[from] == names_[to]) return true;
    if (exchange) {
      std::swap(names_[from], names_[to]);
    } else {
      names_[to] = names_[from];
      names_.erase(from);
    }
    return true;
  }
  bool Link() {
    const std::string name = AnyName();
    const auto file = AnyFile();
    if (!file) return true;
    const int expected = names_.contains(name) ? EEXIST : LinksOf(file->model) == 0 ? ENOENT : 0;
    const auto linked = volume_->Link(file->inode, vfs::kRootInode, name);
    if (!Expect("link", vfs::ErrorOf(linked), expected)) return false;
    if (!linked) return true;
    names_[name] = file->model;
    volume_->Forget(file->inode, 1);
    return true;
  }
  bool Hold() {
    const std::string name = AnyName();
    if (names_.contains(name)) held_.push_back(LookUp(name));
    return true;
  }
  bool LetGo() {
    if (held_.empty()) return true;
    const size_t index = Below(held_.size());
    volume_->Forget(held_[index].inode, 1);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    return true;
  }
  bool Resize() {
    const auto file = AnyFile();
    if (!file) return true;
    const uint64_t size = Offset(kMaxSize);
    file->model->resize(size, '\0');
    return Expect("resize", vfs::ErrorOf(volume_->SetAttributes(file->inode, {.size = size})), 0) &&
           Compare(*file, size - std::min<uint64_t>(size, 5'000), 10'000);
  }
  bool Write() {
    const auto file = AnyFile();
    if (!file) return true;
    const uint64_t offset = Offset(kMaxSize);
    const std::string bytes = Content(std::min(Length(), kMaxSize - offset));
    if (!bytes.empty()) Extend(*file, offset + bytes.size());
    file->model->replace(std::min<uint64_t>(offset, file->model->size()), bytes.size(), bytes);
    return Expect("write", vfs::ErrorOf(volume_->Write(file->inode, offset, AsBytes(bytes))), 0) &&
           Compare(*file, offset - std::min<uint64_t>(offset, 4'096), bytes.size() + 8'192);
  }
  bool Zero() {
    const auto file = AnyFile();
    if (!file) return true;
    const uint64_t offset = Offset(kMaxSize);
    const uint64_t length = std::min(Length(), kMaxSize - offset);
    const uint64_t kind = Below(4);
    const vfs::AllocationMode mode{
        .keep_size = kind < 2, .punch_hole = kind == 0, .zero_range = kind == 1 || kind == 2};
    if (!mode.keep_size && length != 0) Extend(*file, offset + length);
    if ((mode.punch_hole || mode.zero_range) && offset < file->model->size()) {
      const uint64_t count = std::min(length, file->model->size() - offset);
      file->model->replace(offset, count, std::string(count, '\0'));
    }
    const auto status = volume_->Allocate(file->inode, mode, offset, length);
    return Expect("allocate", vfs::ErrorOf(status), length == 0 ? EINVAL : 0) &&
           Compare(*file, offset - std::min<uint64_t>(offset, 4'096), length + 8'192);
  }
  bool Copy() {
    const auto from = AnyFile();
    const auto to = AnyFile();
    if (!from || !to) return true;
    const uint64_t from_offset = Offset(kMaxSize);
    const uint64_t to_offset = Offset(kMaxSize);
    uint64_t length = std::min(Length(), kMaxSize - to_offset);
    const auto copied = volume_->CopyRange(from->inode, from_offset, to->inode, to_offset, length);
    const uint64_t size = from->model->size();
    length = from_offset < size ? std::min(length, size - from_offset) : 0;
    const uint64_t distance = from_offset > to_offset ? from_offset - to_offset : to_offset - from_offset;
    const bool overlap = from->inode == to->inode && distance < length;
    if (!Expect("copy", vfs::ErrorOf(copied), overlap ? EINVAL : 0)) return false;
    if (overlap || length == 0) return true;
    const std::string bytes = from->model->substr(from_offset, length);
    Extend(*to, to_offset + length);
    to->model->replace(to_offset, length, bytes);
    return Expect("copied bytes", static_cast<int>(*copied), static_cast<int>(length)) &&
           Compare(*to, to_offset - std::min<uint64_t>(to_offset, 4'096), length + 8'192);
  }
  bool Seek() {
    const auto file = AnyFile();
    if (!file) return true;
    const uint64_t size = file->model->size();
    const uint64_t offset = Offset(kMaxSize);
    const auto data = volume_->Seek(file->inode, offset, vfs::SeekTarget::kData);
    const auto hole = volume_->Seek(file->inode, offset, vfs::SeekTarget::kHole);
    if (offset >= size) return Expect("seek beyond", vfs::ErrorOf(data), ENXIO) && vfs::ErrorOf(hole) == ENXIO;
    const uint64_t zeros_end = data.value_or(size);
    const bool only_zeros = file->model->find_first_not_of('\0', offset) >= zeros_end;
    EXPECT_TRUE(only_zeros) << "data before " << zeros_end;
    EXPECT_TRUE(hole.has_value());
    return only_zeros && hole && *hole >= offset && *hole <= size && (zeros_end > offset) == (*hole == offset);
  }
  bool Read() {
    const auto file = AnyFile();
    return !file || Compare(*file, Offset(kMaxSize), Length());
  }
  static void Extend(const HeldFile& file, uint64_t size) {
    if (file.model->size() < size) file.model->resize(size, '\0');
  }

  std::mt19937_64 random_;
  std::unique_ptr<Volume> volume_;
  std::map<std::string, ModelFile> names_;
  std::vector<HeldFile> held_;
  std::string last_;
};

TEST(ModelTest, VolumeAgreesWithAModelOfIt) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::seconds(FromEnvironment("PGSTRATA_MODEL_SECONDS", 3));
  uint64_t seed = FromEnvironment("PGSTRATA_MODEL_SEED", std::random_device{}());
  for (; std::chrono::steady_clock::now() < end; ++seed) {
    const test::ScratchDirectory place;
    Model model(seed, place.path() + "/layer");
    for (int step = 1; step <= 3'000; ++step) {
      ASSERT_TRUE(model.Step()) << "PGSTRATA_MODEL_SEED=" << seed << " step " << step << ' ' << model.last();
      if (step % 100 == 0) {
        ASSERT_TRUE(model.EverythingAgrees()) << "PGSTRATA_MODEL_SEED=" << seed << " step " << step;
      }
    }
  }
  RecordProperty("last_seed", std::to_string(seed));
}

}  // namespace
}  // namespace pgstrata::layer
