// The order of rooms is an invariant of the design (docs/architecture.md): a room uses only rooms above it, and a third
// party's header is known to one room alone. src/CMakeLists.txt is the only place that states the order.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iostream>
#include <set>

#include "tests/architecture/source_tree.h"

namespace pgstrata::architecture {
namespace {

struct ThirdParty {
  std::string_view header;  // a prefix of what stands between the angle brackets
  std::string_view room;    // the only room that may include it; "*" is any
};

// docs/architecture.md shows the same as a table for people.
constexpr auto kThirdParties = std::to_array<ThirdParty>({
    {"fmt/", "*"},         {"spdlog/", "base"},   {"zstd", "codec"},         {"zdict.h", "codec"},
    {"lz4", "codec"},      {"zlib.h", "codec"},   {"libdeflate.h", "codec"}, {"bzlib.h", "codec"},
    {"openssl/", "codec"}, {"sodium", "codec"},   {"xxhash.h", "codec"},     {"nlohmann/", "codec"},
    {"sqlite3.h", "io"},   {"curl/", "io"},       {"libpq", "client"},       {"dlfcn.h", "client"},
    {"archive", "image"},  {"toml++/", "source"}, {"fuse", "fuse"},          {"httplib.h", "server"},
    {"CLI/", "cli"},
});

bool IsSystemHeader(const std::string& header) {
  static const std::set<std::string> kPosix = {
      "dirent.h",   "endian.h",    "errno.h",     "fcntl.h",     "ftw.h",   "grp.h",     "langinfo.h",
      "limits.h",   "locale.h",    "malloc.h",    "netdb.h",     "paths.h", "poll.h",    "pty.h",
      "pwd.h",      "sched.h",     "signal.h",    "spawn.h",     "stdio.h", "stdlib.h",  "string.h",
      "syslog.h",   "termios.h",   "time.h",      "unistd.h",    "utime.h", "pthread.h", "mntent.h",
      "byteswap.h", "immintrin.h", "nmmintrin.h", "x86intrin.h", "cpuid.h"};
  if (header.find('.') == std::string::npos) return true;  // the C++ standard library
  for (const std::string_view prefix : {"sys/", "linux/", "netinet/", "arpa/", "net/", "asm/"}) {
    if (header.starts_with(prefix)) return true;
  }
  return kPosix.contains(header);
}

class Rooms : public testing::Test {
 protected:
  // The room that a file below src/ belongs to; "cli" for main.cc, which stands below all rooms.
  static std::string RoomOf(const std::filesystem::path& file) {
    auto part = file.begin();
    std::advance(part, 2);
    return std::distance(file.begin(), file.end()) < 4 ? "cli" : part->string();
  }
  [[nodiscard]] const Room* Find(const std::string& name) const {
    const auto found = std::ranges::find(rooms_, name, &Room::name);
    return found == rooms_.end() ? nullptr : &*found;
  }

  std::vector<Room> rooms_ = ParseRooms(ReadSource("src/CMakeLists.txt"));
};

TEST_F(Rooms, AreAllDeclared) {
  ASSERT_GE(rooms_.size(), 10U);
  for (const auto& file : SourceFiles("src")) {
    const auto* room = Find(RoomOf(file));
    ASSERT_NE(room, nullptr) << file << " is in no room that src/CMakeLists.txt declares";
    const bool in_place = file == "src/app/main.cc" || file.string().starts_with("src/" + room->path() + "/");
    EXPECT_TRUE(in_place) << file;
  }
}

TEST_F(Rooms, UseOnlyRoomsAbove) {
  std::set<std::string> above;
  for (const auto& room : rooms_) {
    for (const auto& used : room.may_use) {
      EXPECT_TRUE(above.contains(used)) << room.path() << " lists \"" << used << "\", which does not stand above it";
    }
    EXPECT_TRUE(above.insert(room.name).second) << room.name << " is declared twice";
  }
}

TEST_F(Rooms, StandOnFloorsThatAreInOnePiece) {
  std::vector<std::string> floors;
  for (const auto& room : rooms_) {
    // Catalogs are adapters of an interface of the floor above, which also names them: they stand in the middle of it.
    if (room.floor == "catalog") continue;
    if (floors.empty() || floors.back() != room.floor) floors.push_back(room.floor);
  }
  const std::set<std::string> distinct(floors.begin(), floors.end());
  EXPECT_EQ(distinct.size(), floors.size()) << "a floor's rooms are declared together";
}

TEST_F(Rooms, IncludeOnlyWhatTheyDeclare) {
  for (const auto& file : SourceFiles("src")) {
    const auto* room = Find(RoomOf(file));
    ASSERT_NE(room, nullptr) << file;
    for (const auto& include : ParseIncludes(ReadSource(file))) {
      if (!include.quoted) continue;
      const auto where = file.string() + ":" + std::to_string(include.line);
      EXPECT_TRUE(std::filesystem::exists(SourceRoot() / "src" / include.target))
          << where << " includes \"" << include.target << "\"; write includes as floor/room/file.h";
      const auto used = RoomOf(std::filesystem::path("src") / include.target);
      EXPECT_TRUE(used == room->name || std::ranges::count(room->may_use, used) == 1)
          << where << ": " << room->path() << " may not use \"" << include.target << "\" (src/CMakeLists.txt)";
    }
  }
}

TEST_F(Rooms, KeepThirdPartiesToThemselves) {
  for (const auto& file : SourceFiles("src")) {
    const auto room = RoomOf(file);
    for (const auto& include : ParseIncludes(ReadSource(file))) {
      if (include.quoted || IsSystemHeader(include.target)) continue;
      const auto where = file.string() + ":" + std::to_string(include.line);
      const auto* owner = std::ranges::find_if(
          kThirdParties, [&](const ThirdParty& third) { return include.target.starts_with(third.header); });
      ASSERT_NE(owner, kThirdParties.end()) << where << ": <" << include.target << "> has no room yet";
      EXPECT_TRUE(owner->room == "*" || owner->room == room)
          << where << ": <" << include.target << "> belongs to the room \"" << owner->room << "\"";
    }
  }
}

TEST(IncludeParser, SeesQuotedAndAngledIncludes) {
  const auto includes = ParseIncludes("// x\n#include \"a/b/c.h\"\n  #  include <vector>  // why\nint include;\n");
  ASSERT_EQ(includes.size(), 2U);
  EXPECT_EQ(includes[0].target, "a/b/c.h");
  EXPECT_TRUE(includes[0].quoted);
  EXPECT_EQ(includes[1].target, "vector");
  EXPECT_EQ(includes[1].line, 3);
}

TEST(RoomParser, ReadsRoomsInOrder) {
  const auto rooms = ParseRooms("pgs_room(f/a)\npgs_room(f/b ROOMS a\n  c LIBRARIES x::y)\n");
  ASSERT_EQ(rooms.size(), 2U);
  EXPECT_TRUE(rooms[0].may_use.empty());
  EXPECT_EQ(rooms[1].may_use, (std::vector<std::string>{"a", "c"}));
}

TEST(Files, AreNamedForWhatTheyHold) {
  const std::string vague = "(^|_)(util|utils|helper|helpers|manager|handler|misc|common)(_|$)";
  for (const std::string_view folder : {"src", "tests", "bench"}) {
    for (const auto& file : SourceFiles(folder)) {
      EXPECT_TRUE(MatchAll(file.stem().string(), vague).empty()) << file;
    }
  }
}

TEST(Files, HeadersSayWhatTheyPromise) {
  for (const auto& file : SourceFiles("src")) {
    if (file.extension() != ".h") continue;
    const auto text = "\n" + ReadSource(file);
    EXPECT_NE(text.find("\n// "), std::string::npos) << file << " has no comment that says what it promises";
    EXPECT_NE(text.find("\n#pragma once\n"), std::string::npos) << file;
  }
}

// A signal for reviewers, not a gate; a thousand lines is one.
TEST(Files, StaySmallEnoughToRead) {
  constexpr int kReview = 550;
  constexpr int kLimit = 1000;
  for (const auto& file : SourceFiles("src")) {
    const auto text = ReadSource(file);
    const auto lines = std::ranges::count(text, '\n');
    if (lines > kReview)
      std::cout << "warning: " << file.string() << " has " << lines << " lines; could it be two files?\n";
    EXPECT_LE(lines, kLimit) << file;
  }
}

}  // namespace
}  // namespace pgstrata::architecture
