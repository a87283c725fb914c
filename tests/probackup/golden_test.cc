// Parts of real catalogs, compared with what pg_probackup restored of them (tests/data/probackup).
#include <algorithm>
#include <filesystem>

#include "catalog/probackup/verify.h"
#include "foundation/base/text.h"
#include "foundation/codec/sha256.h"
#include "tests/probackup/chain_fixture.h"

namespace pgstrata::probackup {
namespace {

namespace fs = std::filesystem;

class GoldenTest : public ChainTest, public ::testing::WithParamInterface<const char*> {
 protected:
  // A copy: readers register in what they read.
  GoldenTest() {
    const fs::path from = fs::path(PGSTRATA_SOURCE_DIR) / "tests/data/probackup" / GetParam();
    fs::copy(from, Root(), fs::copy_options::recursive);
  }
  [[nodiscard]] std::string Root() const { return place_.path() + "/copy"; }
  [[nodiscard]] std::string Directory(const std::string& id) const { return Root() + "/catalog/backups/main/" + id; }
  [[nodiscard]] std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const auto& entry : fs::directory_iterator(Root() + "/expected")) ids.push_back(entry.path().stem());
    std::ranges::sort(ids);
    return ids;
  }
  void CompareWithExpected(const std::string& id) {
    const auto image = Open(Directory(id))->MakeImage();
    size_t compared = 0;
    const std::string expected = Content(Root() + "/expected/" + id + ".sha256");
    for (const auto line : SplitLines(expected)) {
      const auto parts = Split(line, ' ');
      const std::string path(line.substr(parts[0].size() + parts[1].size() + 2));
      SCOPED_TRACE(id + ' ' + path);
      const std::string content = Read(*image, path);
      EXPECT_EQ(std::to_string(content.size()), parts[1]);
      EXPECT_EQ(codec::ToHex(codec::Sha256::Of(AsBytes(content))), parts[0]);
      ++compared;
    }
    EXPECT_GT(compared, 20U);
  }

 private:
  test::ScratchDirectory place_;
};
INSTANTIATE_TEST_SUITE_P(Catalogs, GoldenTest,
                         ::testing::Values("mixed_none_tablespace", "page_archive_pglz", "nochecksums"));

TEST_P(GoldenTest, EveryBackupReadsAsPgProbackupRestoredIt) {
  ASSERT_FALSE(Ids().empty());
  for (const auto& id : Ids()) CompareWithExpected(id);
}

TEST_P(GoldenTest, WithoutHeaderMapsTheStreamsSayTheSame) {
  for (const auto& id : Ids()) fs::remove(Directory(id) + "/page_header_map");
  for (const auto& id : Ids()) CompareWithExpected(id);
}

TEST_P(GoldenTest, VerificationFindsNothing) {
  const auto verified = VerifyChain(Directory(Ids().back()), false, {.threads = 2}, [](const Damage& damage) {
    ADD_FAILURE() << damage.backup << ' ' << damage.path << ": " << damage.problem;
  });
  ASSERT_TRUE(verified.has_value());
  EXPECT_GT(verified->pages, 20U);
  EXPECT_EQ(verified->damages, 0U);
}

TEST_P(GoldenTest, VerificationFindsEveryFlippedByte) {
  const std::string newest = Ids().back();
  size_t flipped = 0;
  for (const auto& entry : fs::recursive_directory_iterator(Directory(newest) + "/database")) {
    if (!entry.is_regular_file() || entry.file_size() == 0) continue;
    // What follows pg_control's structure is covered by no checksum, and means nothing.
    const bool control = entry.path().filename() == "pg_control";
    Flip(entry.path(), control ? 100 : static_cast<int64_t>(entry.file_size() * 2 / 3));
    ++flipped;
  }
  std::vector<std::string> files;
  const auto verified = VerifyChain(Directory(newest), false, {.threads = 2},
                                    [&files](const Damage& damage) { files.push_back(damage.path); });
  ASSERT_TRUE(verified.has_value());
  std::ranges::sort(files);
  files.erase(std::unique(files.begin(), files.end()), files.end());
  EXPECT_EQ(files.size(), flipped);
}

}  // namespace
}  // namespace pgstrata::probackup
