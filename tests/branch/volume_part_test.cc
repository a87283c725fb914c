#include "branch/branch/volume_part.h"

#include <gtest/gtest.h>

#include <map>

#include "foundation/io/directory.h"
#include "tests/image/conformance.h"
#include "tests/support/memory_image.h"
#include "tests/support/scratch_directory.h"
#include "volume/layer/volume.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::image {
namespace {

// The volume that the image stands on lives as long.
class OwningPart final : public Image {
 public:
  explicit OwningPart(std::unique_ptr<layer::Volume> volume) : volume_(std::move(volume)) {}
  [[nodiscard]] const std::string& name() const override { return part_.name(); }
  Result<Entry> Stat(std::string_view path) const override { return part_.Stat(path); }
  Result<std::vector<Entry>> List(std::string_view directory) const override { return part_.List(directory); }
  Result<std::unique_ptr<ImageFile>> Open(std::string_view path) const override { return part_.Open(path); }
  Status VisitParts(const PartVisitor& visit) const override { return part_.VisitParts(visit); }

 private:
  const std::unique_ptr<layer::Volume> volume_;
  const branch::VolumePart part_{*volume_, "part"};
};

std::unique_ptr<Image> PartOfAVolume(const std::map<std::string, SampleNode>& tree,
                                     const test::ScratchDirectory& place) {
  auto volume = layer::Volume::Create(
      {.image = std::make_shared<test::MemoryImage>(), .directory = place.path() + "/layer", .owner = {}});
  EXPECT_TRUE(volume.has_value());
  const vfs::Owner owner{1, 1};
  layer::Volume& fs = **volume;
  EXPECT_TRUE(vfs::MakeDirectoryAt(fs, "part", 0700, owner).has_value());
  for (const auto& [path, node] : tree) {
    if (path.empty()) continue;
    const std::string inside = "part/" + path;
    if (node.kind == EntryKind::kDirectory) {
      EXPECT_TRUE(vfs::MakeDirectoryAt(fs, inside, node.mode, owner).has_value()) << path;
    } else {
      EXPECT_TRUE(vfs::WriteFileAt(fs, inside, AsBytes(node.content), node.mode, owner).has_value()) << path;
    }
  }
  return std::make_unique<OwningPart>(*std::move(volume));
}

INSTANTIATE_TEST_SUITE_P(VolumePart, ImageConformance,
                         ::testing::Values(ImageFactory{"InMemory", PartOfAVolume, false}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pgstrata::image
