// Every way to store a file, through the suite that all images pass.
#include "tests/image/conformance.h"

#include "catalog/pgbackrest/repository.h"
#include "foundation/io/directory.h"
#include "tests/pgbackrest/repository_writer.h"

namespace pgstrata::image {
namespace {

using Tree = std::map<std::string, SampleNode>;

// A manifest has no names with a newline. A file of more than a megabyte goes through the cache.
void Adapt(Tree& tree) {
  std::erase_if(tree, [](const auto& node) { return node.first.contains('\n'); });
  auto& content = tree.at("base/long").content;
  while (content.size() <= pgbackrest::BackupImage::kSmall) content += content;
}

std::unique_ptr<Image> FromRepository(const test::WriterOptions& options, const Tree& tree,
                                      const test::ScratchDirectory& place) {
  const std::string root = place.path() + "/repo";
  EXPECT_TRUE(io::MakeDirectories(root).has_value());
  test::RepositoryWriter writer(root, options);
  for (const auto& [path, node] : tree) {
    if (node.kind == EntryKind::kFile) writer.AddFile(path, node.content, node.mode);
    if (node.kind == EntryKind::kDirectory) writer.AddDirectory(path, node.mode);
  }
  writer.Finish();
  auto repository = pgbackrest::Repository::Open(root, "main", options.passphrase);
  if (!repository) {
    ADD_FAILURE() << repository.error().message();
    return nullptr;
  }
  auto image = (*repository)->OpenBackup(options.label, std::make_shared<DecodedCache>(place.path() + "/cache"));
  if (!image) ADD_FAILURE() << image.error().message();
  return image ? *std::move(image) : nullptr;
}

ImageFactory Factory(const std::string& name, const test::WriterOptions& options) {
  return {.name = name,
          .make = [options](const Tree& tree, const auto& place) { return FromRepository(options, tree, place); },
          .has_links = false,
          .adapt = Adapt};
}

INSTANTIATE_TEST_SUITE_P(
    Pgbackrest, ImageConformance,
    ::testing::Values(
        Factory("Plain", {}), Factory("PlainBundle", {.bundle = true}), Factory("Gz", {.compress_type = "gz"}),
        Factory("Bz2Bundle", {.compress_type = "bz2", .bundle = true}),
        Factory("Lz4Encrypted", {.compress_type = "lz4", .passphrase = "open-sesame"}),
        Factory("EncryptedBundle", {.passphrase = "open-sesame", .bundle = true}),
        Factory("GzRawBundle", {.compress_type = "gz", .bundle = true, .raw = true}),
        Factory("Lz4EncryptedRawBundle",
                {.compress_type = "lz4", .passphrase = "open-sesame", .bundle = true, .raw = true}),
        Factory("Blocks", {.block_units = 1}), Factory("GzBlocks", {.compress_type = "gz", .block_units = 4}),
        Factory("Bz2BlocksBundle", {.compress_type = "bz2", .bundle = true, .block_units = 20}),
        Factory("ZstEncryptedBlocksBundle",
                {.compress_type = "zst", .passphrase = "open-sesame", .bundle = true, .raw = true, .block_units = 3})),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace pgstrata::image
