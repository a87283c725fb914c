// What every Image promises (src/backup/image/image.h). An adapter's tests instantiate ImageConformance with a function
// that makes an image of the tree of SampleTree(): what they must all show is then the same.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "backup/image/image.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::image {

struct SampleNode {
  EntryKind kind = EntryKind::kFile;
  std::string content;  // kLink: its target
  uint32_t mode = 0600;
};
// By path, parents before children.
std::map<std::string, SampleNode> SampleTree(bool with_links = true);

struct ImageFactory {
  std::string name;
  // `place` lives as long as the image.
  std::function<std::unique_ptr<Image>(const std::map<std::string, SampleNode>& tree,
                                       const test::ScratchDirectory& place)>
      make;
  bool has_links = true;  // a format without links is given the tree without them
  // Changes the tree further: takes out names that the format cannot hold, makes files larger.
  std::function<void(std::map<std::string, SampleNode>& tree)> adapt = [](auto&) {};
};
inline void PrintTo(const ImageFactory& factory, std::ostream* out) { *out << factory.name; }

class ImageConformance : public ::testing::TestWithParam<ImageFactory> {
 protected:
  ImageConformance() : tree_(SampleTree(GetParam().has_links)) {
    GetParam().adapt(tree_);
    image_ = GetParam().make(tree_, place_);
  }
  [[nodiscard]] const Image& image() const { return *image_; }
  [[nodiscard]] const std::map<std::string, SampleNode>& tree() const { return tree_; }

 private:
  test::ScratchDirectory place_;
  std::map<std::string, SampleNode> tree_;
  std::unique_ptr<Image> image_;
};

// Writes `tree` below the native directory `root`, which exists.
void WriteTree(const std::map<std::string, SampleNode>& tree, const std::string& root);

}  // namespace pgstrata::image
