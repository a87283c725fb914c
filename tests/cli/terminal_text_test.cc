#include "app/cli/terminal_text.h"

#include <gtest/gtest.h>

namespace pgstrata::cli {
namespace {

TEST(TerminalTextTest, PlainTextAndUnicodeStay) {
  EXPECT_EQ(EscapeForTerminal("base/5/1259 ä 表 😀"), "base/5/1259 ä 表 😀");
  EXPECT_EQ(EscapeForTerminal(""), "");
}

TEST(TerminalTextTest, ControlCharactersAreEscaped) {
  EXPECT_EQ(EscapeForTerminal("a\nb\rc\td"), "a\\nb\\rc\\td");
  EXPECT_EQ(EscapeForTerminal("\x1B[2J\x07\x7F"), "\\033[2J\\007\\177");
  EXPECT_EQ(EscapeForTerminal("\xC2\x9B"), "\\302\\233");  // C1: begins an escape sequence too
  EXPECT_EQ(EscapeForTerminal("a\\n"), "a\\\\n");
}

TEST(TerminalTextTest, BytesThatAreNotUtf8AreEscaped) {
  EXPECT_EQ(EscapeForTerminal("\xFF\x80"), "\\377\\200");
  EXPECT_EQ(EscapeForTerminal("\xC3"), "\\303");
  EXPECT_EQ(EscapeForTerminal("\xC0\xAF"), "\\300\\257");                    // overlong
  EXPECT_EQ(EscapeForTerminal("\xED\xA0\x80"), "\\355\\240\\200");           // a surrogate
  EXPECT_EQ(EscapeForTerminal("\xF4\x90\x80\x80"), "\\364\\220\\200\\200");  // beyond Unicode
}

TEST(TerminalTextTest, DirectionIsNotTurned) {
  EXPECT_EQ(EscapeForTerminal("a\xE2\x80\xAE"
                              "b"),
            "a\\342\\200\\256b");
}

TEST(TerminalTextTest, Utf8IsToldFromOtherBytes) {
  EXPECT_TRUE(IsUtf8("ä 表 😀"));
  EXPECT_TRUE(IsUtf8("\x1B"));
  EXPECT_FALSE(IsUtf8("\xFF"));
  EXPECT_FALSE(IsUtf8("\xE2\x80"));
}

}  // namespace
}  // namespace pgstrata::cli
