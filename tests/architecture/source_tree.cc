#include "tests/architecture/source_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

namespace pgstrata::architecture {
namespace fs = std::filesystem;

fs::path SourceRoot() { return PGSTRATA_SOURCE_DIR; }

std::string ReadSource(const fs::path& path) {
  const std::ifstream file(SourceRoot() / path);
  EXPECT_TRUE(file.is_open()) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<fs::path> SourceFiles(std::string_view folder) {
  std::vector<fs::path> files;
  const fs::path start = SourceRoot() / folder;
  if (!fs::exists(start)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(start)) {
    const auto extension = entry.path().extension();
    if (extension == ".h" || extension == ".cc") files.push_back(fs::relative(entry.path(), SourceRoot()));
  }
  std::ranges::sort(files);
  return files;
}

std::vector<Room> ParseRooms(const std::string& cmake_lists) {
  static const std::regex kRoom(R"(pgs_room\(\s*([a-z0-9_]+)/([a-z0-9_]+)([^)]*)\))");
  std::vector<Room> rooms;
  for (std::sregex_iterator it(cmake_lists.begin(), cmake_lists.end(), kRoom), end; it != end; ++it) {
    Room room{.floor = (*it)[1], .name = (*it)[2], .may_use = {}};
    std::istringstream words((*it)[3]);
    std::string word;
    bool in_rooms = false;
    while (words >> word) {
      if (word == "ROOMS" || word == "LIBRARIES") {
        in_rooms = word == "ROOMS";
      } else if (in_rooms) {
        room.may_use.push_back(word);
      }
    }
    rooms.push_back(std::move(room));
  }
  return rooms;
}

std::vector<Include> ParseIncludes(const std::string& source) {
  static const std::regex kInclude(R"re(^\s*#\s*include\s*(["<])([^">]+)[">].*)re");
  std::vector<Include> includes;
  std::istringstream lines(source);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::smatch match;
    if (line.size() < 400 && std::regex_match(line, match, kInclude)) {
      includes.push_back({.target = match[2], .quoted = match[1] == "\"", .line = number});
    }
  }
  return includes;
}

std::vector<std::vector<std::string>> MatchAll(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::vector<std::string>> matches;
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) {
    matches.emplace_back(it->begin(), it->end());
  }
  return matches;
}

}  // namespace pgstrata::architecture
