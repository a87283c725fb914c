#include "foundation/base/types.h"

#include <gtest/gtest.h>

namespace pgstrata {
namespace {

TEST(Lsn, PrintsAndParsesPostgresForm) {
  const Lsn lsn{(0x16ULL << 32) | 0xB374D848U};
  EXPECT_EQ(lsn.ToString(), "16/B374D848");
  EXPECT_EQ(Lsn::Parse("16/B374D848"), lsn);
}

TEST(Lsn, RefusesWhatIsNotAnLsn) {
  for (const char* text : {"", "/", "16", "16/", "/1", "16/123456789", "G/1", "1/ 2", "1/2/3"}) {
    EXPECT_FALSE(Lsn::Parse(text).has_value()) << text;
  }
}

TEST(Timestamp, PrintsUtc) { EXPECT_EQ(Timestamp{1'000'000'000'000'000'000}.ToString(), "2001-09-09 01:46:40+00"); }

}  // namespace
}  // namespace pgstrata
