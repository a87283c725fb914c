#include "foundation/io/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>

#include "tests/support/scratch_directory.h"

namespace pgstrata::io {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() : listener_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path_.c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  [[nodiscard]] std::string Receive() const {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::recv(listener_.get(), buffer.data(), buffer.size(), 0);
    return {buffer.data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
  }

  test::ScratchDirectory place_;
  const std::string path_ = place_.path() + "/socket";
  UniqueFd listener_;
};

TEST_F(JournalTest, AMessageIsOneDatagramOfFields) {
  const auto journal = Journal::Open("pgstrata-worker", path_);
  ASSERT_TRUE(journal.has_value()) << journal.error().message();
  journal->Write(4, "a disk is full");
  EXPECT_EQ(Receive(), "MESSAGE=a disk is full\nPRIORITY=4\nSYSLOG_IDENTIFIER=pgstrata-worker\n");
}

TEST_F(JournalTest, AMessageOfSeveralLinesIsToldByItsLength) {
  const auto journal = Journal::Open("pgstrata-worker", path_);
  ASSERT_TRUE(journal.has_value());
  journal->Write(3, "one\ntwo=2");
  EXPECT_EQ(Receive(), std::string("MESSAGE\n\x09\0\0\0\0\0\0\0one\ntwo=2\n", 26) +
                           "PRIORITY=3\nSYSLOG_IDENTIFIER=pgstrata-worker\n");
}

TEST_F(JournalTest, WhereNobodyListensItSaysWhatToDo) {
  const auto journal = Journal::Open("pgstrata-worker", place_.path() + "/absent");
  ASSERT_FALSE(journal.has_value());
  EXPECT_EQ(journal.error().code(), ErrorCode::kUnavailable);
  EXPECT_THAT(journal.error().message(), AllOf(HasSubstr("journal"), HasSubstr("no such file")));
  EXPECT_THAT(journal.error().hint(), HasSubstr("--log-sink file"));
}

}  // namespace
}  // namespace pgstrata::io
