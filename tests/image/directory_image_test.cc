#include "backup/image/directory_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>

#include "foundation/base/clock.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::image {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DirectoryImageTest : public ::testing::Test {
 protected:
  void SetUp() override { MakeDirectory("data"); }

  [[nodiscard]] std::string Native(const std::string& path) const { return temporary_.path() + '/' + path; }
  void MakeDirectory(const std::string& path) { ASSERT_TRUE(io::MakeDirectories(Native(path)).has_value()); }
  void Write(const std::string& path, const std::string& content) {
    ASSERT_TRUE(io::WriteWholeFile(Native(path), content).has_value());
  }
  void Link(const std::string& target, const std::string& path) {
    ASSERT_EQ(::symlink(target.c_str(), Native(path).c_str()), 0);
  }
  std::unique_ptr<DirectoryImage> OpenImage() {
    auto image = OpenDirectory(Native("data"));
    EXPECT_TRUE(image.has_value());
    return *std::move(image);
  }
  static std::vector<std::string> Names(const Image& image, std::string_view directory) {
    const auto entries = image.List(directory);
    if (!entries) {
      ADD_FAILURE() << entries.error().message();
      return {};
    }
    std::vector<std::string> names;
    for (const auto& entry : *entries) names.push_back(entry.name);
    return names;
  }
  static std::string Read(const Image& image, std::string_view path) {
    auto content = ReadSmallFile(image, path);
    return content ? *std::move(content) : "error: " + content.error().message();
  }
  // Root may read everything: `check` looks as somebody else, in a process of its own.
  static void ExpectAsNobody(const std::function<void()>& check) {
    const pid_t child = ::fork();
    if (child == 0) {
      constexpr uid_t kNobody = 65534;
      if (::geteuid() == 0 && ::setuid(kNobody) != 0) ::_exit(2);
      check();
      ::_exit(HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }

 private:
  test::ScratchDirectory temporary_;
};

TEST_F(DirectoryImageTest, RelativeLinkInsideIsShown) {
  MakeDirectory("data/conf");
  Write("data/conf/a.conf", "a");
  Link("conf/a.conf", "data/a.conf");
  Link("../conf/a.conf", "data/conf/b.conf");
  const auto image = OpenImage();
  const auto entry = image->Stat("a.conf");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->kind, EntryKind::kLink);
  EXPECT_EQ(entry->link_target, "conf/a.conf");
  EXPECT_EQ(image->Stat("conf/b.conf")->kind, EntryKind::kLink);
}

TEST_F(DirectoryImageTest, Trap32LinksThatLeaveAreGraftedNeverShown) {
  MakeDirectory("wal/archive_status");
  MakeDirectory("data/base");
  Write("wal/000000010000000000000001", "segment");
  Write("outside.conf", "x");
  Write("data/base/1", "one");
  Link(Native("wal"), "data/pg_wal");
  Link("../outside.conf", "data/relative.conf");
  Link(Native("data/base/1"), "data/absolute_inside");
  Link("base/../../outside.conf", "data/leaves_on_the_way");
  const auto image = OpenImage();
  EXPECT_THAT(Names(*image, ""),
              ElementsAre("absolute_inside", "base", "leaves_on_the_way", "pg_wal", "relative.conf"));
  EXPECT_EQ(image->Stat("pg_wal")->kind, EntryKind::kDirectory);
  EXPECT_EQ(image->Stat("pg_wal")->grafted_from, Native("wal"));
  EXPECT_THAT(Names(*image, "pg_wal"), ElementsAre("000000010000000000000001", "archive_status"));
  EXPECT_EQ(Read(*image, "pg_wal/000000010000000000000001"), "segment");
  EXPECT_EQ(Read(*image, "relative.conf"), "x");
  EXPECT_EQ(Read(*image, "absolute_inside"), "one");
  EXPECT_EQ(Read(*image, "leaves_on_the_way"), "x");
}

TEST_F(DirectoryImageTest, ChangedFileIsCorruptNotOtherBytes) {
  Write("data/f", "before");
  const auto image = OpenImage();
  const auto file = image->Open("f");
  ASSERT_TRUE(file.has_value());
  Write("data/f", "after and longer");
  std::string bytes(6, '\0');
  const auto status = (*file)->ReadAt(0, std::as_writable_bytes(std::span(bytes)));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(status.error().message(), HasSubstr("while it was open"));
  const auto again = image->Open("f");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code(), ErrorCode::kCorrupt);
}

TEST_F(DirectoryImageTest, LinksBelowAGraftAreJudgedAgainstTheGraft) {
  MakeDirectory("space/PG_15_202209061");
  MakeDirectory("data/pg_tblspc");
  Write("space/PG_15_202209061/inside", "inside");
  Write("outside", "outside");
  Link("PG_15_202209061/inside", "space/stays");
  Link("../inside", "space/PG_15_202209061/leaves");
  Link("../../outside", "space/PG_15_202209061/leaves_the_graft");
  Write("inside", "not this one");
  Link(Native("space"), "data/pg_tblspc/16400");
  const auto image = OpenImage();
  EXPECT_EQ(image->Stat("pg_tblspc/16400/stays")->kind, EntryKind::kLink);
  EXPECT_EQ(image->Stat("pg_tblspc/16400/PG_15_202209061/leaves_the_graft")->kind, EntryKind::kFile);
  EXPECT_EQ(Read(*image, "pg_tblspc/16400/stays"), "inside");
  EXPECT_EQ(Read(*image, "pg_tblspc/16400/PG_15_202209061/leaves_the_graft"), "outside");
}

TEST_F(DirectoryImageTest, DotDotAfterALinkMeansWhatItMeansInTheSource) {
  MakeDirectory("elsewhere/deep");
  Write("elsewhere/file", "elsewhere");
  Write("data/file", "data");
  Link(Native("elsewhere/deep"), "data/graft");
  Link("graft/../file", "data/odd");
  const auto image = OpenImage();
  EXPECT_EQ(image->Stat("odd")->kind, EntryKind::kFile);
  EXPECT_EQ(Read(*image, "odd"), "elsewhere");
}

TEST_F(DirectoryImageTest, TablespacesAreDirectoriesEvenBehindLinksThatStayInside) {
  MakeDirectory("data/pg_tblspc");
  MakeDirectory("data/spaces/one");
  Write("data/spaces/one/f", "one");
  Link("../spaces/one", "data/pg_tblspc/16400");
  MakeDirectory("data/pg_tblspc/16401");
  const auto image = OpenImage();
  EXPECT_EQ(image->Stat("pg_tblspc/16400")->kind, EntryKind::kDirectory);
  EXPECT_EQ(image->Stat("pg_tblspc/16401")->kind, EntryKind::kDirectory);
  EXPECT_EQ(Read(*image, "pg_tblspc/16400/f"), "one");
}

TEST_F(DirectoryImageTest, WalAndTablespacesAreDirectoriesWhereverTheirLinksLead) {
  MakeDirectory("data/wal_real");
  MakeDirectory("data/spaces/16400");
  MakeDirectory("data/base/pg_wal_real");
  Write("data/wal_real/000000010000000000000001", "segment");
  Write("data/spaces/16400/f", "space");
  Link("wal_real", "data/pg_wal");
  Link("spaces", "data/pg_tblspc");
  Link("pg_wal_real", "data/base/pg_wal");  // only a name
  const auto image = OpenImage();
  EXPECT_EQ(image->Stat("pg_wal")->kind, EntryKind::kDirectory);
  EXPECT_EQ(image->Stat("pg_wal")->grafted_from, Native("data/wal_real"));
  EXPECT_THAT(Names(*image, "pg_wal"), ElementsAre("000000010000000000000001"));
  EXPECT_EQ(Read(*image, "pg_wal/000000010000000000000001"), "segment");
  EXPECT_THAT(Names(*image, "pg_tblspc"), ElementsAre("16400"));
  EXPECT_EQ(Read(*image, "pg_tblspc/16400/f"), "space");
  EXPECT_EQ(image->Stat("base/pg_wal")->kind, EntryKind::kLink);
}

TEST_F(DirectoryImageTest, MissingTablespacesAreNamedAlsoBehindALinkedTablespaceDirectory) {
  MakeDirectory("data/spaces");
  Link("/gone/space", "data/spaces/16400");
  Link("spaces", "data/pg_tblspc");
  const auto missing = OpenImage()->MissingTablespaces();
  ASSERT_TRUE(missing.has_value());
  ASSERT_EQ(missing->size(), 1U);
  EXPECT_EQ(missing->at(0).location, "/gone/space");
}

TEST_F(DirectoryImageTest, LinkToALinkIsFollowedToItsEnd) {
  MakeDirectory("far");
  Write("far/f", "far");
  Link(Native("far"), "near");
  Link(Native("near"), "data/graft");
  Link("graft", "data/to_graft");
  const auto image = OpenImage();
  EXPECT_EQ(image->Stat("graft")->grafted_from, Native("far"));
  EXPECT_EQ(image->Stat("to_graft")->kind, EntryKind::kLink);
  EXPECT_EQ(Read(*image, "to_graft/f"), "far");
}

TEST_F(DirectoryImageTest, LinkBackToADirectoryThatHoldsItIsAnErrorThatNamesIt) {
  MakeDirectory("data/base");
  MakeDirectory("other");
  Link(Native("data"), "data/base/self");
  Link(Native("other"), "data/other");
  Link(Native("data/base"), "other/back");
  const auto image = OpenImage();
  const auto itself = image->List("base");
  ASSERT_FALSE(itself.has_value());
  EXPECT_EQ(itself.error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(itself.error().message(), HasSubstr(Native("data/base/self")));
  EXPECT_FALSE(itself.error().hint().empty());
  // other/back leads into the tree but not above itself: its own loop is found where it closes.
  const auto listed = image->List("other");
  ASSERT_TRUE(listed.has_value()) << listed.error().message();
  const auto around = image->List("other/back");
  ASSERT_FALSE(around.has_value());
  EXPECT_THAT(around.error().message(), HasSubstr(Native("data/base/self")));
}

TEST_F(DirectoryImageTest, LoopOverTwoGraftsEnds) {
  MakeDirectory("a");
  MakeDirectory("b");
  Link(Native("a"), "data/a");
  Link(Native("b"), "a/b");
  Link(Native("a"), "b/a");
  const auto image = OpenImage();
  const auto status = Walk(*image, "", [](const std::string&, const Entry&) -> Status { return {}; });
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message(), HasSubstr(Native("b/a")));
}

TEST_F(DirectoryImageTest, LinkAboveTheSourceIsALoop) {
  Link(Native(""), "data/up");
  Link("..", "data/parent");
  const auto image = OpenImage();
  EXPECT_EQ(image->Stat("up").error().code(), ErrorCode::kUnsupported);
  EXPECT_EQ(image->Stat("parent").error().code(), ErrorCode::kUnsupported);
}

TEST_F(DirectoryImageTest, LinksThatLeadNowhereAreLeftOutUnlessTheyStayInsideAndMissingTablespacesNamed) {
  MakeDirectory("data/pg_tblspc");
  Link("/no/such/place", "data/dangling");
  Link(Native("data/dangling2"), "data/dangling2");
  Link("no_such_file", "data/stays_inside");
  Link("/gone/space", "data/pg_tblspc/16400");
  Link("../gone", "data/pg_tblspc/16401");
  MakeDirectory("data/pg_tblspc/16402");
  Write("data/pg_tblspc/file", "");
  const auto image = OpenImage();
  EXPECT_THAT(Names(*image, ""), ElementsAre("pg_tblspc", "stays_inside"));
  EXPECT_THAT(Names(*image, "pg_tblspc"), ElementsAre("16402", "file"));
  const auto missing = image->MissingTablespaces();
  ASSERT_TRUE(missing.has_value());
  ASSERT_EQ(missing->size(), 2U);
  EXPECT_EQ(missing->at(0).oid, "16400");
  EXPECT_EQ(missing->at(0).location, "/gone/space");
  EXPECT_EQ(missing->at(1).oid, "16401");
}

TEST_F(DirectoryImageTest, WithoutTablespaceDirectoryNothingIsMissing) {
  EXPECT_THAT(OpenImage()->MissingTablespaces().value(), IsEmpty());
}

TEST_F(DirectoryImageTest, SpecialFilesAreLeftOut) {
  ASSERT_EQ(::mkfifo(Native("data/pipe").c_str(), 0600), 0);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = Native("data/.s.PGSQL.5432");
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ::close(fd);
  Link("/dev/null", "data/null");
  const auto image = OpenImage();
  EXPECT_THAT(Names(*image, ""), IsEmpty());
  EXPECT_EQ(image->Open("pipe").error().code(), ErrorCode::kNotFound);
}

TEST_F(DirectoryImageTest, FileThatShrankIsCorrupt) {
  Write("data/f", std::string(100'000, 'x'));
  const auto image = OpenImage();
  const auto file = image->Open("f");
  ASSERT_EQ(::truncate(Native("data/f").c_str(), 10), 0);
  std::string bytes(8192, '\0');
  const auto status = (*file)->ReadAt(8192, std::as_writable_bytes(std::span(bytes)));
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(status.error().message(), HasSubstr("100000 to 10 bytes"));
}

TEST_F(DirectoryImageTest, RewrittenInPlaceIsNoticedAlsoWhereSizeAndTimeAreTheSame) {
  Write("data/f", "before");
  const auto image = OpenImage();
  const auto file = image->Open("f");
  struct stat before{};
  ASSERT_EQ(::stat(Native("data/f").c_str(), &before), 0);
  ::usleep(20'000);  // beyond the granularity of file times
  Write("data/f", "after!");
  const timespec times[2] = {before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, Native("data/f").c_str(), times, 0), 0);
  std::string bytes(6, '\0');
  EXPECT_FALSE((*file)->ReadAt(0, std::as_writable_bytes(std::span(bytes))).has_value());
  EXPECT_EQ(image->Open("f").error().code(), ErrorCode::kCorrupt);
}

TEST_F(DirectoryImageTest, ChangeBetweenListingAndOpeningIsNoticed) {
  Write("data/listed", "before");
  Write("data/described", "before");
  const auto image = OpenImage();
  ASSERT_TRUE(image->Stat("described").has_value());
  ASSERT_TRUE(image->List("").has_value());
  Write("data/listed", "longer than before");
  ASSERT_TRUE(io::RemoveFile(Native("data/described")).has_value());
  EXPECT_EQ(image->Open("listed").error().code(), ErrorCode::kCorrupt);
  const auto removed = image->Open("described");
  EXPECT_EQ(removed.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(removed.error().message(), HasSubstr("was removed"));
}

TEST_F(DirectoryImageTest, ReplacedByAnEqualFileIsStillAnotherFile) {
  Write("data/f", "same");
  const auto image = OpenImage();
  {
    const auto file = image->Open("f");
  }
  Write("data/new", "same");
  std::filesystem::rename(Native("data/new"), Native("data/f"));
  EXPECT_EQ(image->Open("f").error().code(), ErrorCode::kCorrupt);
}

TEST_F(DirectoryImageTest, RemovedWhileOpenIsAnError) {
  Write("data/f", "content");
  const auto image = OpenImage();
  const auto file = image->Open("f");
  ASSERT_TRUE(io::RemoveFile(Native("data/f")).has_value());
  std::string bytes(7, '\0');
  const auto status = (*file)->ReadAt(0, std::as_writable_bytes(std::span(bytes)));
  ASSERT_FALSE(status.has_value());
  EXPECT_THAT(status.error().message(), HasSubstr("was removed"));
}

// A file of it must not be answered to be absent: PostgreSQL would believe that.
TEST_F(DirectoryImageTest, SourceThatDisappearedIsAnErrorNotAnAbsence) {
  MakeDirectory("data/base");
  Write("data/base/seen", "");
  const auto image = OpenImage();
  ASSERT_TRUE(image->List("base").has_value());
  std::filesystem::rename(Native("data"), Native("gone"));
  for (const bool replaced : {false, true}) {
    if (replaced) MakeDirectory("data/base");  // as after an unmount: another, empty directory lies there
    EXPECT_EQ(image->List("base").error().code(), ErrorCode::kIo);
    EXPECT_EQ(image->List("").error().code(), ErrorCode::kIo);
    EXPECT_EQ(image->Stat("").error().code(), ErrorCode::kIo);
    EXPECT_EQ(image->Stat("base/never_seen").error().code(), ErrorCode::kIo);
    EXPECT_EQ(image->Open("base/seen").error().code(), ErrorCode::kIo);
    EXPECT_EQ(image->Stat("other/never_seen").error().code(), ErrorCode::kIo);
  }
}

TEST_F(DirectoryImageTest, NextDataSkipsHoles) {
  Write("data/sparse", "");
  ASSERT_EQ(::truncate(Native("data/sparse").c_str(), 1L << 30), 0);
  {
    auto file = io::File::Open(Native("data/sparse"), O_WRONLY);
    ASSERT_TRUE(file.has_value());
    ASSERT_TRUE(file->WriteAt(512 << 20, AsBytes("x")).has_value());
  }
  const auto image = OpenImage();
  const auto file = image->Open("sparse");
  ASSERT_TRUE(file.has_value());
  const uint64_t data = (*file)->NextData(0);
  EXPECT_GT(data, 500U << 20);
  EXPECT_LE(data, 512U << 20);
  EXPECT_EQ((*file)->NextData(600 << 20), 1U << 30);
}

TEST_F(DirectoryImageTest, ReadingLeavesTheSourceAsItIs) {
  Write("data/f", "content");
  const timespec old_times[2] = {{.tv_sec = 1'000'000'000, .tv_nsec = 0}, {.tv_sec = 1'000'000'000, .tv_nsec = 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, Native("data/f").c_str(), old_times, 0), 0);
  EXPECT_EQ(Read(*OpenImage(), "f"), "content");
  struct stat after{};
  ASSERT_EQ(::stat(Native("data/f").c_str(), &after), 0);
  EXPECT_EQ(after.st_atim.tv_sec, 1'000'000'000);
}

TEST_F(DirectoryImageTest, WhatMayNotBeReadIsAPermissionErrorWithAHint) {
  MakeDirectory("data/base");
  Write("data/f", "content");
  ASSERT_EQ(::chmod(Native("data/base").c_str(), 0), 0);
  ASSERT_EQ(::chmod(Native("data/f").c_str(), 0), 0);
  ASSERT_EQ(::chmod(Native("").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(Native("data").c_str(), 0755), 0);
  const auto image = OpenImage();
  ExpectAsNobody([&] {
    const auto listed = image->List("base");
    ASSERT_FALSE(listed.has_value());
    EXPECT_EQ(listed.error().code(), ErrorCode::kPermission);
    EXPECT_FALSE(listed.error().hint().empty());
    const auto opened = image->Open("f");
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code(), ErrorCode::kPermission);
    EXPECT_FALSE(opened.error().hint().empty());
  });
  ASSERT_EQ(::chmod(Native("data/base").c_str(), 0700), 0);
}

TEST_F(DirectoryImageTest, ALinkIntoAForbiddenPlaceMakesNothingElseUnreadable) {
  MakeDirectory("secret/space");
  MakeDirectory("data/pg_tblspc");
  Write("secret/server.key", "key");
  Write("data/f", "content");
  Link(Native("secret/server.key"), "data/server.key");
  Link(Native("secret/space"), "data/pg_tblspc/16400");
  ASSERT_EQ(::chmod(Native("").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(Native("data").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(Native("data/pg_tblspc").c_str(), 0755), 0);
  ASSERT_EQ(::chmod(Native("data/f").c_str(), 0644), 0);
  ASSERT_EQ(::chmod(Native("secret").c_str(), 0), 0);
  const auto image = OpenImage();
  ExpectAsNobody([&] {
    EXPECT_THAT(Names(*image, ""), ElementsAre("f", "pg_tblspc", "server.key"));
    EXPECT_EQ(Read(*image, "f"), "content");
    const auto entry = image->Stat("server.key");
    ASSERT_TRUE(entry.has_value());
    EXPECT_EQ(entry->kind, EntryKind::kFile);
    EXPECT_EQ(entry->mode, 0U);
    EXPECT_GT(entry->size, 0U);  // an empty file would be read without being opened
    const auto key = image->Open("server.key");
    ASSERT_FALSE(key.has_value());
    EXPECT_EQ(key.error().code(), ErrorCode::kPermission);
    EXPECT_THAT(key.error().message(), HasSubstr("server.key"));
    EXPECT_FALSE(key.error().hint().empty());
    // Without its tablespace a cluster is not to be opened.
    EXPECT_EQ(image->List("pg_tblspc").error().code(), ErrorCode::kPermission);
    EXPECT_EQ(image->MissingTablespaces().error().code(), ErrorCode::kPermission);
  });
  ASSERT_EQ(::chmod(Native("secret").c_str(), 0700), 0);
}

TEST_F(DirectoryImageTest, OpeningNamesWhatIsWrong) {
  Write("file", "");
  const auto missing = OpenDirectory(Native("missing"));
  EXPECT_EQ(missing.error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message(), HasSubstr(Native("missing")));
  EXPECT_EQ(OpenDirectory(Native("file")).error().code(), ErrorCode::kInvalidArgument);
}

// Against the plain system calls on the same names, so that a busy machine does not decide. A look at every earlier
// file for each one would be a thousand times.
#ifdef PGSTRATA_SANITIZED
constexpr double kTimesTheSystemCalls = 20;
#else
constexpr double kTimesTheSystemCalls = 4;
#endif

TEST_F(DirectoryImageTest, HundredThousandFilesAreListedInTheTimeOfTheirSystemCalls) {
  constexpr int kFiles = 100'000;
  // Names of two files only: that is made and removed quickly.
  Write("even", "");
  Write("odd", "");
  for (int i = 0; i < kFiles; ++i) {
    const std::string target = Native(i % 2 == 0 ? "even" : "odd");
    ASSERT_EQ(::link(target.c_str(), Native("data/" + std::to_string(i)).c_str()), 0);
  }
  const Stopwatch plain;
  const auto names = io::ListDirectory(Native("data"));
  ASSERT_TRUE(names.has_value());
  for (const auto& name : *names) {
    ASSERT_TRUE(io::StatLink(Native("data/" + name)).has_value());
  }
  const double plain_ms = plain.milliseconds();
  const Stopwatch watch;
  const auto image = OpenImage();
  EXPECT_LT(watch.milliseconds(), plain_ms / 5) << "opening must not scan";
  const auto entries = image->List("");
  EXPECT_LT(watch.milliseconds(), plain_ms * kTimesTheSystemCalls);
  EXPECT_EQ(entries.value().size(), static_cast<size_t>(kFiles));
}

}  // namespace
}  // namespace pgstrata::image
