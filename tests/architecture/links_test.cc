#include <gtest/gtest.h>

#include <filesystem>

#include "tests/architecture/source_tree.h"

namespace pgstrata::architecture {
namespace {

std::vector<std::filesystem::path> Pages() {
  std::vector<std::filesystem::path> pages = {"README.md", "changelog/README.md"};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SourceRoot() / "docs")) {
    if (entry.path().extension() == ".md") pages.push_back(std::filesystem::relative(entry.path(), SourceRoot()));
  }
  return pages;
}

TEST(Pages, LinkToWhatExists) {
  for (const auto& page : Pages()) {
    for (const auto& link : MatchAll(ReadSource(page), R"(\]\(([^)#\s]+)[^)]*\))")) {
      if (link[1].find("://") != std::string::npos) continue;
      EXPECT_TRUE(std::filesystem::exists(SourceRoot() / page.parent_path() / link[1])) << page << ": " << link[1];
    }
  }
}

}  // namespace
}  // namespace pgstrata::architecture
