// The part of the conformance suite about names, links and attributes.
#include <gmock/gmock.h>

#include <set>

#include "tests/vfs/conformance/suite.h"
#include "volume/vfs/path_ops.h"

namespace pgstrata::vfs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

timespec Moment(time_t seconds, long nanoseconds) { return {.tv_sec = seconds, .tv_nsec = nanoseconds}; }

TEST_P(FileSystemConformance, RootIsADirectoryAndItsOwnParent) {
  Start();
  const auto root = fs().GetAttributes(kRootInode);
  ASSERT_EQ(ErrorOf(root), 0);
  EXPECT_TRUE(S_ISDIR(root->mode));
  EXPECT_EQ(fs().ParentOf(kRootInode).value(), kRootInode);
}

TEST_P(FileSystemConformance, WhatIsNotThereIsNotFound) {
  Start({{"d/f", "x"}});
  EXPECT_EQ(ErrorOf(fs().Lookup(kRootInode, "missing")), ENOENT);
  EXPECT_EQ(ErrorOf(fs().Lookup(InodeOf("d"), "missing")), ENOENT);
  EXPECT_EQ(ErrorOf(fs().Unlink(kRootInode, "missing")), ENOENT);
  EXPECT_EQ(ErrorOf(fs().RemoveDirectory(kRootInode, "missing")), ENOENT);
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "missing", kRootInode, "other", RenameMode::kReplace)), ENOENT);
}

TEST_P(FileSystemConformance, AFileIsNoDirectory) {
  Start({{"f", "x"}});
  const Inode file = InodeOf("f");
  EXPECT_EQ(ErrorOf(fs().Lookup(file, "x")), ENOTDIR);
  EXPECT_EQ(ErrorOf(fs().CreateFile(file, "x", 0600, kOwner)), ENOTDIR);
  EXPECT_EQ(ErrorOf(fs().ReadDirectory(file, 0, [](const DirectoryEntry&) { return true; })), ENOTDIR);
  EXPECT_EQ(ErrorOf(fs().RemoveDirectory(kRootInode, "f")), ENOTDIR);
}

TEST_P(FileSystemConformance, ADirectoryIsNoFile) {
  Start({{"d/", ""}});
  const Inode directory = InodeOf("d");
  std::byte byte{};
  EXPECT_EQ(ErrorOf(fs().Read(directory, 0, MutableBytes(&byte, 1))), EISDIR);
  EXPECT_EQ(ErrorOf(fs().Write(directory, 0, ByteView(&byte, 1))), EISDIR);
  EXPECT_EQ(ErrorOf(fs().SetAttributes(directory, {.size = 0})), EISDIR);
  EXPECT_EQ(ErrorOf(fs().Unlink(kRootInode, "d")), EISDIR);
}

TEST_P(FileSystemConformance, CreatedFileIsEmptyAndOwnedByItsMaker) {
  Start();
  const auto made = fs().CreateFile(kRootInode, "f", 0640, kOwner);
  ASSERT_EQ(ErrorOf(made), 0);
  EXPECT_EQ(made->mode, S_IFREG | 0640U);
  EXPECT_EQ(made->size, 0U);
  EXPECT_EQ(made->blocks, 0U);
  EXPECT_EQ(made->link_count, 1U);
  EXPECT_EQ(made->uid, kOwner.uid);
  EXPECT_EQ(made->gid, kOwner.gid);
  EXPECT_EQ(Get("f").inode, made->inode);
}

TEST_P(FileSystemConformance, ATakenNameExists) {
  Start({{"f", "x"}, {"d/", ""}});
  for (const char* name : {"f", "d"}) {
    EXPECT_EQ(ErrorOf(fs().CreateFile(kRootInode, name, 0600, kOwner)), EEXIST);
    EXPECT_EQ(ErrorOf(fs().MakeDirectory(kRootInode, name, 0700, kOwner)), EEXIST);
    EXPECT_EQ(ErrorOf(fs().MakeLink(kRootInode, name, "target", kOwner)), EEXIST);
    EXPECT_EQ(ErrorOf(fs().Link(InodeOf("f"), kRootInode, name)), EEXIST);
  }
}

TEST_P(FileSystemConformance, NamesHave255BytesAtMost) {
  Start();
  const std::string longest(255, 'n');
  EXPECT_EQ(ErrorOf(fs().CreateFile(kRootInode, longest, 0600, kOwner)), 0);
  EXPECT_TRUE(Exists(longest));
  const std::string longer(256, 'n');
  EXPECT_EQ(ErrorOf(fs().CreateFile(kRootInode, longer, 0600, kOwner)), ENAMETOOLONG);
  EXPECT_EQ(ErrorOf(fs().MakeDirectory(kRootInode, longer, 0700, kOwner)), ENAMETOOLONG);
  EXPECT_EQ(ErrorOf(fs().Lookup(kRootInode, longer)), ENAMETOOLONG);
  EXPECT_EQ(ErrorOf(fs().Unlink(kRootInode, longer)), ENAMETOOLONG);
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, longest, kRootInode, longer, RenameMode::kReplace)), ENAMETOOLONG);
}

TEST_P(FileSystemConformance, DirectoryCountsItsSubdirectories) {
  Start({{"d/one/", ""}, {"d/f", "x"}});
  const Inode directory = InodeOf("d");
  EXPECT_EQ(List(directory), (std::vector<std::string>{"f", "one"}));
  EXPECT_EQ(fs().GetAttributes(directory)->link_count, 3U);
  ASSERT_EQ(ErrorOf(fs().MakeDirectory(directory, "two", 0700, kOwner)), 0);
  EXPECT_EQ(fs().GetAttributes(directory)->link_count, 4U);
  EXPECT_EQ(Get("d/two").link_count, 2U);
  ASSERT_EQ(ErrorOf(fs().RemoveDirectory(directory, "one")), 0);
  EXPECT_EQ(fs().GetAttributes(directory)->link_count, 3U);
  EXPECT_EQ(fs().ParentOf(InodeOf("d/two")).value(), directory);
}

TEST_P(FileSystemConformance, OnlyAnEmptyDirectoryIsRemoved) {
  Start({{"d/f", "x"}});
  EXPECT_EQ(ErrorOf(fs().RemoveDirectory(kRootInode, "d")), ENOTEMPTY);
  const Inode directory = InodeOf("d");
  ASSERT_EQ(ErrorOf(fs().Unlink(directory, "f")), 0);
  EXPECT_EQ(ErrorOf(fs().RemoveDirectory(kRootInode, "d")), 0);
  EXPECT_FALSE(Exists("d"));
  // It lives on for whoever still holds it, and takes nothing new.
  EXPECT_EQ(fs().GetAttributes(directory)->link_count, 0U);
  EXPECT_THAT(List(directory), IsEmpty());
  EXPECT_EQ(ErrorOf(fs().CreateFile(directory, "f", 0600, kOwner)), ENOENT);
  EXPECT_EQ(ErrorOf(fs().MakeDirectory(directory, "d", 0700, kOwner)), ENOENT);
}

TEST_P(FileSystemConformance, RemovedNameStaysAwayAndCanBeUsedAgain) {
  Start({{"d/f", "old"}});
  const Inode old = InodeOf("d/f");
  ASSERT_EQ(ErrorOf(fs().Unlink(InodeOf("d"), "f")), 0);
  EXPECT_FALSE(Exists("d/f"));
  EXPECT_THAT(List("d"), IsEmpty());
  const auto made = fs().CreateFile(InodeOf("d"), "f", 0600, kOwner);
  ASSERT_EQ(ErrorOf(made), 0);
  EXPECT_NE(made->inode, old);
  EXPECT_EQ(Content("d/f"), "");
}

TEST_P(FileSystemConformance, UnlinkedFileLivesUntilItsLastReferenceIsGone) {
  Start({{"f", "old content"}});
  const Inode file = InodeOf("f");
  Write(file, 0, "new");
  ASSERT_EQ(ErrorOf(fs().Unlink(kRootInode, "f")), 0);
  EXPECT_EQ(fs().GetAttributes(file)->link_count, 0U);
  EXPECT_EQ(Content(file), "new content");
  Write(file, 4, "CONTENT");
  EXPECT_EQ(Content(file), "new CONTENT");
  EXPECT_EQ(ErrorOf(fs().Link(file, kRootInode, "again")), ENOENT);
  fs().Forget(file, 1);
  EXPECT_EQ(ErrorOf(fs().GetAttributes(file)), ESTALE);
}

TEST_P(FileSystemConformance, EveryLookupCountsAsAReference) {
  Start({{"f", "x"}});
  const Inode file = InodeOf("f");
  EXPECT_EQ(InodeOf("f"), file);
  EXPECT_EQ(InodeOf("f"), file);
  ASSERT_EQ(ErrorOf(fs().Unlink(kRootInode, "f")), 0);
  fs().Forget(file, 2);
  EXPECT_EQ(ErrorOf(fs().GetAttributes(file)), 0);
  fs().Forget(file, 1);
  EXPECT_EQ(ErrorOf(fs().GetAttributes(file)), ESTALE);
}

TEST_P(FileSystemConformance, InodeWithoutReferencesKeepsItsNumberAndContent) {
  Start({{"f", "x"}});
  const Attributes before = Get("f");
  Write(before.inode, 1, "y");
  fs().Forget(before.inode, 1);
  EXPECT_EQ(Get("f").shown_inode, before.shown_inode);
  EXPECT_EQ(Content("f"), "xy");
}

TEST_P(FileSystemConformance, LinksAreNamesOfOneFile) {
  Start({{"d/f", "content"}});
  const Inode file = InodeOf("d/f");
  const auto linked = fs().Link(file, kRootInode, "other");
  ASSERT_EQ(ErrorOf(linked), 0);
  EXPECT_EQ(linked->inode, file);
  EXPECT_EQ(linked->link_count, 2U);
  EXPECT_EQ(Get("other").shown_inode, Get("d/f").shown_inode);
  Write(file, 0, "C");
  EXPECT_EQ(Content("other"), "Content");
  ASSERT_EQ(ErrorOf(fs().Unlink(InodeOf("d"), "f")), 0);
  EXPECT_EQ(Get("other").link_count, 1U);
  EXPECT_EQ(Content("other"), "Content");
  EXPECT_EQ(ErrorOf(fs().Link(InodeOf("d"), kRootInode, "directory")), EPERM);
}

TEST_P(FileSystemConformance, SymbolicLinkSaysWhereItLeads) {
  Start();
  const auto link = fs().MakeLink(kRootInode, "link", "some/where", kOwner);
  ASSERT_EQ(ErrorOf(link), 0);
  EXPECT_TRUE(S_ISLNK(link->mode));
  EXPECT_EQ(link->size, 10U);
  EXPECT_EQ(fs().ReadLink(link->inode).value(), "some/where");
  EXPECT_EQ(ErrorOf(fs().ReadLink(Create("f"))), EINVAL);
}

TEST_P(FileSystemConformance, AttributesChangeOneByOne) {
  Start({{"f", "content"}});
  const Attributes before = Get("f");
  const auto changed =
      fs().SetAttributes(before.inode, {.mode = 0444, .uid = 7, .modified = Moment(1234, 567'890'123)});
  ASSERT_EQ(ErrorOf(changed), 0);
  EXPECT_EQ(changed->mode, S_IFREG | 0444U);
  EXPECT_EQ(changed->uid, 7U);
  EXPECT_EQ(changed->gid, before.gid);
  EXPECT_EQ(changed->size, 7U);
  EXPECT_EQ(changed->modified.tv_sec, 1234);
  EXPECT_EQ(changed->modified.tv_nsec, 567'890'123);
  EXPECT_GE(changed->changed.tv_sec, before.changed.tv_sec);
  ASSERT_EQ(ErrorOf(fs().SetAttributes(before.inode, {.gid = 8, .accessed = Moment(99, 1)})), 0);
  const Attributes after = Get("f");
  EXPECT_EQ(after.uid, 7U);
  EXPECT_EQ(after.gid, 8U);
  EXPECT_EQ(after.accessed.tv_sec, 99);
  EXPECT_EQ(after.modified.tv_sec, 1234);
  EXPECT_EQ(Content("f"), "content");
}

TEST_P(FileSystemConformance, ChangesMoveTheTimesThatPosixNames) {
  Start({{"d/f", "content"}});
  const timespec past = Moment(1000, 0);
  const Inode directory = InodeOf("d");
  const Inode file = InodeOf("d/f");
  const auto reset = [&] {
    ASSERT_EQ(ErrorOf(fs().SetAttributes(directory, {.modified = past})), 0);
    ASSERT_EQ(ErrorOf(fs().SetAttributes(file, {.modified = past})), 0);
  };
  const auto modified = [&](Inode inode) { return fs().GetAttributes(inode)->modified.tv_sec > past.tv_sec; };
  reset();
  Write(file, 0, "x");
  EXPECT_TRUE(modified(file));
  EXPECT_FALSE(modified(directory));
  reset();
  Resize(file, 3);
  EXPECT_TRUE(modified(file));
  reset();
  ASSERT_EQ(ErrorOf(fs().SetAttributes(file, {.mode = 0400})), 0);
  EXPECT_FALSE(modified(file));
  ASSERT_EQ(ErrorOf(fs().Rename(directory, "f", directory, "g", RenameMode::kReplace)), 0);
  EXPECT_TRUE(modified(directory));
  EXPECT_FALSE(modified(file));
  reset();
  ASSERT_EQ(ErrorOf(fs().Unlink(directory, "g")), 0);
  EXPECT_TRUE(modified(directory));
}

TEST_P(FileSystemConformance, RenameMovesAndReplaces) {
  Start({{"a/f", "moved"}, {"b/g", "replaced"}});
  const Inode moved = InodeOf("a/f");
  const Inode replaced = InodeOf("b/g");
  ASSERT_EQ(ErrorOf(fs().Rename(InodeOf("a"), "f", InodeOf("b"), "g", RenameMode::kReplace)), 0);
  EXPECT_FALSE(Exists("a/f"));
  EXPECT_EQ(Get("b/g").inode, moved);
  EXPECT_EQ(Content("b/g"), "moved");
  EXPECT_THAT(List("b"), ElementsAre("g"));
  EXPECT_EQ(fs().GetAttributes(replaced)->link_count, 0U);
  EXPECT_EQ(Content(replaced), "replaced");
}

TEST_P(FileSystemConformance, RenameOntoItselfOrAnotherNameOfTheSameFileDoesNothing) {
  Start({{"f", "x"}});
  ASSERT_EQ(ErrorOf(fs().Link(InodeOf("f"), kRootInode, "g")), 0);
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "f", kRootInode, "f", RenameMode::kReplace)), 0);
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "f", kRootInode, "g", RenameMode::kReplace)), 0);
  EXPECT_THAT(List(""), ElementsAre("f", "g"));
  EXPECT_EQ(Get("f").link_count, 2U);
}

TEST_P(FileSystemConformance, RenameWithoutReplacingLeavesWhatIsThere) {
  Start({{"f", "one"}, {"g", "two"}});
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "f", kRootInode, "g", RenameMode::kNoReplace)), EEXIST);
  EXPECT_EQ(Content("g"), "two");
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "f", kRootInode, "h", RenameMode::kNoReplace)), 0);
  EXPECT_EQ(Content("h"), "one");
}

TEST_P(FileSystemConformance, ExchangeSwapsFilesAndDirectories) {
  Start({{"a/f", "file"}, {"b/d/inner", "x"}});
  ASSERT_EQ(ErrorOf(fs().Rename(InodeOf("a"), "f", InodeOf("b"), "d", RenameMode::kExchange)), 0);
  EXPECT_EQ(Content("b/d"), "file");
  EXPECT_EQ(Content("a/f/inner"), "x");
  EXPECT_EQ(fs().ParentOf(InodeOf("a/f")).value(), InodeOf("a"));
  EXPECT_EQ(Get("a").link_count, 3U);
  EXPECT_EQ(Get("b").link_count, 2U);
  EXPECT_EQ(ErrorOf(fs().Rename(InodeOf("a"), "f", InodeOf("b"), "missing", RenameMode::kExchange)), ENOENT);
}

TEST_P(FileSystemConformance, DirectoryMovesWithWhatIsBelow) {
  Start({{"a/d/f", "x"}, {"b/", ""}});
  List("a");
  List("b");
  ASSERT_EQ(ErrorOf(fs().Rename(InodeOf("a"), "d", InodeOf("b"), "e", RenameMode::kReplace)), 0);
  EXPECT_EQ(Content("b/e/f"), "x");
  EXPECT_EQ(fs().ParentOf(InodeOf("b/e")).value(), InodeOf("b"));
  EXPECT_EQ(Get("a").link_count, 2U);
  EXPECT_EQ(Get("b").link_count, 3U);
}

TEST_P(FileSystemConformance, DirectoryCannotMoveBelowItself) {
  Start({{"d/inner/deep/", ""}, {"x/", ""}});
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "d", InodeOf("d"), "e", RenameMode::kReplace)), EINVAL);
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "d", InodeOf("d/inner/deep"), "e", RenameMode::kReplace)), EINVAL);
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "d", InodeOf("d/inner"), "deep", RenameMode::kExchange)), EINVAL);
  EXPECT_EQ(ErrorOf(fs().Rename(InodeOf("d/inner"), "deep", kRootInode, "d", RenameMode::kExchange)), EINVAL);
  EXPECT_EQ(ErrorOf(fs().Rename(InodeOf("d/inner"), "deep", kRootInode, "d", RenameMode::kReplace)), ENOTEMPTY);
  EXPECT_TRUE(Exists("d/inner/deep"));
}

TEST_P(FileSystemConformance, RenameReplacesOnlyItsOwnKindAndOnlyEmptyDirectories) {
  Start({{"f", "x"}, {"empty/", ""}, {"full/f", "x"}, {"d/", ""}});
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "f", kRootInode, "empty", RenameMode::kReplace)), EISDIR);
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "d", kRootInode, "f", RenameMode::kReplace)), ENOTDIR);
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "d", kRootInode, "full", RenameMode::kReplace)), ENOTEMPTY);
  const Inode moved = InodeOf("d");
  EXPECT_EQ(ErrorOf(fs().Rename(kRootInode, "d", kRootInode, "empty", RenameMode::kReplace)), 0);
  EXPECT_EQ(InodeOf("empty"), moved);
  EXPECT_THAT(List(""), ElementsAre("empty", "f", "full"));
}

TEST_P(FileSystemConformance, ListingKnowsTypesAndNumbers) {
  Start({{"d/", ""}, {"f", "x"}});
  ASSERT_EQ(ErrorOf(fs().MakeLink(kRootInode, "l", "f", kOwner)), 0);
  std::map<std::string, Attributes> listed;
  const auto status = fs().ReadDirectory(kRootInode, 0, [&](const DirectoryEntry& entry) {
    listed[std::string(entry.name)] = {.inode = entry.inode, .shown_inode = entry.shown_inode, .mode = entry.type};
    return true;
  });
  ASSERT_EQ(ErrorOf(status), 0);
  EXPECT_EQ(listed.size(), 3U);
  for (const auto& [name, entry] : listed) {
    const Attributes attributes = Get(name);
    EXPECT_EQ(entry.inode, attributes.inode) << name;
    EXPECT_EQ(entry.shown_inode, attributes.shown_inode) << name;
    EXPECT_EQ(entry.mode, attributes.mode & S_IFMT) << name;
  }
}

TEST_P(FileSystemConformance, EntryThatDidNotFitIsOfferedAgain) {
  Start({{"a", ""}, {"b", ""}, {"c", ""}});
  std::vector<std::string> names;
  uint64_t cookie = 0;
  for (int pass = 0; pass < 4; ++pass) {
    bool room = true;
    const auto status = fs().ReadDirectory(kRootInode, cookie, [&](const DirectoryEntry& entry) {
      if (!std::exchange(room, false)) return false;
      names.emplace_back(entry.name);
      cookie = entry.next_cookie;
      return true;
    });
    ASSERT_EQ(ErrorOf(status), 0);
  }
  EXPECT_THAT(names, ElementsAre("a", "b", "c"));
}

TEST_P(FileSystemConformance, ListingMeetsWhatStaysExactlyOnceWhileNamesComeAndGo) {
  Tree tree;
  for (int i = 0; i < 300; ++i) tree["d/stays" + std::to_string(i)] = tree["d/goes" + std::to_string(i)] = "";
  Start(tree);
  const Inode directory = InodeOf("d");
  std::multiset<std::string> seen;
  uint64_t cookie = 0;
  for (int round = 0;; ++round) {
    int room = 7;
    const uint64_t before = cookie;
    const auto status = fs().ReadDirectory(directory, cookie, [&](const DirectoryEntry& entry) {
      if (room-- == 0) return false;
      seen.emplace(entry.name);
      cookie = entry.next_cookie;
      return true;
    });
    ASSERT_EQ(ErrorOf(status), 0);
    if (cookie == before) break;
    const std::string number = std::to_string(round);
    if (round < 300) {
      ASSERT_EQ(ErrorOf(fs().Unlink(directory, "goes" + std::to_string(299 - round))), 0);
      ASSERT_EQ(ErrorOf(fs().CreateFile(directory, "comes" + number, 0600, kOwner)), 0);
      ASSERT_EQ(ErrorOf(fs().Unlink(directory, "comes" + number)), 0);
      ASSERT_EQ(ErrorOf(fs().CreateFile(directory, "swap", 0600, kOwner)), 0);
      ASSERT_EQ(ErrorOf(fs().Rename(directory, "swap", directory, "stays" + number, RenameMode::kReplace)), 0);
    }
  }
  for (int i = 0; i < 300; ++i) EXPECT_EQ(seen.count("stays" + std::to_string(i)), 1U) << i;
}

TEST_P(FileSystemConformance, SyncSucceedsOnFilesAndDirectories) {
  Start({{"d/f", "x"}});
  Write(InodeOf("d/f"), 0, "y");
  EXPECT_EQ(ErrorOf(fs().Sync(InodeOf("d/f"), false)), 0);
  EXPECT_EQ(ErrorOf(fs().Sync(InodeOf("d/f"), true)), 0);
  EXPECT_EQ(ErrorOf(fs().SyncDirectory(InodeOf("d"))), 0);
}

TEST_P(FileSystemConformance, SpaceIsReported) {
  Start();
  const auto space = fs().Space();
  ASSERT_EQ(ErrorOf(space), 0);
  EXPECT_EQ(space->block_size, 4096U);
  EXPECT_GT(space->total_blocks, 0U);
  EXPECT_LE(space->free_blocks, space->total_blocks);
}

TEST_P(FileSystemConformance, ShownNumbersDiffer) {
  Start({{"a", ""}, {"b", ""}, {"d/c", ""}});
  const std::set<uint64_t> numbers = {Get("").shown_inode, Get("a").shown_inode, Get("b").shown_inode,
                                      Get("d").shown_inode, Get("d/c").shown_inode};
  EXPECT_EQ(numbers.size(), 5U);
}

}  // namespace
}  // namespace pgstrata::vfs
