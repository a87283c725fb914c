// A volume that may hold so much and no more.
#include <gtest/gtest.h>

#include "tests/layer/volume_fixture.h"
#include "tests/support/scratch_directory.h"
#include "tests/vfs/conformance/suite.h"

namespace pgstrata::layer {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;
constexpr uint64_t kPiece = 64 << 10;

class LimitTest : public testing::Test {
 protected:
  LimitTest() { volume_ = OpenVolume(image_, {place_.path() + "/layer"}); }

  vfs::Inode Create(const std::string& name) { return volume_->CreateFile(vfs::kRootInode, name, 0600, {})->inode; }
  vfs::Inode Find(const std::string& name) { return volume_->Lookup(vfs::kRootInode, name)->inode; }
  int Write(vfs::Inode file, uint64_t offset, uint64_t size = kPiece) {
    return vfs::ErrorOf(volume_->Write(file, offset, AsBytes(std::string(size, 'n'))));
  }
  // Writes piece after piece from `offset` on until that is refused, or up to `most`; how many bytes were taken.
  uint64_t Fill(vfs::Inode file, uint64_t offset, uint64_t most) {
    uint64_t done = 0;
    int error = 0;
    while (done < most && (error = Write(file, offset + done)) == 0) done += kPiece;
    EXPECT_TRUE(done == most || error == ENOSPC) << error;
    return done;
  }
  uint64_t Held() { return volume_->Statistics().layer_bytes; }

  const test::ScratchDirectory place_;
  const std::shared_ptr<test::MemoryImage> image_ = ImageOf({{"f", std::string(8 * kMebibyte, 'o')}});
  std::unique_ptr<Volume> volume_;
};

TEST_F(LimitTest, WithoutOneThereIsNone) { EXPECT_EQ(Fill(Create("g"), 0, 4 * kMebibyte), 4 * kMebibyte); }

TEST_F(LimitTest, FilesGrowUpToItLessWhatIsHeldBackForChanges) {
  volume_->Limit(16 * kMebibyte);
  const vfs::Inode grown = Create("g");
  EXPECT_EQ(Fill(grown, 0, 100 * kMebibyte), 14 * kMebibyte);
  // What is there can be written again; what the image has can be changed until the rest is used up.
  EXPECT_EQ(Write(grown, 5 * kMebibyte), 0);
  EXPECT_EQ(Fill(Find("f"), 0, 8 * kMebibyte), 2 * kMebibyte);
  EXPECT_EQ(Held(), 16 * kMebibyte);
  EXPECT_EQ(Write(grown, 5 * kMebibyte), 0);
  EXPECT_EQ(Write(Find("f"), 0), 0);
}

TEST_F(LimitTest, OfALargeOneNoMoreThan64MebibytesAreHeldBack) {
  volume_->Limit(uint64_t{4} << 30);
  const vfs::Inode grown = Create("g");
  uint64_t done = 0;
  while (done < uint64_t{5} << 30 && vfs::ErrorOf(volume_->Allocate(grown, {}, done, kPiece)) == 0 &&
         Write(grown, done, kBlockSize) == 0) {
    done += uint64_t{1} << 30;
  }
  EXPECT_EQ(done, uint64_t{5} << 30) << "sparse: the blocks count, not the length";
  volume_->Limit(uint64_t{600} << 20);
  EXPECT_EQ(vfs::ErrorOf(volume_->Allocate(grown, {}, uint64_t{5} << 30, uint64_t{537} << 20)), ENOSPC);
}

TEST_F(LimitTest, SmallFilesAreWrittenFromWhatIsHeldBack) {
  volume_->Limit(16 * kMebibyte);
  Fill(Create("g"), 0, 100 * kMebibyte);
  EXPECT_EQ(Fill(Create("small"), 0, 4 * kMebibyte), kMebibyte);
  EXPECT_EQ(Fill(Create("also small"), 0, 4 * kMebibyte), kMebibyte);
  EXPECT_EQ(Fill(Create("too much"), 0, 4 * kMebibyte), 0U);
}

TEST_F(LimitTest, RemovingMakesRoom) {
  volume_->Limit(8 * kMebibyte);
  const vfs::Inode grown = Create("g");
  Fill(grown, 0, 100 * kMebibyte);
  Fill(Find("f"), 0, 8 * kMebibyte);
  EXPECT_EQ(vfs::ErrorOf(volume_->SetAttributes(grown, {.size = 5 * kMebibyte})), 0);
  EXPECT_EQ(Fill(Create("h"), 0, 100 * kMebibyte), kMebibyte);
  EXPECT_EQ(vfs::ErrorOf(volume_->Unlink(vfs::kRootInode, "g")), 0);
  volume_->Forget(grown, 1);
  EXPECT_EQ(Fill(Create("i"), 0, 100 * kMebibyte), 5 * kMebibyte);
}

TEST_F(LimitTest, WhoHoldsMoreAlreadyCanStillChangeButNotGrow) {
  const vfs::Inode grown = Create("g");
  Fill(grown, 0, 20 * kMebibyte);
  volume_->Limit(8 * kMebibyte);
  EXPECT_EQ(Write(grown, 20 * kMebibyte), ENOSPC);
  EXPECT_EQ(Fill(Find("f"), 0, 8 * kMebibyte), kMebibyte);
  volume_->Limit(0);
  EXPECT_EQ(Write(grown, 20 * kMebibyte), 0);
}

TEST_F(LimitTest, LayersThatAreSharedDoNotCount) {
  Fill(Create("g"), 0, 4 * kMebibyte);
  ASSERT_TRUE(volume_->Close().has_value());
  volume_.reset();
  ASSERT_TRUE(SealLayer(place_.path() + "/layer").has_value());
  ASSERT_TRUE(MakeLayer(place_.path() + "/top").has_value());
  auto opened = Volume::Open(
      {.image = image_, .layers = {place_.path() + "/layer", place_.path() + "/top"}, .owner = {}, .own_from = 1});
  ASSERT_TRUE(opened.has_value()) << opened.error().message();
  volume_ = *std::move(opened);
  volume_->Limit(8 * kMebibyte);
  EXPECT_EQ(Fill(Find("g"), 4 * kMebibyte, 100 * kMebibyte), 7 * kMebibyte);
  EXPECT_EQ(Fill(Find("g"), 0, 4 * kMebibyte), kMebibyte) << "what a lower layer holds is changed, not added";
}

// A kernel that writes back late takes the file for as long as it was to be.
TEST_F(LimitTest, WhatCouldNotBeAddedIsAnErrorToReadAndNotZeros) {
  volume_->Limit(8 * kMebibyte);
  const vfs::Inode grown = Create("g");
  const uint64_t length = Fill(grown, 0, 100 * kMebibyte);
  std::string bytes(kPiece, '?');
  const auto read = [&](uint64_t offset) {
    return volume_->Read(grown, offset, std::as_writable_bytes(std::span(bytes)));
  };
  EXPECT_EQ(read(length - kPiece), kPiece);
  EXPECT_EQ(vfs::ErrorOf(read(length)), EIO);
  EXPECT_EQ(vfs::ErrorOf(read(length - 1)), EIO);
  EXPECT_EQ(read(length + kPiece), 0U);
  volume_->Limit(0);
  EXPECT_EQ(Write(grown, length + kPiece), 0);
  EXPECT_EQ(vfs::ErrorOf(read(length)), EIO);
  EXPECT_EQ(read(length + kPiece), kPiece);
  EXPECT_EQ(Write(grown, length), 0);
  EXPECT_EQ(read(length), kPiece);
}

TEST_F(LimitTest, WhatCouldNotBeAddedIsForgottenWhenItIsCutOff) {
  volume_->Limit(8 * kMebibyte);
  const vfs::Inode grown = Create("g");
  const uint64_t length = Fill(grown, 0, 100 * kMebibyte);
  EXPECT_EQ(vfs::ErrorOf(volume_->SetAttributes(grown, {.size = length})), 0);
  std::string bytes(kPiece, '?');
  EXPECT_EQ(volume_->Read(grown, length, std::as_writable_bytes(std::span(bytes))), 0U);
}

}  // namespace
}  // namespace pgstrata::layer
