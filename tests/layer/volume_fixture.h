// Volumes over images made of literals.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "tests/support/memory_image.h"
#include "volume/layer/volume.h"

namespace pgstrata::layer {

inline constexpr vfs::Owner kShownOwner{2000, 2001};

inline std::unique_ptr<Volume> MakeVolume(std::shared_ptr<const image::Image> image, const std::string& directory,
                                          size_t max_open_files = 0) {
  auto volume = Volume::Create(
      {.image = std::move(image), .directory = directory, .owner = kShownOwner, .max_open_files = max_open_files});
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
