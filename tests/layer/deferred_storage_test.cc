#include "volume/layer/deferred_storage.h"

#include <gtest/gtest.h>

#include "tests/layer/simulated_disk.h"
#include "tests/layer/volume_fixture.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::layer {
namespace {

using test::SimulatedDisk;

constexpr const char* kLayer = "/layers/one";

// A new layer with a file `name`, made on `storage` and closed.
void Fill(LayerStorage& storage, const std::string& name) {
  const auto volume = OpenVolume(ImageOf({{"f", "of the image"}}), {kLayer}, &storage);
  const auto made = volume->CreateFile(vfs::kRootInode, name, 0600, {});
  ASSERT_EQ(vfs::ErrorOf(volume->Write(made->inode, 0, AsBytes(std::string(50'000, 'x')))), 0);
  ASSERT_EQ(vfs::ErrorOf(volume->Sync(made->inode, false)), 0);
  ASSERT_TRUE(volume->Close().has_value());
}

TEST(DeferredStorage, WhatRunReturnedForSurvivesAPowerCut) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SimulatedDisk disk(seed);
    io::SyncBatch syncs;
    DeferredStorage storage(syncs, disk);
    Fill(storage, "a");
    ASSERT_TRUE(syncs.Run().has_value());
    Fill(storage, "b");  // files that were synced already are written again
    ASSERT_TRUE(syncs.Run().has_value());
    disk.Cut();
    const auto volume = OpenVolume(ImageOf({{"f", "of the image"}}), {kLayer}, &disk);
    ASSERT_NE(volume, nullptr) << seed;
    for (const char* name : {"a", "b"}) EXPECT_EQ(vfs::ReadFileAt(*volume, name), std::string(50'000, 'x')) << seed;
  }
}

TEST(DeferredStorage, NothingWaitsForTheDiskBeforeRun) {
  SimulatedDisk disk(1);
  io::SyncBatch syncs;
  DeferredStorage storage(syncs, disk);
  Fill(storage, "a");
  disk.FailAt(1, SimulatedDisk::Fault::kIo, true);
  const auto run = syncs.Run();
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code(), ErrorCode::kIo);
}

}  // namespace
}  // namespace pgstrata::layer
