#include "tests/image/conformance.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::image {
namespace {

std::string LongContent() {
  std::string content;
  for (int i = 0; content.size() < 300'000; ++i) content += std::to_string(i) + ' ';
  return content;
}

std::string ReadRange(const ImageFile& file, uint64_t offset, size_t length) {
  std::string bytes(length, '?');
  const auto status = file.ReadAt(offset, std::as_writable_bytes(std::span(bytes)));
  return status ? bytes : "error: " + status.error().message();
}

TEST_P(ImageConformance, StatSaysWhatIsThere) {
  for (const auto& [path, node] : tree()) {
    const auto entry = image().Stat(path);
    ASSERT_TRUE(entry.has_value()) << path << ": " << entry.error().message();
    EXPECT_EQ(entry->kind, node.kind) << path;
    EXPECT_EQ(entry->name, path.substr(path.find_last_of('/') + 1));
    if (node.kind != EntryKind::kLink) {
      EXPECT_EQ(entry->mode, node.mode) << path;
    }
    if (node.kind != EntryKind::kDirectory) {
      EXPECT_EQ(entry->size, node.content.size()) << path;
    }
    EXPECT_EQ(entry->link_target, node.kind == EntryKind::kLink ? node.content : "");
  }
}

TEST_P(ImageConformance, RootIsADirectoryWithoutAName) {
  const auto entry = image().Stat("");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->kind, EntryKind::kDirectory);
  EXPECT_EQ(entry->name, "");
  EXPECT_FALSE(image().name().empty());
}

TEST_P(ImageConformance, ListIsSortedByBytesAndAgreesWithStat) {
  std::set<std::string> directories = {""};
  for (const auto& [path, node] : tree()) {
    if (node.kind == EntryKind::kDirectory) directories.insert(path);
  }
  for (const auto& directory : directories) {
    std::vector<std::string> expected;
    for (const auto& [path, node] : tree()) {
      const size_t slash = path.find_last_of('/');
      const std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
      if (parent == directory) expected.push_back(path.substr(slash + 1));
    }
    std::ranges::sort(expected);
    const auto entries = image().List(directory);
    ASSERT_TRUE(entries.has_value()) << directory << ": " << entries.error().message();
    std::vector<std::string> names;
    for (const auto& entry : *entries) {
      names.push_back(entry.name);
      const auto same = image().Stat(JoinPath(directory, entry.name));
      ASSERT_TRUE(same.has_value());
      EXPECT_EQ(same->kind, entry.kind);
      EXPECT_EQ(same->size, entry.size);
      EXPECT_EQ(same->mode, entry.mode);
      EXPECT_EQ(same->modified, entry.modified);
    }
    EXPECT_EQ(names, expected) << directory;
  }
}

TEST_P(ImageConformance, FilesReadAsTheyAreAtEveryOffset) {
  for (const auto& [path, node] : tree()) {
    if (node.kind != EntryKind::kFile) continue;
    const auto file = image().Open(path);
    ASSERT_TRUE(file.has_value()) << path << ": " << file.error().message();
    const std::string& content = node.content;
    ASSERT_EQ((*file)->size(), content.size()) << path;
    EXPECT_TRUE(ReadRange(**file, 0, content.size()) == content) << path;
    for (size_t offset = 0; offset < content.size(); offset += 65'537) {
      const size_t length = std::min<size_t>(content.size() - offset, 8193);
      EXPECT_TRUE(ReadRange(**file, offset, length) == content.substr(offset, length)) << path << " at " << offset;
    }
    EXPECT_EQ(ReadRange(**file, content.size(), 0), "");
  }
}

TEST_P(ImageConformance, NextDataNeverPassesOverData) {
  for (const auto& [path, node] : tree()) {
    if (node.kind != EntryKind::kFile) continue;
    const auto file = image().Open(path);
    ASSERT_TRUE(file.has_value());
    for (uint64_t offset = 0; offset <= node.content.size(); offset += 50'000) {
      const uint64_t next = (*file)->NextData(offset);
      ASSERT_GE(next, offset);
      ASSERT_LE(next, node.content.size());
      EXPECT_EQ(node.content.substr(offset, next - offset).find_first_not_of('\0'), std::string::npos);
    }
    EXPECT_EQ((*file)->NextData(node.content.size()), node.content.size());
  }
}

TEST_P(ImageConformance, PartsAreTheSameEachTimeAndHaveNamesOfTheirOwn) {
  const auto parts = [this] {
    std::vector<std::string> lines;
    std::set<std::string> names;
    const auto visited = image().VisitParts([&](const SourcePart& part) -> Status {
      EXPECT_TRUE(names.insert(std::string(part.name)).second) << part.name;
      EXPECT_NE(part.file == nullptr, part.fact.empty()) << part.name << " is a file or a fact";
      EXPECT_EQ(part.fact.find_first_of(" \n"), std::string_view::npos) << part.fact;
      const uint64_t digest = part.file == nullptr ? 0 : part.file->Digest();
      lines.push_back(std::string(part.name) + ' ' + std::string(part.fact) + ' ' + std::to_string(digest));
      return {};
    });
    EXPECT_TRUE(visited.has_value()) << visited.error().message();
    return lines;
  };
  const auto first = parts();
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(parts(), first);
  const auto ended =
      image().VisitParts([](const SourcePart&) { return Status(Fail(ErrorCode::kCancelled, "enough")); });
  EXPECT_EQ(ended.error().code(), ErrorCode::kCancelled);
}

TEST_P(ImageConformance, LogicalBytesAreThoseOfItsFiles) {
  uint64_t bytes = 0;
  for (const auto& [path, node] : tree()) {
    if (node.kind == EntryKind::kFile && !path.starts_with("pg_wal/")) bytes += node.content.size();
  }
  EXPECT_EQ(image().LogicalBytes().value_or(0), bytes);
}

TEST_P(ImageConformance, WhatIsNotThereIsNotFound) {
  for (const char* path : {"missing", "base/missing", "missing/file", "PG_VERSION/below", "in/below_a_link", ".", "..",
                           "base/..", "../etc/passwd", "/etc/passwd", "base//1", "base/"}) {
    const auto entry = image().Stat(path);
    ASSERT_FALSE(entry.has_value()) << path;
    EXPECT_EQ(entry.error().code(), ErrorCode::kNotFound) << path;
    const auto file = image().Open(path);
    ASSERT_FALSE(file.has_value()) << path;
    EXPECT_EQ(file.error().code(), ErrorCode::kNotFound) << path;
    const auto entries = image().List(path);
    ASSERT_FALSE(entries.has_value()) << path;
    EXPECT_EQ(entries.error().code(), ErrorCode::kNotFound) << path;
  }
}

TEST_P(ImageConformance, OnlyDirectoriesAreListedAndOnlyFilesOpened) {
  for (const char* path : {"PG_VERSION", "in"}) {
    if (!tree().contains(path)) continue;
    const auto entries = image().List(path);
    ASSERT_FALSE(entries.has_value()) << path;
    EXPECT_EQ(entries.error().code(), ErrorCode::kNotFound) << path;
  }
  for (const char* path : {"", "base", "in"}) {
    if (*path != '\0' && !tree().contains(path)) continue;
    const auto file = image().Open(path);
    ASSERT_FALSE(file.has_value()) << path;
    EXPECT_EQ(file.error().code(), ErrorCode::kInvalidArgument) << path;
  }
}

TEST_P(ImageConformance, SmallFilesAreReadThroughLinks) {
  EXPECT_EQ(ReadSmallFile(image(), "base/1").value_or("error"), tree().at("base/1").content);
  if (GetParam().has_links) {
    EXPECT_EQ(ReadSmallFile(image(), "in/1").value_or("error"), tree().at("base/1").content);
    EXPECT_EQ(ReadSmallFile(image(), "base/again").value_or("error"), tree().at("base/1").content);
    EXPECT_EQ(FollowLinks(image(), "in/1").value_or("error"), "base/1");
  }
  const auto large = ReadSmallFile(image(), "base/long", 1000);
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().code(), ErrorCode::kUnsupported);
}

TEST_P(ImageConformance, WalkMeetsEverythingOnceParentsFirst) {
  std::vector<std::string> seen;
  const auto status = Walk(image(), "", [&](const std::string& path, const Entry& entry) -> Status {
    EXPECT_EQ(tree().at(path).kind, entry.kind);
    seen.push_back(path);
    return {};
  });
  ASSERT_TRUE(status.has_value()) << status.error().message();
  EXPECT_EQ(seen.size(), tree().size());
  for (const auto& path : seen) {
    const size_t slash = path.find_last_of('/');
    if (slash == std::string::npos) continue;
    EXPECT_LT(std::ranges::find(seen, path.substr(0, slash)), std::ranges::find(seen, path));
  }
}

TEST_P(ImageConformance, IsSafeFromSeveralThreads) {
  constexpr size_t kThreads = 4;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  while (threads.size() < kThreads) {
    threads.emplace_back([this] {
      for (int round = 0; round < 20; ++round) {
        for (const auto& [path, node] : tree()) {
          EXPECT_TRUE(image().Stat(path).has_value());
          if (node.kind == EntryKind::kDirectory) {
            EXPECT_TRUE(image().List(path).has_value());
          }
          if (node.kind != EntryKind::kFile) continue;
          const auto file = image().Open(path);
          ASSERT_TRUE(file.has_value());
          EXPECT_TRUE(ReadRange(**file, 0, node.content.size()) == node.content);
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace

std::map<std::string, SampleNode> SampleTree(bool with_links) {
  using enum EntryKind;
  std::string with_zeros(200'000, '\0');
  with_zeros[150'000] = 'x';
  std::map<std::string, SampleNode> tree = {
      {"PG_VERSION", {.content = "15\n"}},
      {"base", {.kind = kDirectory, .mode = 0700}},
      {"base/1", {.content = "one", .mode = 0640}},
      {"base/again", {.kind = kLink, .content = "./1"}},
      {"base/empty", {}},
      {"base/long", {.content = LongContent()}},
      {"base/zeros", {.content = with_zeros}},
      {"base-file", {.content = "sorts between base and base/1 by bytes"}},
      {"empty", {.kind = kDirectory, .mode = 0750}},
      {"in", {.kind = kLink, .content = "base"}},
      {"line\nbreak", {.content = "a name with a newline"}},
      {"not utf-8 \xFF\x80", {.content = "a name of other bytes"}},
      {"pg_tblspc", {.kind = kDirectory, .mode = 0700}},
      {"pg_tblspc/16400", {.kind = kDirectory, .mode = 0700}},
      {"pg_tblspc/16400/PG_15_202209061", {.kind = kDirectory, .mode = 0700}},
      {"pg_tblspc/16400/PG_15_202209061/5", {.kind = kDirectory, .mode = 0700}},
      {"pg_tblspc/16400/PG_15_202209061/5/16401", {.content = std::string(8192, 'p')}},
  };
  if (!with_links) std::erase_if(tree, [](const auto& entry) { return entry.second.kind == kLink; });
  return tree;
}

void WriteTree(const std::map<std::string, SampleNode>& tree, const std::string& root) {
  for (const auto& [path, node] : tree) {
    const std::string native = JoinPath(root, path);
    switch (node.kind) {
      case EntryKind::kDirectory:
        ASSERT_TRUE(io::MakeDirectories(native).has_value());
        break;
      case EntryKind::kFile:
        ASSERT_TRUE(io::WriteWholeFile(native, node.content).has_value());
        break;
      case EntryKind::kLink:
        ASSERT_EQ(::symlink(node.content.c_str(), native.c_str()), 0);
        continue;
    }
    ASSERT_EQ(::chmod(native.c_str(), node.mode), 0);
  }
}

}  // namespace pgstrata::image
