// Volume passes the conformance suite, whether the files were written to it or come from the image.
#include "tests/layer/volume_fixture.h"
#include "tests/vfs/conformance/suite.h"

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

}  // namespace
}  // namespace pgstrata::layer

namespace pgstrata::vfs {

INSTANTIATE_TEST_SUITE_P(Volume, FileSystemConformance,
                         ::testing::Values(FileSystemFactory{"Written", &layer::Written},
                                           FileSystemFactory{"FromImage", layer::FromImage},
                                           FileSystemFactory{"OneOpenFile", layer::OneOpenFile}),
                         [](const auto& tested) { return tested.param.name; });

}  // namespace pgstrata::vfs
