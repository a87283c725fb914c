// Volume passes the conformance suite, whether the files were written to it or come from the image, and behind a graft.
#include <tuple>
#include <utility>

#include "tests/layer/volume_fixture.h"
#include "tests/support/memory_file_system.h"
#include "tests/vfs/conformance/suite.h"
#include "volume/vfs/grafted_file_system.h"

namespace pgstrata::layer {
namespace {

std::unique_ptr<vfs::FileSystem> Written(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  auto volume = MakeVolume(std::make_shared<test::MemoryImage>(), place.path() + "/layer");
  vfs::WriteTree(*volume, tree);
  return volume;
}

std::unique_ptr<vfs::FileSystem> FromImage(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  return MakeVolume(ImageOf(tree), place.path() + "/layer");
}

// As few open files as possible: each is closed again after every use of another.
std::unique_ptr<vfs::FileSystem> OneOpenFile(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  return MakeVolume(ImageOf(tree), place.path() + "/layer", 1);
}

std::unique_ptr<vfs::FileSystem> Durable(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  auto volume = OpenVolume(std::make_shared<test::MemoryImage>(), {place.path() + "/0"});
  vfs::WriteTree(*volume, tree);
  return volume;
}

std::unique_ptr<vfs::FileSystem> DurableFromImage(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  return OpenVolume(ImageOf(tree), {place.path() + "/0"});
}

// What was written was read again from the log, the image's directories were not looked at before.
std::unique_ptr<vfs::FileSystem> Reopened(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  const auto image = std::make_shared<test::MemoryImage>();
  {
    const auto volume = OpenVolume(image, {place.path() + "/0"});
    vfs::WriteTree(*volume, tree);
    EXPECT_TRUE(volume->Flush().has_value());
  }
  return OpenVolume(image, {place.path() + "/0"});
}

// All is in a frozen layer.
std::unique_ptr<vfs::FileSystem> Frozen(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  auto volume = OpenVolume(std::make_shared<test::MemoryImage>(), {place.path() + "/0"});
  vfs::WriteTree(*volume, tree);
  EXPECT_TRUE(MakeLayer(place.path() + "/1").has_value());
  EXPECT_TRUE(volume->Freeze(place.path() + "/1").has_value());
  return volume;
}

std::unique_ptr<vfs::FileSystem> FrozenAndReopened(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  Frozen(tree, place).reset();
  return OpenVolume(std::make_shared<test::MemoryImage>(), {place.path() + "/0", place.path() + "/1"});
}

// With something else grafted into its root.
class GraftedVolume : private std::pair<std::unique_ptr<vfs::FileSystem>, test::MemoryFileSystem>,
                      public vfs::GraftedFileSystem {
 public:
  explicit GraftedVolume(std::unique_ptr<vfs::FileSystem> volume)
      : pair(std::piecewise_construct, std::forward_as_tuple(std::move(volume)), std::forward_as_tuple()),
        GraftedFileSystem(*first, {{.name = ".graft", .file_system = &second, .listed = false}}) {}
};

std::unique_ptr<vfs::FileSystem> BehindAGraft(const vfs::Tree& tree, const test::ScratchDirectory& place) {
  return std::make_unique<GraftedVolume>(Written(tree, place));
}

}  // namespace
}  // namespace pgstrata::layer

namespace pgstrata::vfs {

INSTANTIATE_TEST_SUITE_P(Volume, FileSystemConformance,
                         ::testing::Values(FileSystemFactory{"Written", &layer::Written},
                                           FileSystemFactory{"FromImage", layer::FromImage},
                                           FileSystemFactory{"OneOpenFile", layer::OneOpenFile},
                                           FileSystemFactory{"Durable", layer::Durable},
                                           FileSystemFactory{"DurableFromImage", layer::DurableFromImage},
                                           FileSystemFactory{"Reopened", layer::Reopened},
                                           FileSystemFactory{"Frozen", layer::Frozen},
                                           FileSystemFactory{"FrozenAndReopened", layer::FrozenAndReopened},
                                           FileSystemFactory{"BehindAGraft", layer::BehindAGraft}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace pgstrata::vfs
