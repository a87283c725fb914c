// Chains of backups as images, in the suite that every adapter of Image passes.
#include "tests/image/conformance.h"

#include "catalog/probackup/backup.h"
#include "tests/probackup/catalog_builder.h"

namespace pgstrata::image {
namespace {

using probackup::Backup;
using test::BuiltBackup;
using test::BuiltFile;

using Tree = std::map<std::string, SampleNode>;

constexpr uint64_t kTime = 1'795'208'863;

BuiltFile FileOf(const std::string& path, const SampleNode& node) {
  BuiltFile file{.path = path, .mode = node.mode | (node.kind == EntryKind::kDirectory ? 040000U : 0100000U)};
  if (node.kind == EntryKind::kFile) file.content = node.content;
  return file;
}

std::unique_ptr<Image> OpenAt(const std::string& directory) {
  auto backup = Backup::Open({.directory = directory, .name = "conformance"});
  EXPECT_TRUE(backup.has_value()) << backup.error().message();
  return backup ? (*backup)->MakeImage() : nullptr;
}

std::unique_ptr<Image> FromFull(const Tree& tree, const test::ScratchDirectory& place) {
  test::CatalogBuilder catalog(place.path(), "main");
  BuiltBackup full{.start_time = kTime};
  for (const auto& [path, node] : tree) full.files.push_back(FileOf(path, node));
  return OpenAt(catalog.Add(full));
}

// The full backup has other files, and half of the right ones; the rest comes with the second and the third.
std::unique_ptr<Image> FromChain(const Tree& tree, const test::ScratchDirectory& place) {
  test::CatalogBuilder catalog(place.path(), "main");
  BuiltBackup full{.start_time = kTime};
  full.files.push_back({.path = "base/dropped", .content = "it is not there any more"});
  BuiltBackup delta{.start_time = kTime + 10, .mode = "DELTA", .parent = full.Id()};
  BuiltBackup newest{.start_time = kTime + 20, .mode = "PAGE", .parent = delta.Id()};
  int number = 0;
  for (const auto& [path, node] : tree) {
    BuiltFile file = FileOf(path, node);
    BuiltFile unchanged = file;
    unchanged.unchanged = node.kind == EntryKind::kFile && !node.content.empty();
    if (unchanged.unchanged) unchanged.full_size = node.content.size();
    BuiltFile other = file;
    if (unchanged.unchanged) other.content = "older";
    const int stored_in = number++ % 3;
    full.files.push_back(stored_in == 0 ? file : other);
    delta.files.push_back(stored_in == 0 ? unchanged : stored_in == 1 ? file : other);
    newest.files.push_back(stored_in == 2 ? file : unchanged);
  }
  catalog.Add(full);
  catalog.Add(delta);
  return OpenAt(catalog.Add(newest));
}

INSTANTIATE_TEST_SUITE_P(Probackup, ImageConformance,
                         ::testing::Values(ImageFactory{"Full", FromFull, false},
                                           ImageFactory{"Chain", FromChain, false}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pgstrata::image
