#include "foundation/io/write_restriction.h"

#include <gtest/gtest.h>

#include "foundation/io/directory.h"
#include "foundation/io/process.h"
#include "tests/support/scratch_directory.h"

namespace pgstrata::io {
namespace {

class WriteRestrictionTest : public testing::Test {
 protected:
  // What a shell says and returns that may write below "inside" only; started in the directory of both.
  Captured Run(const std::string& script) {
    const auto run = RunAndCapture({.argv = {"/bin/sh", "-ec", script},
                                    .working_directory = scratch_.path(),
                                    .may_write = WriteRestriction({scratch_.path() + "/inside", "/dev"})});
    EXPECT_TRUE(run.has_value()) << run.error().message();
    return run.value_or(Captured{});
  }
  void SetUp() override {
    ASSERT_TRUE(WriteRestriction::IsPossible()) << "this kernel has no Landlock";
    for (const char* name : {"/inside/a", "/inside/b", "/outside"}) {
      ASSERT_TRUE(MakeDirectories(scratch_.path() + name).has_value());
    }
  }

  test::ScratchDirectory scratch_;
};

TEST_F(WriteRestrictionTest, InsideEverythingWorks) {
  const Captured run = Run(
      "cd inside; echo one > a/file; echo two >> a/file; mv a/file b/file; ln b/file a/link; ln -s nowhere a/symlink; "
      "mkdir a/c; rmdir a/c; : > b/file; rm a/link b/file a/symlink; echo gone > /dev/null");
  EXPECT_EQ(run.status.AsShell(), 0) << run.standard_error;
}

TEST_F(WriteRestrictionTest, OutsideNothingIsWrittenWhateverPathLeadsThere) {
  ASSERT_EQ(Run("ln -s ../outside inside/way-out; echo kept > inside/kept").status.AsShell(), 0);
  for (const char* script : {"echo x > outside/file", "echo x > inside/way-out/file", "mkdir outside/directory",
                             "mv inside/kept outside/kept", "rmdir outside", "ln -s x outside/link"}) {
    EXPECT_NE(Run(script).status.AsShell(), 0) << script;
  }
  EXPECT_TRUE(ListDirectory(scratch_.path() + "/outside").value().empty());
  EXPECT_EQ(Run("cat inside/kept; ls outside").standard_output, "kept\n") << "reading is free";
}

TEST_F(WriteRestrictionTest, ChildrenAreRestrictedToo) {
  EXPECT_NE(Run("sh -c 'echo x > outside/file'").status.AsShell(), 0);
}

// As a server is started by root: the restriction comes first.
TEST_F(WriteRestrictionTest, HoldsTogetherWithWithoutNetwork) {
  ASSERT_TRUE(CanIsolateNetwork());
  const auto run = RunAndCapture({.argv = {"/bin/sh", "-c", "echo x > inside/file && ! echo x > outside/file"},
                                  .working_directory = scratch_.path(),
                                  .without_network = true,
                                  .may_write = WriteRestriction({scratch_.path() + "/inside"})});
  ASSERT_TRUE(run.has_value()) << run.error().message();
  EXPECT_EQ(run->status.AsShell(), 0) << run->standard_error;
}

}  // namespace
}  // namespace pgstrata::io
