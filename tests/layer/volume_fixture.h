// Volumes over images made of literals.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/memory_image.h"
#include "volume/layer/layer_directory.h"
#include "volume/layer/volume.h"

namespace pgstrata::layer {

inline constexpr vfs::Owner kShownOwner{2000, 2001};
inline constexpr vfs::Owner kOwner{1000, 1001};  // of what the tests make
inline constexpr uint64_t kBlock = 4096;

inline std::unique_ptr<Volume> MakeVolume(std::shared_ptr<const image::Image> image, const std::string& directory,
                                          size_t max_open_files = 0) {
  auto volume = Volume::Create(
      {.image = std::move(image), .directory = directory, .owner = kShownOwner, .max_open_files = max_open_files});
  EXPECT_TRUE(volume.has_value()) << volume.error().message();
  return volume ? *std::move(volume) : nullptr;
}

// A durable volume over `layers`, those of them made that are not there.
inline std::unique_ptr<Volume> OpenVolume(std::shared_ptr<const image::Image> image, std::vector<std::string> layers,
                                          LayerStorage* storage = nullptr) {
  LayerStorage& disk = storage != nullptr ? *storage : NativeStorage();
  for (const auto& layer : layers) {
    const Status made = MakeLayer(layer, disk);
    EXPECT_TRUE(made || made.error().code() == ErrorCode::kAlreadyExists) << made.error().message();
  }
  auto volume =
      Volume::Open({.image = std::move(image), .layers = std::move(layers), .owner = kShownOwner, .storage = storage});
  EXPECT_TRUE(volume.has_value()) << volume.error().message();
  return volume ? *std::move(volume) : nullptr;
}

// A path that ends in '/' is a directory.
inline std::shared_ptr<test::MemoryImage> ImageOf(const std::map<std::string, std::string>& tree) {
  auto image = std::make_shared<test::MemoryImage>();
  for (const auto& [path, content] : tree) {
    if (path.ends_with('/')) {
      image->AddDirectory(path.substr(0, path.size() - 1));
    } else {
      image->AddFile(path, content);
    }
  }
  return image;
}

}  // namespace pgstrata::layer
