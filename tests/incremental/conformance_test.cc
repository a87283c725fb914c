#include "tests/image/conformance.h"

#include "catalog/incremental/combined_image.h"
#include "tests/incremental/chain_fixture.h"

namespace pgstrata::incremental {
namespace {

using image::EntryKind;
using image::SampleNode;

// The tablespace's only relation comes from an older backup; the label gets what a restore leaves of it.
std::unique_ptr<image::Image> FromChain(const std::map<std::string, SampleNode>& tree) {
  constexpr std::string_view kRelation = "pg_tblspc/16400/PG_15_202209061/5/16401";
  auto full = std::make_shared<test::MemoryImage>("full");
  auto newest = std::make_shared<test::MemoryImage>("newest");
  for (const auto& [path, node] : tree) {
    switch (node.kind) {
      case EntryKind::kDirectory:
        newest->AddDirectory(path, node.mode);
        break;
      case EntryKind::kFile:
        newest->AddFile(path, node.content, node.mode);
        break;
      case EntryKind::kLink:
        newest->AddLink(path, node.content);
        break;
    }
  }
  const std::string content = tree.at(std::string(kRelation)).content;
  newest->Remove(std::string(kRelation));
  newest->AddFile("pg_tblspc/16400/PG_15_202209061/5/INCREMENTAL.16401", IncrementalBytes(1, {}));
  full->AddFile(std::string(kRelation), content);
  const auto facts = [](uint32_t start, uint32_t base) {
    auto label = pgdata::ParseBackupLabel(LabelText(start, base));
    EXPECT_TRUE(label.has_value());
    return BackupFacts{.label = *std::move(label), .system_identifier = 7, .major_version = 17};
  };
  newest->AddFile("backup_label", LabelText(2, 1));
  auto combined = CombinedImage::Create({{full, facts(1, 0)}, {newest, facts(2, 1)}});
  EXPECT_TRUE(combined.has_value()) << combined.error().message();
  return combined ? *std::move(combined) : nullptr;
}

// The suite's tree has no backup_label, without which there is no chain.
class WithoutLabel final : public image::Image {
 public:
  explicit WithoutLabel(std::unique_ptr<image::Image> image) : image_(std::move(image)) {}
  [[nodiscard]] const std::string& name() const override { return image_->name(); }
  Result<image::Entry> Stat(std::string_view path) const override { return image_->Stat(path); }
  Result<std::vector<image::Entry>> List(std::string_view directory) const override {
    PGS_ASSIGN(auto entries, image_->List(directory));
    std::erase_if(entries, [](const image::Entry& entry) { return entry.name == pgdata::kBackupLabelPath; });
    return entries;
  }
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view path) const override { return image_->Open(path); }
  Status VisitParts(const image::PartVisitor& visit) const override { return image_->VisitParts(visit); }

 private:
  const std::unique_ptr<image::Image> image_;
};

std::unique_ptr<image::Image> Make(const std::map<std::string, SampleNode>& tree, const test::ScratchDirectory&) {
  return std::make_unique<WithoutLabel>(FromChain(tree));
}

}  // namespace
}  // namespace pgstrata::incremental

namespace pgstrata::image {

INSTANTIATE_TEST_SUITE_P(Chain, ImageConformance, ::testing::Values(ImageFactory{"Combined", incremental::Make}),
                         [](const auto& info) { return info.param.name; });

}  // namespace pgstrata::image
