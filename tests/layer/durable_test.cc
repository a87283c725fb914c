// Durable volumes: what is there when one is opened again.
#include <gtest/gtest.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "foundation/io/file.h"
#include "tests/layer/faulty_image.h"
#include "tests/layer/volume_fixture.h"
#include "tests/support/scratch_directory.h"
#include "tests/vfs/conformance/suite.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::layer {
namespace {

using vfs::ErrorOf;

class DurableTest : public ::testing::Test {
 protected:
  explicit DurableTest()
      : image_(ImageOf({{"base/1", std::string(3 * kBlock, 'o')}, {"base/2", "two"}, {"d/x", "x"}})) {}

  void Open() {
    volume_.reset();
    volume_ = OpenVolume(image_, layers_);
  }
  // Everything that was not synced is lost with the process.
  void Reopen() { Open(); }
  void Freeze() {
    layers_.push_back(place_.path() + '/' + std::to_string(layers_.size()));
    ASSERT_TRUE(MakeLayer(layers_.back()).has_value());
    const auto frozen = volume_->Freeze(layers_.back());
    ASSERT_TRUE(frozen.has_value()) << frozen.error().message();
    ASSERT_TRUE(frozen->sealed.has_value()) << frozen->sealed.error().message();
  }
  vfs::Attributes Find(std::string_view path) {
    vfs::Attributes found{.inode = vfs::kRootInode};
    while (!path.empty()) {
      const size_t slash = path.find('/');
      const auto next = volume_->Lookup(found.inode, path.substr(0, slash));
      EXPECT_TRUE(next.has_value()) << path;
      if (!next) return {};
      found = *next;
      path = slash == path.npos ? "" : path.substr(slash + 1);
    }
    return found;
  }
  std::string Content(std::string_view path) {
    const auto content = vfs::ReadFileAt(*volume_, path);
    return content ? *content : "error: " + content.error().message();
  }
  void Write(std::string_view path, uint64_t offset, const std::string& bytes) {
    EXPECT_EQ(ErrorOf(volume_->Write(Find(path).inode, offset, AsBytes(bytes))), 0);
  }
  void Sync(std::string_view path) { EXPECT_EQ(ErrorOf(volume_->Sync(Find(path).inode, false)), 0); }
  void SyncDirectory() { EXPECT_EQ(ErrorOf(volume_->SyncDirectory(vfs::kRootInode)), 0); }
  vfs::Inode Create(std::string_view parent, std::string_view name) {
    return volume_->CreateFile(Find(parent).inode, name, 0640, kOwner)->inode;
  }
  std::vector<std::string> List(std::string_view path) { return vfs::ListAt(*volume_, path).value(); }
  std::string LogOf(size_t layer) { return io::ReadWholeFile(layers_[layer] + "/log").value(); }

  const test::ScratchDirectory place_;
  std::shared_ptr<const image::Image> image_;
  std::vector<std::string> layers_{place_.path() + "/0"};
  std::unique_ptr<Volume> volume_;
};

TEST_F(DurableTest, UnsafeSyncsPromiseNothingAndFlushDoes) {
  Open();
  volume_.reset();
  const auto open_unsafe = [&] {
    auto volume = Volume::Open({.image = image_, .layers = layers_, .owner = kShownOwner, .unsafe_syncs = true});
    ASSERT_TRUE(volume.has_value()) << volume.error().message();
    volume_ = *std::move(volume);
  };
  open_unsafe();
  Write("base/2", 0, "TWO");
  Sync("base/2");
  SyncDirectory();
  EXPECT_EQ(Content("base/2"), "TWO");
  Reopen();
  EXPECT_EQ(Content("base/2"), "two");
  volume_.reset();
  open_unsafe();
  Write("base/2", 0, "TWO");
  EXPECT_TRUE(volume_->Close().has_value());
  Reopen();
  EXPECT_EQ(Content("base/2"), "TWO");
}

TEST_F(DurableTest, WhatWasSyncedIsThereAndWhatWasNotIsOld) {
  Open();
  Write("base/1", kBlock, "synced");
  Sync("base/1");
  Write("base/2", 0, "lost");
  Reopen();
  EXPECT_EQ(Content("base/1"), std::string(kBlock, 'o') + "synced" + std::string(2 * kBlock - 6, 'o'));
  EXPECT_EQ(Content("base/2"), "two");
}

TEST_F(DurableTest, TimesAloneAreNoReasonToWaitForTheLog) {
  Open();
  Write("base/1", 0, "first");
  Sync("base/1");
  const vfs::Inode file = Find("base/1").inode;
  const size_t logged = LogOf(0).size();
  Write("base/1", 0, "again");
  ASSERT_TRUE(volume_->SetAttributes(file, {.modified = timespec{.tv_sec = 5}}).has_value());
  ASSERT_EQ(ErrorOf(volume_->Sync(file, true)), 0);
  EXPECT_EQ(LogOf(0).size(), logged);
  Sync("base/1");
  Reopen();
  EXPECT_EQ(Find("base/1").modified.tv_sec, 5);
  EXPECT_EQ(Content("base/1").substr(0, 5), "again");
}

TEST_F(DurableTest, NamesAttributesAndLinksComeBackAsTheyWere) {
  Open();
  const vfs::Inode file = Create("", "new");
  ASSERT_TRUE(volume_->MakeDirectory(vfs::kRootInode, "made", 0750, kOwner).has_value());
  ASSERT_TRUE(volume_->MakeLink(vfs::kRootInode, "link", "made/new", kOwner).has_value());
  ASSERT_TRUE(volume_->MakeTrustedLink(vfs::kRootInode, "out", "/elsewhere", kOwner).has_value());
  ASSERT_TRUE(volume_->Link(file, Find("made").inode, "second").has_value());
  ASSERT_EQ(ErrorOf(volume_->Rename(Find("base").inode, "2", Find("made").inode, "two", vfs::RenameMode::kReplace)), 0);
  ASSERT_EQ(ErrorOf(volume_->Unlink(Find("d").inode, "x")), 0);
  ASSERT_EQ(ErrorOf(volume_->RemoveDirectory(vfs::kRootInode, "d")), 0);
  ASSERT_TRUE(volume_->SetAttributes(Find("base/1").inode, {.mode = 0444, .uid = 7}).has_value());
  const auto before = *volume_->GetAttributes(file);
  const auto root = *volume_->GetAttributes(vfs::kRootInode);
  SyncDirectory();
  for (int round = 0; round < 2; ++round) {
    Reopen();
    EXPECT_EQ(List(""), (std::vector<std::string>{"base", "link", "made", "new", "out"}));
    EXPECT_EQ(List("base"), (std::vector<std::string>{"1"}));
    EXPECT_EQ(List("made"), (std::vector<std::string>{"second", "two"}));
    EXPECT_EQ(Content("made/two"), "two");
    EXPECT_EQ(volume_->ReadLink(Find("out").inode).value(), "/elsewhere");
    EXPECT_EQ(Find("base/1").mode, static_cast<mode_t>(S_IFREG | 0444));
    EXPECT_EQ(Find("base/1").uid, 7U);
    EXPECT_EQ(Find("base/1").size, 3 * kBlock);
    EXPECT_EQ(Find("new").inode, Find("made/second").inode);
    EXPECT_EQ(Find("new").link_count, 2U);
    EXPECT_EQ(Find("made").link_count, 2U);
    EXPECT_EQ(Find("made").mode, static_cast<mode_t>(S_IFDIR | 0750));
    EXPECT_EQ(Find("new").inode, before.inode);
    EXPECT_EQ(Find("new").modified.tv_nsec, before.modified.tv_nsec);
    EXPECT_EQ(volume_->GetAttributes(vfs::kRootInode)->shown_inode, root.shown_inode);
    EXPECT_EQ(volume_->GetAttributes(vfs::kRootInode)->link_count, 4U);
  }
}

TEST_F(DurableTest, FifosSocketsAndDevicesComeBackAsTheyWere) {
  Open();
  const std::map<std::string, mode_t> kinds = {
      {"fifo", S_IFIFO}, {"socket", S_IFSOCK}, {"character", S_IFCHR}, {"block", S_IFBLK}};
  for (const auto& [name, type] : kinds) {
    ASSERT_TRUE(volume_->MakeSpecial(vfs::kRootInode, name, type | 0640, makedev(8, 17), kOwner).has_value());
  }
  ASSERT_TRUE(volume_->Link(Find("fifo").inode, vfs::kRootInode, "second").has_value());
  ASSERT_EQ(ErrorOf(volume_->Unlink(vfs::kRootInode, "fifo")), 0);
  SyncDirectory();
  Freeze();
  Reopen();
  EXPECT_EQ(Find("second").mode, static_cast<mode_t>(S_IFIFO | 0640));
  EXPECT_EQ(Find("second").link_count, 1U);
  EXPECT_EQ(Find("socket").mode, static_cast<mode_t>(S_IFSOCK | 0640));
  EXPECT_EQ(Find("socket").device, 0U);
  EXPECT_EQ(Find("character").mode, static_cast<mode_t>(S_IFCHR | 0640));
  EXPECT_EQ(Find("block").device, makedev(8, 17));
  EXPECT_EQ(ErrorOf(volume_->Write(Find("block").inode, 0, AsBytes("x"))), EINVAL);
}

TEST_F(DurableTest, RecoveryCannotLinkATablespaceToWhereProductionHasIt) {
  Open();
  ASSERT_TRUE(volume_->MakeDirectory(vfs::kRootInode, "pg_tblspc", 0700, kOwner).has_value());
  const vfs::Inode tablespaces = Find("pg_tblspc").inode;
  EXPECT_EQ(ErrorOf(volume_->MakeLink(tablespaces, "16500", "/srv/fast", kOwner)), EPERM);
  EXPECT_TRUE(volume_->MakeLink(tablespaces, "16501", "../inside", kOwner).has_value());
  EXPECT_TRUE(volume_->MakeLink(vfs::kRootInode, "elsewhere", "/srv/fast", kOwner).has_value());
  EXPECT_TRUE(volume_->MakeTrustedLink(tablespaces, "16502", "/srv/fast", kOwner).has_value());
}

TEST_F(DurableTest, NumbersAreNeverUsedAgain) {
  Open();
  const vfs::Inode first = Create("", "f");
  ASSERT_EQ(ErrorOf(volume_->Unlink(vfs::kRootInode, "f")), 0);
  volume_->Forget(first, 1);
  SyncDirectory();
  Reopen();
  EXPECT_GT(Create("", "g").value, first.value);
}

TEST_F(DurableTest, TruncationIsDataAndStays) {
  Open();
  ASSERT_TRUE(volume_->SetAttributes(Find("base/1").inode, {.size = 100}).has_value());
  ASSERT_TRUE(volume_->SetAttributes(Find("base/1").inode, {.size = 2 * kBlock}).has_value());
  Sync("base/1");
  Reopen();
  EXPECT_EQ(Content("base/1"), std::string(100, 'o') + std::string(2 * kBlock - 100, '\0'));
}

TEST_F(DurableTest, ATailThatWasCutOffStaysZeroWhenTheFileGrowsAfterACrash) {
  Open();
  Write("base/2", 0, std::string(1000, 'n'));
  Sync("base/2");
  ASSERT_TRUE(volume_->SetAttributes(Find("base/2").inode, {.size = 10}).has_value());
  Sync("base/2");
  Reopen();
  ASSERT_TRUE(volume_->SetAttributes(Find("base/2").inode, {.size = 500}).has_value());
  EXPECT_EQ(Content("base/2"), std::string(10, 'n') + std::string(490, '\0'));
}

TEST_F(DurableTest, ATruncationThatIsNotDurableLeavesWhatItCutOff) {
  Open();
  Write("base/2", 0, std::string(1000, 'n'));
  Sync("base/2");
  ASSERT_TRUE(volume_->SetAttributes(Find("base/2").inode, {.size = 10}).has_value());
  Reopen();
  EXPECT_EQ(Content("base/2"), std::string(1000, 'n'));
}

TEST_F(DurableTest, FilesWithoutANameAreForgottenWithTheirData) {
  Open();
  const vfs::Inode file = Create("", "f");
  Write("f", 0, "bytes");
  Sync("f");
  ASSERT_EQ(ErrorOf(volume_->Unlink(vfs::kRootInode, "f")), 0);
  SyncDirectory();
  EXPECT_FALSE(io::ListDirectory(layers_[0] + "/blobs")->empty()) << "somebody still has it open";
  static_cast<void>(file);
  Reopen();
  EXPECT_TRUE(io::ListDirectory(layers_[0] + "/blobs")->empty());
}

TEST_F(DurableTest, SpaceIsGivenBackOnceTheRemovalIsDurable) {
  Open();
  const vfs::Inode file = Create("", "f");
  Write("f", 0, std::string(100 * kBlock, 'x'));
  Sync("f");
  ASSERT_TRUE(volume_->SetAttributes(file, {.size = kBlock}).has_value());
  const std::string blob = layers_[0] + "/blobs/" + io::ListDirectory(layers_[0] + "/blobs")->front();
  EXPECT_EQ(io::StatLink(blob)->st_size, static_cast<off_t>(100 * kBlock));
  ASSERT_TRUE(volume_->Tend().has_value());
  EXPECT_EQ(io::StatLink(blob)->st_size, static_cast<off_t>(kBlock));
  ASSERT_EQ(ErrorOf(volume_->Unlink(vfs::kRootInode, "f")), 0);
  volume_->Forget(file, 3);
  ASSERT_TRUE(volume_->Tend().has_value());
  EXPECT_FALSE(io::Exists(blob));
  EXPECT_EQ(volume_->Statistics().layer_bytes, 0U);
}

TEST_F(DurableTest, WrittenZerosTakeTheSpaceThatTheyWillNeed) {
  Open();
  const vfs::Inode file = Create("", "f");
  Write("f", 0, std::string(16 * kBlock, '\0'));
  EXPECT_EQ(volume_->GetAttributes(file)->blocks, 16 * 8U);
  ASSERT_EQ(ErrorOf(volume_->Allocate(Create("", "g"), {}, 0, 1 << 20)), 0);
  EXPECT_GE(*io::AllocatedBytes(layers_[0] + "/blobs"), (uint64_t{1} << 20) + 16 * kBlock);
}

TEST_F(DurableTest, SyncOfWhatIsInTheLogAlreadyWritesNoLog) {
  Open();
  const vfs::Inode file = Create("", "wal");
  Write("wal", 0, std::string(16 * kBlock, '\0'));
  Sync("wal");
  const std::string log = LogOf(0);
  Write("wal", 3 * kBlock, std::string(kBlock, 'w'));
  EXPECT_EQ(ErrorOf(volume_->Sync(file, true)), 0);
  EXPECT_EQ(LogOf(0), log);
  Reopen();
  EXPECT_EQ(Content("wal").substr(3 * kBlock, kBlock), std::string(kBlock, 'w'));
}

TEST_F(DurableTest, AFrozenLayerStaysAsItWasAtTheCut) {
  Open();
  Write("base/1", 0, "frozen");
  Create("", "before");
  Freeze();
  Write("base/1", 0, "above!");
  Write("base/1", kBlock, "above!");
  Create("", "after");
  ASSERT_EQ(ErrorOf(volume_->Unlink(vfs::kRootInode, "before")), 0);
  ASSERT_TRUE(volume_->Flush().has_value());
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Content("base/1").substr(0, 6), "above!");
    EXPECT_EQ(Content("base/1").substr(kBlock, 7), "above!o");
    EXPECT_EQ(List(""), (std::vector<std::string>{"after", "base", "d"}));
    Reopen();
  }
  EXPECT_TRUE(ReadLayerFacts(layers_[0])->sealed);
  // Another volume above the same frozen layer, beside the first.
  const auto other = OpenVolume(image_, {layers_[0], place_.path() + "/other"});
  EXPECT_EQ(vfs::ReadFileAt(*other, "base/1")->substr(0, 6), "frozen");
  EXPECT_EQ(vfs::ListAt(*other, "").value(), (std::vector<std::string>{"base", "before", "d"}));
}

TEST_F(DurableTest, SixteenLayersAreReadThrough) {
  Open();
  std::string expected(3 * kBlock, 'o');
  for (int layer = 0; layer < 16; ++layer) {
    const std::string mark(10, static_cast<char>('A' + layer));
    expected.replace(static_cast<size_t>(layer) * 700, 10, mark);
    Write("base/1", static_cast<uint64_t>(layer) * 700, mark);
    Create("", "f" + std::to_string(layer));
    Freeze();
  }
  EXPECT_EQ(Content("base/1"), expected);
  Reopen();
  EXPECT_EQ(Content("base/1"), expected);
  EXPECT_EQ(List("").size(), 18U);
  EXPECT_EQ(volume_->Statistics().layers.size(), 17U);
}

TEST_F(DurableTest, FreezingWantsAnEmptyLayerAndADurableVolume) {
  Open();
  EXPECT_EQ(volume_->Freeze(place_.path() + "/missing").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(volume_->Freeze(layers_[0]).error().code(), ErrorCode::kBusy);
  const auto ephemeral = MakeVolume(image_, place_.path() + "/ephemeral");
  EXPECT_EQ(ephemeral->Freeze(place_.path() + "/x").error().code(), ErrorCode::kUnsupported);
  Write("base/1", 0, "still works");
  EXPECT_EQ(Content("base/1").substr(0, 11), "still works");
}

TEST_F(DurableTest, OneProcessAtATimeHasTheTopmostLayer) {
  Open();
  const auto second = Volume::Open({.image = image_, .layers = layers_});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code(), ErrorCode::kBusy);
  EXPECT_EQ(SealLayer(layers_[0]).error().code(), ErrorCode::kBusy);
  // A child inherits it, whatever happens to its parent.
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::close(pipe[1]);
    static_cast<void>(::read(pipe[0], &byte, 1));
    ::_exit(0);
  }
  ::close(pipe[0]);
  volume_.reset();
  EXPECT_EQ(Volume::Open({.image = image_, .layers = layers_}).error().code(), ErrorCode::kBusy);
  ::close(pipe[1]);
  ::waitpid(child, nullptr, 0);
  Open();
}

TEST_F(DurableTest, ALayerIsSealedWithoutAVolume) {
  Open();
  Write("base/1", 0, "sealed");
  Create("", "f");
  ASSERT_TRUE(volume_->Flush().has_value());
  volume_.reset();
  ASSERT_TRUE(SealLayer(layers_[0]).has_value());
  ASSERT_TRUE(SealLayer(layers_[0]).has_value());
  const auto facts = ReadLayerFacts(layers_[0]);
  EXPECT_TRUE(facts->sealed);
  EXPECT_EQ(facts->data_bytes, kBlock);
  EXPECT_EQ(Volume::Open({.image = image_, .layers = layers_}).error().code(), ErrorCode::kInvalidArgument);
  layers_.push_back(place_.path() + "/1");
  Open();
  EXPECT_EQ(Content("base/1").substr(0, 7), "sealedo");
  EXPECT_EQ(List(""), (std::vector<std::string>{"base", "d", "f"}));
}

TEST_F(DurableTest, ReadOnlyChangesNothing) {
  Open();
  Write("base/1", 0, "kept");
  ASSERT_TRUE(volume_->Flush().has_value());
  volume_.reset();
  auto volume = Volume::Open({.image = image_, .layers = layers_, .read_only = true});
  ASSERT_TRUE(volume.has_value());
  volume_ = *std::move(volume);
  EXPECT_EQ(Content("base/1").substr(0, 4), "kept");
  const vfs::Inode file = Find("base/1").inode;
  EXPECT_EQ(ErrorOf(volume_->Write(file, 0, AsBytes("x"))), EROFS);
  EXPECT_EQ(ErrorOf(volume_->CreateFile(vfs::kRootInode, "n", 0600, kOwner)), EROFS);
  EXPECT_EQ(ErrorOf(volume_->SetAttributes(file, {.mode = 0600})), EROFS);
  EXPECT_EQ(ErrorOf(volume_->Unlink(Find("base").inode, "1")), EROFS);
  EXPECT_EQ(ErrorOf(volume_->Sync(file, false)), 0);
  volume_.reset();
  auto bare = Volume::Open({.image = image_, .read_only = true});
  ASSERT_TRUE(bare.has_value());
  volume_ = *std::move(bare);
  EXPECT_EQ(Content("base/2"), "two");
  EXPECT_EQ(Volume::Open({.image = image_}).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(DurableTest, ABoundOnOwnBytesIsAFullDisk) {
  Open();
  Write("base/1", 0, std::string(kBlock, 'x'));
  ASSERT_TRUE(volume_->Flush().has_value());
  volume_.reset();
  Open();
  volume_->Limit(2 * kBlock);
  const vfs::Inode file = Find("base/1").inode;
  EXPECT_EQ(ErrorOf(volume_->Write(file, kBlock, AsBytes(std::string(2 * kBlock, 'y')))), ENOSPC);
  EXPECT_EQ(ErrorOf(volume_->Write(file, 2 * kBlock, AsBytes("y"))), 0);
  EXPECT_EQ(ErrorOf(volume_->Write(file, kBlock, AsBytes("y"))), ENOSPC);
  EXPECT_EQ(ErrorOf(volume_->Write(file, 0, AsBytes(std::string(kBlock, 'z')))), 0) << "nothing more is needed";
  EXPECT_EQ(ErrorOf(volume_->SetAttributes(file, {.size = kBlock})), 0);
  EXPECT_EQ(ErrorOf(volume_->Write(file, 5 * kBlock, AsBytes("y"))), 0);
}

TEST_F(DurableTest, ALogIsRewrittenWhenItIsMuchLongerThanWhatItSays) {
  Open();
  for (int i = 0; i < 2'000; ++i) {
    const std::string name = "f" + std::to_string(i);
    const vfs::Inode file = Create("", name);
    if (i % 100 != 0) {
      ASSERT_EQ(ErrorOf(volume_->Unlink(vfs::kRootInode, name)), 0);
    }
    volume_->Forget(file, 1);
  }
  Write("f100", 0, "bytes");
  ASSERT_TRUE(volume_->Flush().has_value());
  const size_t before = LogOf(0).size();
  Reopen();
  EXPECT_LT(LogOf(0).size(), before / 10);
  EXPECT_EQ(Content("f100"), "bytes");
  EXPECT_EQ(List("").size(), 22U);
  Write("f200", 0, "more");
  Sync("f200");
  Reopen();
  EXPECT_EQ(Content("f200"), "more");
  EXPECT_EQ(Content("f100"), "bytes");
}

TEST_F(DurableTest, AnotherVersionIsRefusedByNameAndNumber) {
  Open();
  volume_.reset();
  std::string log = LogOf(0);
  log[8] = 2;
  ASSERT_TRUE(io::WriteWholeFile(layers_[0] + "/log", log).has_value());
  const auto opened = Volume::Open({.image = image_, .layers = layers_});
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code(), ErrorCode::kUnsupported);
  EXPECT_NE(opened.error().message().find("version 2"), std::string::npos) << opened.error().message();
  EXPECT_EQ(LogOf(0), log);
  EXPECT_EQ(ReadLayerFacts(layers_[0]).error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(ReadLayerFacts(place_.path() + "/none").error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(MakeLayer(layers_[0]).error().code(), ErrorCode::kAlreadyExists);
}

}  // namespace
}  // namespace pgstrata::layer
