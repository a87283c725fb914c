// The source tree as the architecture tests see it: the rooms that src/CMakeLists.txt declares, and who includes what.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace pgstrata::architecture {

// One pgs_room(FLOOR/NAME ROOMS ...) line.
struct Room {
  std::string floor;
  std::string name;
  std::vector<std::string> may_use;  // names, as listed after ROOMS

  [[nodiscard]] std::string path() const { return floor + "/" + name; }
};

struct Include {
  std::string target;  // what stands between the quotes or angle brackets
  bool quoted;
  int line;
};

// The root of the checkout.
std::filesystem::path SourceRoot();
// The text of a file below the root; fails the calling test, and returns "", when it cannot be read.
std::string ReadSource(const std::filesystem::path& path);
// Every .h and .cc below `folder` (relative to the root), sorted, as paths relative to the root.
std::vector<std::filesystem::path> SourceFiles(std::string_view folder);
// In the order of src/CMakeLists.txt, which is the order in which rooms stand on each other.
std::vector<Room> ParseRooms(const std::string& cmake_lists);
std::vector<Include> ParseIncludes(const std::string& source);
// Every match of an ECMAScript pattern, each as its groups, the whole match first.
std::vector<std::vector<std::string>> MatchAll(const std::string& text, const std::string& pattern);

}  // namespace pgstrata::architecture
