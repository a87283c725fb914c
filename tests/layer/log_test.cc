// The log of a layer: its bytes, its damage, and many who wait for one sync.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "foundation/codec/sha256.h"
#include "tests/layer/simulated_disk.h"
#include "tests/layer/volume_fixture.h"
#include "tests/vfs/conformance/suite.h"
#include "volume/layer/layer_file.h"
#include "volume/layer/layer_log.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::layer {
namespace {

using test::SimulatedDisk;
constexpr const char* kLayer = "/disk/layer";
constexpr const char* kLog = "/disk/layer/log";

LogHeader Header() {
  LogHeader header{.generation = 3, .root_inode = 77};
  for (size_t i = 0; i < header.id.size(); ++i) header.id[i] = static_cast<std::byte>(i);
  return header;
}

std::vector<Record> EveryKindOfRecord() {
  const Attributes attributes{.permissions = 0640,
                              .link_count = 2,
                              .uid = 1,
                              .gid = 2,
                              .accessed = {.tv_sec = 3, .tv_nsec = 4},
                              .modified = {.tv_sec = -5, .tv_nsec = 6},
                              .changed = {.tv_sec = 7, .tv_nsec = 8}};
  return {NumbersRecord{4096},
          NodeRecord{.node = 1, .kind = NodeKind::kDirectory, .attributes = attributes, .from_image = true},
          NodeRecord{
              .node = 2, .attributes = attributes, .from_image = true, .origin = "base/5/1259", .origin_size = 81920},
          NodeRecord{.node = 3, .kind = NodeKind::kLink, .attributes = attributes, .link_target = "../2"},
          AttributesRecord{2, attributes},
          NamesRecord{{{1, 2, "a"}, {1, 0, "b"}}},
          NamesRecord{{{1, 3, "link"}}},
          SizeRecord{2, 40960, 8192},
          BlocksRecord{2, {{BlockState::kData, 0, 4}, {BlockState::kZero, 4, 5}, {BlockState::kBelow, 1, 2}}},
          EndRecord{9},
          SealRecord{12288, 3}};
}

std::string LogOf(const std::vector<Record>& records) {
  const LogHeader header = Header();
  std::string log = EncodeLogHeader(header);
  for (const Record& record : records) AppendFrame(log, header, log.size(), record);
  return log;
}

LogReader ReaderOf(const std::string& log) {
  return {*ParseLogHeader(AsBytes(log).first(kLogHeaderBytes), "log"), "log",
          [&log](uint64_t offset, MutableBytes out) {
            const size_t count = offset < log.size() ? std::min<size_t>(out.size(), log.size() - offset) : 0;
            std::copy_n(AsBytes(log).begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(offset, log.size())), count,
                        out.begin());
            return Result<size_t>(count);
          }};
}

// What is written today is read in all time to come.
TEST(LogTest, TheBytesOfVersionOneDoNotChange) {
  const codec::Sha256Digest digest = codec::Sha256::Of(AsBytes(LogOf(EveryKindOfRecord())));
  EXPECT_EQ(codec::ToHex(digest), "e78e5c43cafcadb31f8821ad9b401da3c1c2c0c6b7eb86ef6763f640a1641199");
}

TEST(LogTest, RecordsAreReadAsTheyWereWritten) {
  const std::string log = LogOf(EveryKindOfRecord());
  LogReader reader = ReaderOf(log);
  std::vector<Record> records;
  while (true) {
    auto record = reader.Next();
    ASSERT_TRUE(record.has_value());
    if (!*record) break;
    records.push_back(*std::move(*record));
  }
  EXPECT_EQ(reader.position(), log.size());
  EXPECT_EQ(LogOf(records), log);
}

// Many frames, each larger than what the reader holds at a time allows for at the edge.
TEST(LogTest, LargeRecordsAreReadAcrossTheReadersBuffer) {
  std::vector<Record> records;
  for (uint64_t node = 2; node < 8; ++node) {
    BlocksRecord blocks{.node = node};
    for (uint64_t i = 0; i < kMaxRunsInRecord; ++i) blocks.runs.push_back({BlockState::kData, 2 * i, 2 * i + 1});
    records.emplace_back(std::move(blocks));
    records.emplace_back(EndRecord{node});
  }
  const std::string log = LogOf(records);
  LogReader reader = ReaderOf(log);
  size_t count = 0;
  while (reader.Next()->has_value()) ++count;
  EXPECT_EQ(count, records.size());
}

TEST(LogTest, AFrameFromAnotherPlaceLayerOrGenerationEndsTheLog) {
  const LogHeader header = Header();
  LogHeader other_layer = header;
  other_layer.id[3] ^= std::byte{1};
  LogHeader older = header;
  --older.generation;
  const auto counted = [](const std::string& log) {
    LogReader reader = ReaderOf(log);
    size_t count = 0;
    while (reader.Next()->has_value()) ++count;
    return count;
  };
  for (const auto& [writer, frames] : {std::pair(header, 1U), std::pair(other_layer, 0U), std::pair(older, 0U)}) {
    std::string log = EncodeLogHeader(header);
    AppendFrame(log, writer, log.size(), EndRecord{5});
    EXPECT_EQ(counted(log), frames);
  }
  std::string moved = EncodeLogHeader(header);
  AppendFrame(moved, header, moved.size() + 8, EndRecord{5});
  EXPECT_EQ(counted(moved), 0U);
}

TEST(LogTest, WhatCannotBeIsDamage) {
  const std::vector<Record> impossible = {EndRecord{0},
                                          SizeRecord{2, 100, 200},
                                          SizeRecord{2, uint64_t{1} << 50, 0},
                                          NamesRecord{{{1, 2, "a/b"}}},
                                          NamesRecord{{{1, 2, ".."}}},
                                          NamesRecord{{{1, 1, "root"}}},
                                          BlocksRecord{2, {{BlockState::kData, 1, 1}}},
                                          BlocksRecord{2, {{BlockState::kData, 0, uint64_t{1} << 40}}},
                                          NodeRecord{.node = 2, .kind = NodeKind::kLink},
                                          NodeRecord{.node = 1, .kind = NodeKind::kFile},
                                          AttributesRecord{2, {.permissions = 0100000}}};
  for (size_t i = 0; i < impossible.size(); ++i) {
    const std::string log = LogOf({impossible[i]});
    const auto record = ReaderOf(log).Next();
    ASSERT_FALSE(record.has_value()) << i;
    EXPECT_EQ(record.error().code(), ErrorCode::kCorrupt);
  }
}

// --- Damage of a volume's log ---

class DamagedLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MakeLayer(kLayer, disk_).has_value());
    auto volume = OpenVolume(image_, {kLayer}, &disk_);
    for (const char* name : {"a", "b", "c"}) {
      const auto made = volume->CreateFile(vfs::kRootInode, name, 0600, {});
      ASSERT_EQ(vfs::ErrorOf(volume->Write(made->inode, 0, AsBytes(std::string(5'000, *name)))), 0);
      ASSERT_EQ(vfs::ErrorOf(volume->Sync(made->inode, false)), 0);
    }
    ASSERT_EQ(vfs::ErrorOf(volume->Rename(vfs::kRootInode, "f", vfs::kRootInode, "g", vfs::RenameMode::kReplace)), 0);
    ASSERT_TRUE(volume->Close().has_value());
    volume.reset();
    log_ = disk_.Content(kLog);
    whole_ = disk_.Save();
  }
  void Damage(const std::string& log) {
    disk_.Load(whole_);
    disk_.SetContent(kLog, log);
  }

  // Opens, and checks that what is there is a part of what was: names in their order, content whole or not there.
  void ExpectAPrefix() {
    auto opened = Volume::Open({.image = image_, .layers = {kLayer}, .storage = &disk_});
    if (!opened) {
      const bool is_version = opened.error().code() == ErrorCode::kUnsupported;
      EXPECT_TRUE(is_version || opened.error().code() == ErrorCode::kCorrupt) << opened.error().message();
      return;
    }
    const auto names = vfs::ListAt(**opened, "").value();
    static const std::vector<std::vector<std::string>> kMoments = {
        {"f"}, {"a", "f"}, {"a", "b", "f"}, {"a", "b", "c", "f"}, {"a", "b", "c", "g"}};
    EXPECT_NE(std::ranges::find(kMoments, names), kMoments.end()) << ::testing::PrintToString(names);
    for (const auto& name : names) {
      const std::string content = vfs::ReadFileAt(**opened, name).value_or("unreadable");
      const bool whole = content == (name == "f" || name == "g" ? "image" : std::string(5'000, name[0]));
      EXPECT_TRUE(whole || content.empty() || content == std::string(5'000, '\0')) << name << ' ' << content.size();
    }
    // It can be written again, and what was cut off stays away.
    const auto made = (*opened)->CreateFile(vfs::kRootInode, "new", 0600, {});
    EXPECT_EQ(vfs::ErrorOf((*opened)->Sync(made->inode, false)), 0);
    opened->reset();
    opened = Volume::Open({.image = image_, .layers = {kLayer}, .storage = &disk_});
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(vfs::ListAt(**opened, "")->size(), names.size() + 1);
  }

  SimulatedDisk disk_{1};
  std::shared_ptr<const image::Image> image_ = ImageOf({{"f", "image"}});
  std::string log_;
  SimulatedDisk::Snapshot whole_;
};

TEST_F(DamagedLogTest, EveryTruncationLeavesWhatWasBeforeIt) {
  for (size_t length = 0; length < log_.size(); ++length) {
    SCOPED_TRACE(length);
    Damage(log_.substr(0, length));
    ExpectAPrefix();
  }
}

TEST_F(DamagedLogTest, EveryFlippedByteIsNoticed) {
  for (size_t at = 0; at < log_.size(); ++at) {
    SCOPED_TRACE(at);
    std::string damaged = log_;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    Damage(damaged);
    ExpectAPrefix();
  }
}

TEST_F(DamagedLogTest, ASealedLogIsWholeOrRefused) {
  ASSERT_TRUE(SealLayer(kLayer, disk_).has_value());
  const std::string sealed = disk_.Content(kLog);
  ASSERT_TRUE(ReadLayerFacts(kLayer, disk_)->sealed);
  for (size_t length = kLogHeaderBytes; length < sealed.size(); ++length) {
    disk_.SetContent(kLog, sealed.substr(0, length));
    EXPECT_FALSE(ReadLayerFacts(kLayer, disk_).has_value()) << length;
  }
  disk_.SetContent(kLog, sealed + std::string(8, '\0'));
  EXPECT_FALSE(ReadLayerFacts(kLayer, disk_).has_value());
  disk_.SetContent(kLog, sealed);
  EXPECT_TRUE(ReadLayerFacts(kLayer, disk_).has_value());
}

TEST_F(DamagedLogTest, RewritingSaysTheSame) {
  auto file = ReadLayerFile(disk_, kLayer, OpenMode::kWrite);
  ASSERT_TRUE(file.has_value());
  ASSERT_TRUE(RewriteLog(disk_, *file, false).has_value());
  EXPECT_EQ(disk_.Content(kLog).size(), RewrittenBytes(*file));
  ExpectAPrefix();
  const auto volume = OpenVolume(image_, {kLayer}, &disk_);
  EXPECT_EQ(vfs::ListAt(*volume, "").value(), (std::vector<std::string>{"a", "b", "c", "g", "new"}));
  EXPECT_EQ(*vfs::ReadFileAt(*volume, "b"), std::string(5'000, 'b'));
}

// --- Group commit ---

TEST(LayerLogTest, ManyWaitForFewSyncs) {
  SimulatedDisk disk(1);
  ASSERT_TRUE(MakeLayer(kLayer, disk).has_value());
  const auto file = ReadLayerFile(disk, kLayer, OpenMode::kWrite);
  LayerLog log(file->log, file->header, file->end);
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (uint64_t thread = 1; thread <= 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 200; ++i) {
        const uint64_t position = log.Append(EndRecord{thread});
        if (!log.SyncTo(position) || !log.IsDurable(position)) ++failures;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(log.waiting(), 0U);
  const auto again = ReadLayerFile(disk, kLayer, OpenMode::kRead);
  EXPECT_EQ(again->end, log.end());
}

TEST(LayerLogTest, WhatCouldNotBeWrittenIsWrittenLater) {
  SimulatedDisk disk(1);
  ASSERT_TRUE(MakeLayer(kLayer, disk).has_value());
  const auto file = ReadLayerFile(disk, kLayer, OpenMode::kWrite);
  LayerLog log(file->log, file->header, file->end);
  for (const auto fault :
       {SimulatedDisk::Fault::kNoSpace, SimulatedDisk::Fault::kShortWrite, SimulatedDisk::Fault::kIo}) {
    for (uint64_t number = 1; number <= 2; ++number) {
      const uint64_t position = log.Append(EndRecord{number});
      disk.FailAt(number, fault, true);
      EXPECT_FALSE(log.SyncTo(position).has_value());
      EXPECT_FALSE(log.IsDurable(position));
      disk.StopFailing();
      EXPECT_TRUE(log.SyncTo(log.Append(EndRecord{number})).has_value());
    }
  }
  disk.Cut();
  EXPECT_EQ(ReadLayerFile(disk, kLayer, OpenMode::kRead)->end, log.end());
}

}  // namespace
}  // namespace pgstrata::layer
