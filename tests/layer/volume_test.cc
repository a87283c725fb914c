#include "volume/layer/volume.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include "foundation/io/directory.h"
#include "tests/layer/faulty_image.h"
#include "tests/layer/volume_fixture.h"
#include "tests/support/scratch_directory.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::layer {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kWalSegment = 16 << 20;

class VolumeTest : public ::testing::Test {
 protected:
  void Start(const std::shared_ptr<const image::Image>& image, size_t max_open_files = 0) {
    volume_ = MakeVolume(image, layer(), max_open_files);
  }
  void Start(const std::map<std::string, std::string>& tree) { Start(ImageOf(tree)); }
  [[nodiscard]] std::string layer() const { return place_.path() + "/layer"; }
  Volume& volume() { return *volume_; }
  vfs::Inode InodeOf(std::string_view path) {
    vfs::Inode at = vfs::kRootInode;
    for (const auto part : Split(path, '/')) {
      const auto found = volume().Lookup(at, part);
      EXPECT_TRUE(found.has_value()) << path;
      if (!found) return {};
      at = found->inode;
    }
    return at;
  }
  vfs::Inode Create(std::string_view name) {
    return volume().CreateFile(vfs::kRootInode, name, 0600, kOwner).value().inode;
  }
  int Write(vfs::Inode inode, uint64_t offset, std::string_view bytes) {
    const auto status = volume().Write(inode, offset, AsBytes(bytes));
    return status ? 0 : status.error().value;
  }
  std::string Content(vfs::Inode inode) {
    std::string bytes(volume().GetAttributes(inode)->size, '?');
    const auto count = volume().Read(inode, 0, std::as_writable_bytes(std::span(bytes)));
    if (!count) return "errno " + std::to_string(count.error().value);
    return bytes.substr(0, *count);
  }
  std::vector<std::string> Blobs() { return io::ListDirectory(layer()).value(); }

 private:
  test::ScratchDirectory place_;
  std::unique_ptr<Volume> volume_;
};

TEST_F(VolumeTest, NothingIsCopiedByWorkOnNames) {
  Start({{"base/5/1259", std::string(100'000, 'x')}});
  const vfs::Inode file = InodeOf("base/5/1259");
  const vfs::Inode directory = InodeOf("base/5");
  ASSERT_TRUE(volume().SetAttributes(file, {.mode = 0400, .uid = 7, .gid = 8, .modified = timespec{}}).has_value());
  ASSERT_TRUE(volume().Rename(directory, "1259", vfs::kRootInode, "moved", vfs::RenameMode::kReplace).has_value());
  ASSERT_TRUE(volume().Link(file, directory, "linked").has_value());
  EXPECT_EQ(Content(file), std::string(100'000, 'x'));
  EXPECT_THAT(Blobs(), IsEmpty());
  EXPECT_EQ(volume().Statistics().layer_bytes, 0U);
}

TEST_F(VolumeTest, OneChangedByteCostsOneBlock) {
  Start({{"f", std::string(1'000'000, 'x')}});
  ASSERT_EQ(Write(InodeOf("f"), 500'000, "y"), 0);
  EXPECT_EQ(volume().Statistics().layer_bytes, 4096U);
  EXPECT_LE(io::AllocatedBytes(layer()).value(), 3U * 4096);
  std::string expected(1'000'000, 'x');
  expected[500'000] = 'y';
  EXPECT_EQ(Content(InodeOf("f")), expected);
}

TEST_F(VolumeTest, ZeroFilledWalSegmentCostsNoDisk) {
  Start({{"f", ""}});
  const vfs::Inode segment = Create("000000010000000000000001");
  const std::string zeros(1 << 20, '\0');
  for (uint64_t at = 0; at < kWalSegment; at += zeros.size()) ASSERT_EQ(Write(segment, at, zeros), 0);
  EXPECT_EQ(volume().GetAttributes(segment)->size, kWalSegment);
  EXPECT_THAT(Blobs(), IsEmpty());
  EXPECT_EQ(volume().GetAttributes(segment)->blocks, 0U);
}

TEST_F(VolumeTest, ZerosOverTheImageHideItAndCostNoDisk) {
  Start({{"f", std::string(3 * kBlock, 'x')}});
  const vfs::Inode file = InodeOf("f");
  ASSERT_EQ(Write(file, 4096, std::string(4096, '\0')), 0);
  EXPECT_EQ(Content(file), std::string(4096, 'x') + std::string(4096, '\0') + std::string(4096, 'x'));
  EXPECT_THAT(Blobs(), IsEmpty());
  EXPECT_EQ(volume().GetAttributes(file)->blocks, 16U);
}

TEST_F(VolumeTest, TruncatedFileOfTheImageStaysTruncatedAfterExtension) {
  Start({{"f", std::string(10'000, 'x')}});
  const vfs::Inode file = InodeOf("f");
  ASSERT_TRUE(volume().SetAttributes(file, {.size = 5'000}).has_value());
  ASSERT_TRUE(volume().SetAttributes(file, {.size = 9'000}).has_value());
  EXPECT_EQ(Content(file), std::string(5'000, 'x') + std::string(4'000, '\0'));
  EXPECT_THAT(Blobs(), IsEmpty());
}

TEST_F(VolumeTest, BlobGoesWithTheLastReferenceOfAnUnlinkedFile) {
  Start({{"f", "old"}});
  const vfs::Inode file = InodeOf("f");
  ASSERT_EQ(Write(file, 0, "new"), 0);
  EXPECT_THAT(Blobs(), SizeIs(1));
  ASSERT_TRUE(volume().Unlink(vfs::kRootInode, "f").has_value());
  EXPECT_THAT(Blobs(), SizeIs(1));
  EXPECT_EQ(Content(file), "new");
  volume().Forget(file, 1);
  EXPECT_THAT(Blobs(), IsEmpty());
  EXPECT_EQ(volume().Statistics().layer_bytes, 0U);
}

TEST_F(VolumeTest, BlobGoesAtOnceWhenNobodyHoldsTheReplacedFile) {
  Start({{"f", "old"}, {"g", "other"}});
  const vfs::Inode file = InodeOf("f");
  ASSERT_EQ(Write(file, 0, "new"), 0);
  volume().Forget(file, 1);
  ASSERT_TRUE(volume().Rename(vfs::kRootInode, "g", vfs::kRootInode, "f", vfs::RenameMode::kReplace).has_value());
  EXPECT_THAT(Blobs(), IsEmpty());
}

TEST_F(VolumeTest, TruncationAndHolesGiveSpaceBack) {
  Start({{"f", ""}});
  const vfs::Inode file = InodeOf("f");
  ASSERT_EQ(Write(file, 0, std::string(1 << 20, 'x')), 0);
  EXPECT_GE(io::AllocatedBytes(layer()).value(), uint64_t{1} << 20);
  const vfs::AllocationMode punch{.keep_size = true, .punch_hole = true};
  ASSERT_TRUE(volume().Allocate(file, punch, 0, 1 << 19).has_value());
  EXPECT_LT(io::AllocatedBytes(layer()).value(), (uint64_t{1} << 19) + 65'536);
  ASSERT_TRUE(volume().SetAttributes(file, {.size = 0}).has_value());
  EXPECT_LT(io::AllocatedBytes(layer()).value(), 65'536U);
}

TEST_F(VolumeTest, ImageIsShownWithTheOwnerOfTheVolume) {
  Start({{"d/f", "x"}});
  for (const char* path : {"", "d", "d/f"}) {
    const auto attributes = volume().GetAttributes(path[0] == '\0' ? vfs::kRootInode : InodeOf(path));
    EXPECT_EQ(attributes->uid, kShownOwner.uid) << path;
    EXPECT_EQ(attributes->gid, kShownOwner.gid) << path;
  }
}

TEST_F(VolumeTest, RootIsPrivateOrReadableByItsGroup) {
  for (const auto& [mode, shown] : {std::pair{0700U, 0700U}, {0750U, 0750U}, {0755U, 0700U}, {0777U, 0700U}}) {
    const test::ScratchDirectory place;
    auto image = std::make_shared<test::MemoryImage>();
    image->AddDirectory("", mode);
    const auto volume = MakeVolume(image, place.path() + "/layer");
    EXPECT_EQ(volume->GetAttributes(vfs::kRootInode)->mode, S_IFDIR | shown);
  }
}

TEST_F(VolumeTest, Trap42RootsOfTwoVolumesHaveDifferentNumbers) {
  const test::ScratchDirectory place;
  Start({{"f", "x"}});
  const auto other = MakeVolume(ImageOf({{"f", "x"}}), place.path() + "/layer");
  const uint64_t one = volume().GetAttributes(vfs::kRootInode)->shown_inode;
  const uint64_t two = other->GetAttributes(vfs::kRootInode)->shown_inode;
  EXPECT_NE(static_cast<uint32_t>(one), static_cast<uint32_t>(two));  // all of it that PostgreSQL's key holds
  EXPECT_NE(static_cast<uint32_t>(one), 0U);
  EXPECT_LT(one, uint64_t{1} << 48);
}

TEST_F(VolumeTest, LayerDirectoryInUseIsRefused) {
  Start({{"f", "x"}});
  ASSERT_EQ(Write(InodeOf("f"), 0, "y"), 0);
  const auto second = Volume::Create({.image = ImageOf({}), .directory = layer(), .owner = kOwner});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::kAlreadyExists);
}

TEST_F(VolumeTest, UnusedDirectoryIsNotListed) {
  auto image = std::make_shared<test::FaultyImage>(ImageOf({{"a/f", "x"}, {"b/f", "x"}}));
  Start(image);
  InodeOf("a/f");
  InodeOf("b");
  image->fail_lists = true;
  EXPECT_EQ(volume().Lookup(InodeOf("a"), "f").has_value(), true);
  EXPECT_EQ(volume().Lookup(InodeOf("b"), "f").error().value, EIO);
  image->fail_lists = false;
  EXPECT_TRUE(volume().Lookup(InodeOf("b"), "f").has_value());
}

TEST_F(VolumeTest, OpenFilesAreBounded) {
  std::map<std::string, std::string> tree;
  for (int i = 0; i < 200; ++i) tree["f" + std::to_string(i)] = "x";
  auto image = std::make_shared<test::FaultyImage>(ImageOf(tree));
  Start(image, 10);
  for (int round = 0; round < 3; ++round) {
    for (const auto& [path, content] : tree) {
      const vfs::Inode file = InodeOf(path);
      std::byte byte{};
      ASSERT_TRUE(volume().Read(file, 0, MutableBytes(&byte, 1)).has_value());
      ASSERT_EQ(Write(file, 4096, "y"), 0);
    }
  }
  EXPECT_LE(image->most_open, 11);
  const auto descriptors = io::ListDirectory("/proc/self/fd").value();
  EXPECT_LT(descriptors.size(), 40U);
}

TEST_F(VolumeTest, ProcessWithoutDescriptorsLeftClosesFilesInsteadOfFailing) {
  {
    // UBSan checks an object of a type for the first time through a pipe, for which there would be no descriptors
    // later.
    const auto other = MakeVolume(ImageOf({}), layer() + ".other", 1);
    for (const char* name : {"a", "b"}) {
      const vfs::Inode file = other->CreateFile(vfs::kRootInode, name, 0600, kOwner).value().inode;
      EXPECT_TRUE(other->Write(file, 0, AsBytes("x")).has_value());
    }
  }
  Start(ImageOf({{"f", ""}}), 100'000);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit tight = before;
  tight.rlim_cur = io::ListDirectory("/proc/self/fd").value().size() + 10;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &tight), 0);
  constexpr int kFiles = 50;
  std::vector<vfs::Inode> files;
  files.reserve(kFiles);
  for (int i = 0; i < kFiles; ++i) files.push_back(Create("g" + std::to_string(i)));
  for (const vfs::Inode file : files) EXPECT_EQ(Write(file, 0, "x"), 0);
  for (const vfs::Inode file : files) EXPECT_EQ(Content(file), "x");
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(VolumeTest, FailedReadOfTheImageIsAnErrorAndNeverZeros) {
  const std::string content(100'000, 'x');
  auto image = std::make_shared<test::FaultyImage>(ImageOf({{"f", content}}));
  Start(image);
  const vfs::Inode file = InodeOf("f");
  ASSERT_EQ(Write(file, 8192, std::string(4096, 'y')), 0);
  std::string expected = content;
  expected.replace(8192, 4096, std::string(4096, 'y'));
  for (int failing = 1; failing <= 2; ++failing) {
    image->failing_read = image->reads + failing;
    EXPECT_EQ(Content(file), "errno 5");
    EXPECT_EQ(Content(file), expected);
  }
}

TEST_F(VolumeTest, FailedCompletionOfABlockIsAnErrorAndLeavesTheOldBytes) {
  const std::string content(10'000, 'x');
  auto image = std::make_shared<test::FaultyImage>(ImageOf({{"f", content}}));
  Start(image);
  const vfs::Inode file = InodeOf("f");
  image->fail_all_reads = true;
  EXPECT_EQ(Write(file, 100, "y"), EIO);
  EXPECT_EQ(Write(file, 9'999, "yy"), EIO);
  EXPECT_EQ(volume().GetAttributes(file)->size, 10'000U);
  // What covers all that is to be seen of a block needs nothing from below.
  EXPECT_EQ(Write(file, 8192, std::string(1'808, 'z')), 0);
  image->fail_all_reads = false;
  EXPECT_EQ(Content(file), content.substr(0, 8192) + std::string(1'808, 'z'));
}

TEST_F(VolumeTest, FileThatCannotBeOpenedIsAnError) {
  auto image = std::make_shared<test::FaultyImage>(ImageOf({{"f", "x"}}));
  Start(image);
  image->fail_opens = true;
  EXPECT_EQ(Content(InodeOf("f")), "errno 5");
  image->fail_opens = false;
  EXPECT_EQ(Content(InodeOf("f")), "x");
}

TEST_F(VolumeTest, BlobThatLostItsEndIsAnErrorAndNeverZeros) {
  Start({{"f", ""}});
  const vfs::Inode file = InodeOf("f");
  ASSERT_EQ(Write(file, 0, std::string(8192, 'x')), 0);
  ASSERT_EQ(::truncate((layer() + '/' + Blobs().at(0)).c_str(), 4096), 0);
  EXPECT_EQ(Content(file), "errno 5");
}

TEST_F(VolumeTest, HolesOfTheImageAreFound) {
  const std::string content = std::string(4096, 'x') + std::string(3 * kBlock, '\0') + std::string(100, 'y');
  Start(std::make_shared<test::FaultyImage>(ImageOf({{"f", content}})));
  const vfs::Inode file = InodeOf("f");
  EXPECT_EQ(volume().Seek(file, 4096, vfs::SeekTarget::kHole).value(), 4096U);
  EXPECT_EQ(volume().Seek(file, 4096, vfs::SeekTarget::kData).value(), 4U * 4096);
  const vfs::Inode copy = Create("copy");
  EXPECT_EQ(volume().CopyRange(file, 4096, copy, 4096, 1'000'000).value(), content.size() - 4096);
  EXPECT_EQ(Content(copy), std::string(4 * kBlock, '\0') + std::string(100, 'y'));
  EXPECT_EQ(volume().GetAttributes(copy)->blocks, 8U);
}

TEST_F(VolumeTest, HugeSparseFileCostsNothing) {
  Start({{"f", ""}});
  const vfs::Inode file = Create("huge");
  const uint64_t size = uint64_t{1} << 43;
  ASSERT_TRUE(volume().SetAttributes(file, {.size = size}).has_value());
  ASSERT_EQ(Write(file, size - 4096, "end"), 0);
  EXPECT_EQ(volume().GetAttributes(file)->blocks, 8U);
  EXPECT_EQ(volume().Seek(file, 0, vfs::SeekTarget::kData).value(), size - 4096);
  EXPECT_EQ(Write(file, uint64_t{1} << 44, "x"), EFBIG);
  EXPECT_EQ(volume().SetAttributes(file, {.size = uint64_t{1} << 50}).error().value, EFBIG);
  EXPECT_EQ(volume().Allocate(file, {}, ~uint64_t{0} - 5, 10).error().value, EFBIG);
}

TEST_F(VolumeTest, DirectoryIsRemovedWhileItIsListed) {
  std::map<std::string, std::string> tree;
  for (int i = 0; i < 300; ++i) tree["d/f" + std::to_string(i)] = "";
  Start(tree);
  const vfs::Inode directory = InodeOf("d");
  const auto status = volume().ReadDirectory(directory, 0, [&](const vfs::DirectoryEntry& entry) {
    return volume().Unlink(directory, entry.name).has_value();
  });
  ASSERT_TRUE(status.has_value());
  EXPECT_TRUE(volume().RemoveDirectory(vfs::kRootInode, "d").has_value());
}

TEST_F(VolumeTest, WorkIsCounted) {
  Start({{"f", std::string(8192, 'x')}});
  const vfs::Inode file = InodeOf("f");
  ASSERT_EQ(Write(file, 0, std::string(4096, 'y')), 0);
  Content(file);
  const VolumeStatistics seen = volume().Statistics();
  EXPECT_EQ(seen.writes, 1U);
  EXPECT_EQ(seen.bytes_written, 4096U);
  EXPECT_EQ(seen.reads, 1U);
  EXPECT_EQ(seen.bytes_read, 8192U);
  EXPECT_EQ(seen.base_bytes_read, 4096U);
  EXPECT_EQ(seen.layer_bytes_read, 4096U);
  EXPECT_EQ(seen.layer_bytes, 4096U);
}

TEST_F(VolumeTest, PathsCanBeEditedBeforeItIsMounted) {
  Start({{"backup_label", "START"}, {"pg_replslot/one/state", "x"}, {"postgresql.auto.conf", "port = 1"}});
  ASSERT_TRUE(vfs::RemoveAt(volume(), "pg_replslot/one").has_value());
  ASSERT_TRUE(vfs::WriteFileAt(volume(), "postgresql.auto.conf", AsBytes("p"), 0600, kOwner).has_value());
  ASSERT_TRUE(vfs::RemoveAt(volume(), "backup_label").has_value());
  EXPECT_EQ(vfs::ReadFileAt(volume(), "postgresql.auto.conf").value(), "p");
  EXPECT_THAT(vfs::ListAt(volume(), "pg_replslot").value(), IsEmpty());
  EXPECT_FALSE(vfs::ExistsAt(volume(), "backup_label"));
}

}  // namespace
}  // namespace pgstrata::layer
