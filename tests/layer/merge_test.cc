// Merging layers: whatever part of a stack is merged, everything reads as before.
#include <gtest/gtest.h>
#include <sys/sysmacros.h>

#include <array>
#include <map>

#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/layer/simulated_disk.h"
#include "tests/layer/volume_fixture.h"
#include "tests/support/scratch_directory.h"
#include "tests/vfs/conformance/suite.h"
#include "volume/layer/layer_merge.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::layer {
namespace {

using test::SimulatedDisk;
using vfs::ErrorOf;

// All that can be seen of a volume, by path: attributes, the first path of the same file, and what it holds.
using Tree = std::map<std::string, std::string>;

std::string ContentOf(Volume& volume, const vfs::Attributes& shown) {
  if (S_ISLNK(shown.mode)) return volume.ReadLink(shown.inode).value();
  if (!S_ISREG(shown.mode)) return std::to_string(shown.device);
  std::string bytes(shown.size, '?');
  const auto count = volume.Read(shown.inode, 0, std::as_writable_bytes(std::span(bytes)));
  return count ? bytes.substr(0, *count) : "errno " + std::to_string(count.error().value);
}

void AddToTree(Volume& volume, vfs::Inode directory, const std::string& prefix,
               std::map<uint64_t, std::string>& first_paths, Tree& tree) {
  std::vector<std::string> names;
  const auto status = volume.ReadDirectory(directory, 0, [&](const vfs::DirectoryEntry& entry) {
    names.emplace_back(entry.name);
    return true;
  });
  EXPECT_TRUE(status.has_value());
  std::ranges::sort(names);
  for (const auto& name : names) {
    const auto shown = *volume.Lookup(directory, name);
    const std::string path = prefix + name;
    if (S_ISDIR(shown.mode)) AddToTree(volume, shown.inode, path + '/', first_paths, tree);
    const auto now = *volume.GetAttributes(shown.inode);  // a directory's links are counted when it was listed
    tree[path] = std::to_string(now.mode) + ' ' + std::to_string(now.link_count) + ' ' + std::to_string(now.uid) + ' ' +
                 std::to_string(now.gid) + ' ' + std::to_string(now.size) + ' ' + std::to_string(now.modified.tv_nsec) +
                 ' ' + first_paths.emplace(now.inode.value, path).first->second + ' ' + ContentOf(volume, now);
  }
}

Tree TreeOf(const std::shared_ptr<const image::Image>& image, const std::vector<std::string>& layers,
            LayerStorage* storage = nullptr) {
  auto volume =
      Volume::Open({.image = image, .layers = layers, .owner = kShownOwner, .read_only = true, .storage = storage});
  EXPECT_TRUE(volume.has_value()) << volume.error().message();
  Tree tree;
  std::map<uint64_t, std::string> first_paths;
  if (volume) AddToTree(**volume, vfs::kRootInode, "", first_paths, tree);
  return tree;
}

class MergeTest : public ::testing::Test {
 protected:
  MergeTest()
      : image_(ImageOf({{"base/1", std::string(6 * kBlock + 100, 'o')},
                        {"base/2", "two"},
                        {"base/3", std::string(3 * kBlock, 'p')},
                        {"d/x", "x"},
                        {"d/y", "y"},
                        {"e/sub/z", "z"}})) {
    Open();
  }

  void Open() {
    volume_.reset();
    volume_ = OpenVolume(image_, layers_);
  }
  // Puts an empty layer on top.
  void Freeze() {
    layers_.push_back(place_.path() + '/' + std::to_string(layers_.size()));
    ASSERT_TRUE(MakeLayer(layers_.back()).has_value());
    const auto frozen = volume_->Freeze(layers_.back());
    ASSERT_TRUE(frozen && frozen->sealed);
  }
  vfs::Inode Find(std::string_view path) {
    vfs::Inode found = vfs::kRootInode;
    while (!path.empty()) {
      const size_t slash = path.find('/');
      const auto next = volume_->Lookup(found, path.substr(0, slash));
      EXPECT_TRUE(next.has_value()) << path;
      if (!next) return {};
      volume_->Forget(next->inode, 1);  // its name keeps it
      found = next->inode;
      path = slash == path.npos ? "" : path.substr(slash + 1);
    }
    return found;
  }
  vfs::Inode Create(std::string_view parent, std::string_view name) {
    const auto made = volume_->CreateFile(Find(parent), name, 0640, kOwner);
    EXPECT_TRUE(made.has_value());
    volume_->Forget(made->inode, 1);
    return made->inode;
  }
  void Write(std::string_view path, uint64_t offset, const std::string& bytes) {
    EXPECT_EQ(ErrorOf(volume_->Write(Find(path), offset, AsBytes(bytes))), 0);
  }
  void Resize(std::string_view path, uint64_t size) {
    EXPECT_TRUE(volume_->SetAttributes(Find(path), {.size = size}).has_value());
  }
  void Punch(std::string_view path, uint64_t offset, uint64_t length) {
    EXPECT_EQ(ErrorOf(volume_->Allocate(Find(path), {.keep_size = true, .punch_hole = true}, offset, length)), 0);
  }
  void Unlink(std::string_view parent, std::string_view name) {
    EXPECT_EQ(ErrorOf(volume_->Unlink(Find(parent), name)), 0);
  }
  void Rename(std::string_view parent, std::string_view name, std::string_view to, std::string_view new_name) {
    EXPECT_EQ(ErrorOf(volume_->Rename(Find(parent), name, Find(to), new_name, vfs::RenameMode::kReplace)), 0);
  }
  std::string Content(std::string_view path) { return vfs::ReadFileAt(*volume_, path).value(); }

  // Merges the layers [first, last) of the stack.
  MergeOptions Options(size_t first, size_t last) {
    const auto at = [&](size_t index) { return layers_.begin() + static_cast<std::ptrdiff_t>(index); };
    return {.below = {layers_.begin(), at(first)},
            .run = {at(first), at(last)},
            .directory = place_.path() + "/merged" + std::to_string(next_merged_++),
            .image = image_,
            .progress = {}};
  }
  std::vector<std::string> Swapped(size_t first, size_t last, const std::string& merged) const {
    std::vector<std::string> stack = layers_;
    const auto at = stack.begin() + static_cast<std::ptrdiff_t>(first);
    stack.erase(at, at + static_cast<std::ptrdiff_t>(last - first));
    stack.insert(stack.begin() + static_cast<std::ptrdiff_t>(first), merged);
    return stack;
  }
  // Merges and goes on with the merged stack; the old layers are gone.
  MergeReport MergeAndSwap(size_t first, size_t last) {
    volume_.reset();
    const MergeOptions options = Options(first, last);
    const auto merged = MergeLayers(options);
    EXPECT_TRUE(merged.has_value()) << merged.error().message();
    layers_ = Swapped(first, last, options.directory);
    for (const auto& layer : options.run) EXPECT_TRUE(io::RemoveTree(layer).has_value());
    Open();
    return merged.value_or(MergeReport{});
  }
  std::vector<std::string> Blobs(const std::string& layer) { return io::ListDirectory(layer + "/blobs").value(); }

  const test::ScratchDirectory place_;
  std::shared_ptr<const image::Image> image_;
  std::vector<std::string> layers_{place_.path() + "/0"};
  std::unique_ptr<Volume> volume_;
  int next_merged_ = 0;
};

class MergeStoryTest : public MergeTest {
 protected:
  // Five frozen layers, in which each kind of change meets each other one.
  void TellAll() {
    Write("base/1", kBlock, std::string(2 * kBlock, 'a'));
    Create("", "new");
    Write("new", 0, std::string(5000, 'n'));
    ASSERT_TRUE(volume_->MakeDirectory(vfs::kRootInode, "made", 0750, kOwner).has_value());
    ASSERT_TRUE(volume_->MakeLink(vfs::kRootInode, "link", "made/new", kOwner).has_value());
    ASSERT_TRUE(volume_->MakeSpecial(vfs::kRootInode, "fifo", S_IFIFO | 0600, 0, kOwner).has_value());
    ASSERT_TRUE(volume_->MakeSpecial(vfs::kRootInode, "device", S_IFCHR | 0600, makedev(8, 17), kOwner).has_value());
    Rename("d", "x", "made", "from image");
    Create("", "short lived");
    Write("short lived", 0, std::string(3 * kBlock, 's'));
    Freeze();

    Resize("base/1", kBlock + 100);  // into a block of the lower layer
    Rename("", "e", "made", "moved");
    Unlink("d", "y");
    ASSERT_TRUE(volume_->Link(Find("new"), Find("made"), "second").has_value());
    ASSERT_TRUE(volume_->SetAttributes(Find("base/2"), {.mode = 0444, .uid = 7}).has_value());
    Punch("base/3", kBlock, kBlock);
    Unlink("", "fifo");
    Freeze();

    Resize("base/1", 5 * kBlock);  // what was cut off stays away
    Write("base/1", 4 * kBlock + 10, "far");
    Unlink("", "new");
    EXPECT_EQ(ErrorOf(volume_->RemoveDirectory(vfs::kRootInode, "d")), 0);
    Unlink("", "short lived");
    Write("made/moved/sub/z", 1, "zz");
    Freeze();

    Punch("base/1", 0, 2 * kBlock + 17);
    ASSERT_TRUE(volume_->MakeDirectory(vfs::kRootInode, "d", 0700, kOwner).has_value());
    Create("d", "y");
    Write("d/y", 0, "another y");
    Write("made/second", kBlock, std::string(2 * kBlock, 'N'));
    Resize("made/second", kBlock + 1);
    Rename("made", "from image", "d", "back");
    Freeze();

    Resize("base/3", kBlock + 5);
    Resize("base/3", 4 * kBlock);
    Resize("made/second", 3 * kBlock);
    Unlink("made", "second");
    Create("", "fifo");
    Write("base/1", 3 * kBlock, std::string(kBlock, 'l'));
    Rename("made/moved", "sub", "", "sub");
    Freeze();
    Write("base/2", 1, "W");
    ASSERT_TRUE(volume_->Close().has_value());
  }
};

TEST_F(MergeStoryTest, WhateverIsMergedReadsAsBefore) {
  TellAll();
  const Tree expected = TreeOf(image_, layers_);
  ASSERT_EQ(layers_.size(), 6U);
  for (size_t first = 0; first + 1 < layers_.size(); ++first) {
    for (size_t last = first + 1; last < layers_.size(); ++last) {
      for (const bool with_image : {true, false}) {
        SCOPED_TRACE(std::to_string(first) + " to " + std::to_string(last));
        MergeOptions options = Options(first, last);
        if (!with_image) options.image = nullptr;
        const auto merged = MergeLayers(options);
        ASSERT_TRUE(merged.has_value()) << merged.error().message();
        const auto stack = Swapped(first, last, options.directory);
        EXPECT_EQ(TreeOf(image_, stack), expected);
        EXPECT_TRUE(ReadLayerFacts(options.directory)->sealed);
        // And above what was merged one goes on as above what was not.
        const std::vector<std::string> prefix(layers_.begin(), layers_.begin() + static_cast<std::ptrdiff_t>(last));
        const std::vector<std::string> merged_prefix(stack.begin(),
                                                     stack.begin() + static_cast<std::ptrdiff_t>(first) + 1);
        EXPECT_EQ(TreeOf(image_, merged_prefix), TreeOf(image_, prefix));
      }
    }
  }
  EXPECT_EQ(TreeOf(image_, layers_), expected) << "what was merged stays as it was";
}

TEST_F(MergeStoryTest, WhatWasMergedIsMergedAgainAndWrittenAbove) {
  TellAll();
  const Tree expected = TreeOf(image_, layers_);
  MergeAndSwap(1, 3);
  MergeAndSwap(0, 2);
  MergeAndSwap(0, 3);
  ASSERT_EQ(layers_.size(), 2U);
  volume_.reset();
  EXPECT_EQ(TreeOf(image_, layers_), expected);
  Open();
  const vfs::Inode made = Create("", "later");
  for (const auto& [path, shown] : expected) EXPECT_LT(Find(path).value, made.value) << "numbers are not used again";
  Write("base/1", 4 * kBlock, "above");
  Unlink("sub", "z");
  ASSERT_TRUE(volume_->Close().has_value());
  Open();
  EXPECT_EQ(Content("base/1").substr(4 * kBlock, 13), std::string("above") + std::string(5, '\0') + "far");
  EXPECT_EQ(vfs::ListAt(*volume_, "sub").value(), std::vector<std::string>{});
}

TEST_F(MergeTest, OfEachBlockOnlyTheNewestIsKept) {
  for (int i = 0; i < 10; ++i) {
    Write("base/3", 0, std::string(2 * kBlock, static_cast<char>('0' + i)));
    Freeze();
  }
  const MergeReport report = MergeAndSwap(0, 10);
  EXPECT_EQ(report.bytes_before, 20 * kBlock);
  EXPECT_EQ(report.bytes_after, 2 * kBlock);
  EXPECT_EQ(Content("base/3"), std::string(2 * kBlock, '9') + std::string(kBlock, 'p'));
  EXPECT_LE(*io::AllocatedBytes(layers_[0] + "/blobs"), 4 * kBlock);
}

TEST_F(MergeTest, AFileOfOneLayerIsLinkedAndOutlivesIt) {
  Create("", "whole");
  Write("whole", 0, std::string(64 * kBlock, 'w'));
  Freeze();
  Create("", "other");
  Write("other", 0, std::string(8 * kBlock, 'v'));
  Freeze();
  const auto before = io::StatLink(layers_[0] + "/blobs/" + Blobs(layers_[0])[0]);
  const MergeReport report = MergeAndSwap(0, 2);
  EXPECT_EQ(report.files_linked, 2U);
  EXPECT_EQ(report.bytes_copied, 0U);
  const auto after = io::StatLink(layers_[0] + "/blobs/" + Blobs(layers_[0])[0]);
  EXPECT_EQ(after->st_ino, before->st_ino);
  EXPECT_EQ(after->st_nlink, 1U);
  EXPECT_EQ(Content("whole"), std::string(64 * kBlock, 'w'));
  EXPECT_EQ(Content("other"), std::string(8 * kBlock, 'v'));
}

TEST_F(MergeTest, AFileOfWhichMuchIsUselessIsCopiedWithHoles) {
  constexpr uint64_t kBlocks = 256;
  Create("", "f");
  Write("f", 0, std::string(kBlocks * kBlock, 'w'));
  Freeze();
  Punch("f", 16 * kBlock, (kBlocks - 32) * kBlock);
  Freeze();
  const MergeReport report = MergeAndSwap(0, 2);
  EXPECT_EQ(report.files_linked, 0U);
  EXPECT_EQ(report.bytes_copied, 32 * kBlock);
  EXPECT_LE(*io::AllocatedBytes(layers_[0] + "/blobs"), 40 * kBlock);
  EXPECT_EQ(Content("f"),
            std::string(16 * kBlock, 'w') + std::string((kBlocks - 32) * kBlock, '\0') + std::string(16 * kBlock, 'w'));
}

TEST_F(MergeTest, ATailThatWasCutOffStaysZero) {
  Create("", "f");
  Write("f", 0, std::string(2 * kBlock, 'w'));
  Freeze();
  Resize("f", kBlock + 10);
  Freeze();
  Resize("f", 3 * kBlock);
  Freeze();
  MergeAndSwap(0, 3);
  EXPECT_EQ(Content("f"), std::string(kBlock + 10, 'w') + std::string(2 * kBlock - 10, '\0'));
}

TEST_F(MergeTest, FilesThatEndedAreGone) {
  Create("", "f");
  Write("f", 0, std::string(4 * kBlock, 'w'));
  const vfs::Inode held = Create("", "held");
  ASSERT_TRUE(volume_->Lookup(vfs::kRootInode, "held").has_value());
  Write("held", 0, std::string(4 * kBlock, 'h'));
  Freeze();
  Unlink("", "f");
  Unlink("", "held");
  Freeze();
  volume_->Forget(held, 1);  // its end is in the topmost layer
  EXPECT_EQ(Blobs(layers_[0]).size(), 2U);
  ASSERT_TRUE(volume_->Close().has_value());
  MergeAndSwap(0, 2);
  EXPECT_TRUE(Blobs(layers_[0]).empty());
  const auto facts = ReadLayerFacts(layers_[0]);
  EXPECT_EQ(facts->data_bytes, 0U);
  EXPECT_EQ(facts->nodes, 1U) << "the root";
  EXPECT_EQ(vfs::ListAt(*volume_, "").value(), (std::vector<std::string>{"base", "d", "e"}));
}

TEST_F(MergeTest, NamesThatCameAndWentAreForgotten) {
  for (int layer = 0; layer < 3; ++layer) {
    for (int i = 0; i < 200; ++i) {
      const std::string name = "t" + std::to_string(layer) + '_' + std::to_string(i);
      Create("base", name);
      if (layer > 0) Unlink("base", "t" + std::to_string(layer - 1) + '_' + std::to_string(i));
    }
    Freeze();
  }
  const uint64_t before = ReadLayerFacts(layers_[2])->log_bytes;
  MergeAndSwap(0, 3);
  EXPECT_LT(ReadLayerFacts(layers_[0])->log_bytes, before);
  EXPECT_EQ(vfs::ListAt(*volume_, "base").value().size(), 203U);
}

TEST_F(MergeTest, ASourceThatChangedIsStillFound) {
  Write("base/1", 0, "changed");
  Freeze();
  Write("base/1", kBlock, "changed");
  Freeze();
  MergeAndSwap(0, 2);
  volume_.reset();
  image_ = ImageOf({{"base/1", std::string(6 * kBlock, 'o')}});
  Open();
  std::string bytes(10, '?');
  const vfs::Inode file = Find("base/1");
  EXPECT_EQ(ErrorOf(volume_->Read(file, 0, std::as_writable_bytes(std::span(bytes)))), 0);
  EXPECT_EQ(ErrorOf(volume_->Read(file, 3 * kBlock, std::as_writable_bytes(std::span(bytes)))), EIO);
}

TEST_F(MergeTest, WhatCannotBeMergedIsRefused) {
  Write("base/1", 0, std::string(4 * kBlock, 'w'));
  Freeze();
  Write("base/1", kBlock, "w");
  Freeze();
  const auto code = [](const MergeOptions& options) { return MergeLayers(options).error().code(); };
  EXPECT_EQ(code(Options(0, 3)), ErrorCode::kInvalidArgument) << "the topmost is not sealed";
  EXPECT_EQ(code(Options(0, 0)), ErrorCode::kInvalidArgument);
  MergeOptions options = Options(0, 2);
  options.directory = layers_[2];
  EXPECT_EQ(code(options), ErrorCode::kAlreadyExists);
  options = Options(0, 2);
  options.run[0] = place_.path() + "/missing";
  EXPECT_EQ(code(options), ErrorCode::kNotFound);
  options = Options(0, 2);
  options.progress = [](uint64_t, uint64_t) { return Fail(ErrorCode::kCancelled, "enough"); };
  EXPECT_EQ(code(options), ErrorCode::kCancelled);
  EXPECT_EQ(ReadLayerFacts(options.directory).error().code(), ErrorCode::kNotFound) << "it is no layer";
  const std::string blob = layers_[0] + "/blobs/" + Blobs(layers_[0])[0];
  ASSERT_TRUE(io::File::Open(blob, O_RDWR)->Truncate(2 * kBlock).has_value());
  EXPECT_EQ(code(Options(0, 2)), ErrorCode::kCorrupt);
}

// --- on a disk that fails or loses its power ---
class MergeOnDiskTest : public ::testing::Test {
 protected:
  static constexpr const char* kMerged = "/disk/merged";

  MergeOnDiskTest() : image_(ImageOf({{"a", std::string(3 * kBlock, 'o')}, {"b", "two"}})) {
    SimulatedDisk disk(1);
    auto volume = OpenVolume(image_, layers_, &disk);
    for (int layer = 1; layer <= 3; ++layer) {
      const std::string mark(kBlock + 100, static_cast<char>('A' + layer));
      const auto a = volume->Lookup(vfs::kRootInode, "a")->inode;
      EXPECT_EQ(ErrorOf(volume->Write(a, static_cast<uint64_t>(layer) * 2000, AsBytes(mark))), 0);
      const auto made = volume->CreateFile(vfs::kRootInode, "f" + std::to_string(layer), 0600, kOwner)->inode;
      EXPECT_EQ(ErrorOf(volume->Write(made, 0, AsBytes(mark))), 0);
      const std::string before = "f" + std::to_string(layer - 1);
      EXPECT_EQ(ErrorOf(volume->Unlink(vfs::kRootInode, before)), layer == 1 ? ENOENT : 0);
      layers_.push_back("/disk/" + std::to_string(layer));
      EXPECT_TRUE(MakeLayer(layers_.back(), disk).has_value());
      EXPECT_TRUE(volume->Freeze(layers_.back())->sealed.has_value());
    }
    EXPECT_TRUE(volume->Close().has_value());
    volume.reset();
    expected_ = TreeOf(image_, layers_, &disk);
    snapshot_ = disk.Save();
  }
  Result<MergeReport> Merge(SimulatedDisk& disk, const std::string& directory = kMerged) {
    return MergeLayers({.below = {},
                        .run = {layers_.begin(), layers_.end() - 1},
                        .directory = directory,
                        .image = image_,
                        .progress = {}},
                       disk);
  }
  std::vector<std::string> MergedStack() { return {kMerged, layers_.back()}; }

  std::shared_ptr<const image::Image> image_;
  std::vector<std::string> layers_{"/disk/0"};
  Tree expected_;
  SimulatedDisk::Snapshot snapshot_;
};

TEST_F(MergeOnDiskTest, WhatWasMergedSurvivesAPowerCut) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimulatedDisk disk(seed);
    disk.Load(snapshot_);
    ASSERT_TRUE(Merge(disk).has_value());
    disk.Cut();
    EXPECT_EQ(TreeOf(image_, MergedStack(), &disk), expected_) << seed;
    EXPECT_EQ(TreeOf(image_, layers_, &disk), expected_) << seed;
  }
}

TEST_F(MergeOnDiskTest, APowerCutDuringAMergeLeavesTheOldLayersWhole) {
  bool finished = false;
  for (uint64_t number = 1; !finished; ++number) {
    for (uint64_t seed = 0; seed < 8; ++seed) {
      SimulatedDisk disk(number * 100 + seed);
      disk.Load(snapshot_);
      disk.FailAt(number, SimulatedDisk::Fault::kIo, true);  // as if nothing were done from here on
      finished = Merge(disk).has_value();
      disk.StopFailing();
      disk.Cut();
      ASSERT_EQ(TreeOf(image_, layers_, &disk), expected_) << number;
      const auto facts = ReadLayerFacts(kMerged, disk);
      if (facts && facts->sealed) {
        EXPECT_EQ(TreeOf(image_, MergedStack(), &disk), expected_) << "a log was there before its data: " << number;
      }
    }
  }
}

TEST_F(MergeOnDiskTest, EveryOperationMayFailAndNothingIsLost) {
  using Fault = SimulatedDisk::Fault;
  uint64_t operations = 0;
  for (const Fault fault : {Fault::kIo, Fault::kNoSpace, Fault::kShortWrite}) {
    bool failed = true;
    for (uint64_t number = 1; failed; ++number) {
      SimulatedDisk disk(number);
      disk.Load(snapshot_);
      disk.FailAt(number, fault, false);
      const auto merged = Merge(disk);
      failed = disk.failed();
      disk.StopFailing();
      operations = std::max(operations, number);
      ASSERT_EQ(TreeOf(image_, layers_, &disk), expected_) << number;
      if (merged) {
        EXPECT_EQ(TreeOf(image_, MergedStack(), &disk), expected_) << number;
      }
      ASSERT_TRUE(Merge(disk, "/disk/again").has_value()) << number;
      EXPECT_EQ(TreeOf(image_, {"/disk/again", layers_.back()}, &disk), expected_) << number;
    }
  }
  EXPECT_GT(operations, 20U);
}

}  // namespace
}  // namespace pgstrata::layer
