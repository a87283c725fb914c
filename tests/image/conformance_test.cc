// The adapters that the suite runs against.
#include "tests/image/conformance.h"

#include <filesystem>

#include "backup/image/buffer_file.h"
#include "backup/image/directory_image.h"
#include "backup/image/overlay_image.h"
#include "backup/image/tar_image.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/memory_image.h"
#include "tests/support/tar_writer.h"

namespace pgstrata::image {
namespace {

using Tree = std::map<std::string, SampleNode>;

std::unique_ptr<Image> FromDirectory(const Tree& tree, const test::ScratchDirectory& place) {
  WriteTree(tree, place.path());
  auto image = OpenDirectory(place.path());
  return image ? *std::move(image) : nullptr;
}

// The tablespace lies elsewhere, behind an absolute link; base behind a relative one that leaves.
std::unique_ptr<Image> FromGrafts(const Tree& tree, const test::ScratchDirectory& place) {
  const std::string data = place.path() + "/data";
  EXPECT_TRUE(io::MakeDirectories(data).has_value());
  WriteTree(tree, data);
  std::filesystem::rename(data + "/pg_tblspc/16400", place.path() + "/space");
  std::filesystem::rename(data + "/base", place.path() + "/other");
  EXPECT_EQ(::symlink((place.path() + "/space").c_str(), (data + "/pg_tblspc/16400").c_str()), 0);
  EXPECT_EQ(::symlink("../other", (data + "/base").c_str()), 0);
  auto image = OpenDirectory(data);
  return image ? *std::move(image) : nullptr;
}

std::unique_ptr<test::MemoryImage> FromMemory(const Tree& tree) {
  auto image = std::make_unique<test::MemoryImage>();
  for (const auto& [path, node] : tree) {
    switch (node.kind) {
      case EntryKind::kDirectory:
        image->AddDirectory(path, node.mode);
        break;
      case EntryKind::kFile:
        image->AddFile(path, node.content, node.mode);
        break;
      case EntryKind::kLink:
        image->AddLink(path, node.content);
        break;
    }
  }
  return image;
}

// Half of the files are missing or other in the base and laid over it.
std::unique_ptr<Image> FromOverlay(const Tree& tree, const test::ScratchDirectory&) {
  auto base = FromMemory(tree);
  constexpr std::string_view kSpace = "pg_tblspc/16400/PG_15_202209061/5/16401";
  base->Remove(std::string(kSpace));
  base->Remove("pg_tblspc/16400/PG_15_202209061/5");
  base->Remove("pg_tblspc/16400/PG_15_202209061");
  base->Remove("line\nbreak");
  base->AddFile("base/long", "other content", 0644);
  auto image = std::make_unique<ImageWithFiles>(std::move(base));
  for (const auto& path : {std::string(kSpace), std::string("line\nbreak"), std::string("in/long")}) {
    const std::string content = tree.at(path == "in/long" ? "base/long" : path).content;
    const auto added = image->Add(path, [content]() -> Result<std::unique_ptr<ImageFile>> {
      const auto bytes = AsBytes(content);
      return MakeBufferFile({bytes.begin(), bytes.end()});
    });
    EXPECT_TRUE(added.has_value()) << path;
  }
  return image;
}

// The tablespace in an archive of its own.
std::unique_ptr<Image> FromTar(const Tree& tree, const test::ScratchDirectory& place) {
  constexpr std::string_view kSpace = "pg_tblspc/16400/";
  test::TarWriter base;
  test::TarWriter space;
  for (const auto& [path, node] : tree) {
    const bool in_space = path.starts_with(kSpace);
    auto& archive = in_space ? space : base;
    const std::string member = in_space ? path.substr(kSpace.size()) : path;
    switch (node.kind) {
      case EntryKind::kDirectory:
        archive.Directory(member, node.mode);
        break;
      case EntryKind::kFile:
        archive.File(member, node.content, node.mode);
        break;
      case EntryKind::kLink:
        archive.Link(member, node.content);
        break;
    }
  }
  EXPECT_TRUE(io::WriteWholeFile(place.path() + "/base.tar", base.Finish()).has_value());
  EXPECT_TRUE(io::WriteWholeFile(place.path() + "/16400.tar", space.Finish()).has_value());
  auto image = OpenTar(place.path());
  EXPECT_TRUE(image.has_value()) << image.error().message();
  return image ? *std::move(image) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(Adapters, ImageConformance,
                         ::testing::Values(ImageFactory{"Directory", FromDirectory}, ImageFactory{"Grafts", FromGrafts},
                                           ImageFactory{"Overlay", FromOverlay}, ImageFactory{"Tar", FromTar},
                                           ImageFactory{"Memory", [](const Tree& tree,
                                                                     const auto&) { return FromMemory(tree); }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pgstrata::image
