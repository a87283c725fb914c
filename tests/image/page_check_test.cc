#include "backup/image/page_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "backup/image/buffer_file.h"
#include "backup/image/page_checked_file.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::image {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kFirst = 131'072;  // of the second segment
constexpr Lsn kChanged{0x200'0000};

// A page of the fork's block `in_fork` that was changed last at kChanged.
std::vector<std::byte> Page(uint64_t in_fork) {
  std::vector<std::byte> page(pgdata::kPageSize, std::byte{7});
  std::fill_n(page.begin(), pgdata::kPageHeaderSize, std::byte{0});
  const auto put = [&](size_t offset, auto value) { std::memcpy(page.data() + offset, &value, sizeof value); };
  put(4, static_cast<uint32_t>(kChanged.value));
  put(12, uint16_t{24});
  put(14, uint16_t{8192});
  put(16, uint16_t{8192});
  put(18, uint16_t{8192 | 4});
  put(8, pgdata::PageChecksum(page, {static_cast<uint32_t>(in_fork)}));
  return page;
}

TEST(PageCheckTest, SoundAndNewPagesAreNoDamage) {
  EXPECT_FALSE(CheckPage(Page(kFirst + 2), 2, kFirst + 2, {.checksums = true}));
  EXPECT_FALSE(CheckPage(std::vector<std::byte>(pgdata::kPageSize), 2, kFirst + 2, {.checksums = true}));
  EXPECT_TRUE(CheckPage(Page(kFirst + 2), 2, 2, {.checksums = true})) << "of another segment";
}

TEST(PageCheckTest, WhatRecoveryReplacesMayBeTorn) {
  auto page = Page(0);
  page[5000] ^= std::byte{1};
  const auto check = [&](std::optional<Lsn> from, std::optional<Lsn> until) {
    return CheckPage(page, 0, 0, {.checksums = true, .torn_from = from, .torn_until = until});
  };
  EXPECT_FALSE(check({}, {})->may_be_torn) << "of a stopped cluster";
  EXPECT_TRUE(check(kChanged, {})->may_be_torn);
  EXPECT_FALSE(check(Lsn{kChanged.value + 1}, {})->may_be_torn) << "changed before the backup";
  EXPECT_FALSE(check(Lsn{1}, Lsn{kChanged.value - 1})->may_be_torn) << "changed after its end";
  EXPECT_FALSE(CheckPage(page, 0, 0, {.checksums = false})) << "nothing says that it changed";
}

TEST(PageCheckTest, InAFileThatChangedATornPageIsNamedWhereNothingElseIs) {
  const BadPage torn{.block = 1, .may_be_torn = true, .problem = {}};
  const BadPage damaged{.block = 2, .may_be_torn = false, .problem = {}};
  EXPECT_EQ(DamagedPages({torn, damaged}, true).size(), 1U);
  EXPECT_EQ(DamagedPages({torn, damaged}, false).size(), 1U);
  EXPECT_EQ(DamagedPages({torn}, true).size(), 0U);
  EXPECT_EQ(DamagedPages({torn}, false).size(), 1U);
}

TEST(PageCheckTest, OnlyRelationsThatOutliveARestartHavePages) {
  EXPECT_EQ(FirstBlockOf("base/5/16384.1"), kFirst);
  EXPECT_EQ(FirstBlockOf("pg_tblspc/16400/PG_15_202209061/5/16401_fsm"), 0U);
  EXPECT_FALSE(FirstBlockOf("base/5/t3_16384"));
  EXPECT_FALSE(FirstBlockOf("base/5/pg_filenode.map"));
}

TEST(PageCheckTest, MapsThatAServerMakesAnewAreNotRefusedAndMayBeTorn) {
  EXPECT_TRUE(FirstBlockToRefuseOf("base/5/16384"));
  EXPECT_FALSE(FirstBlockToRefuseOf("base/5/16384_vm"));
  EXPECT_FALSE(FirstBlockToRefuseOf("base/5/16384_fsm"));
  const PageRules online{.checksums = true, .torn_from = Lsn{100}, .torn_until = Lsn{200}};
  EXPECT_EQ(RulesOf("base/5/16384_vm", online).torn_from, Lsn{0});
  EXPECT_FALSE(RulesOf("base/5/16384_vm", online).torn_until);
  EXPECT_EQ(RulesOf("base/5/16384", online).torn_from, Lsn{100});
  EXPECT_FALSE(RulesOf("base/5/16384_vm", {.checksums = true}).torn_from) << "a stopped cluster's are right";
}

TEST(PageCheckTest, ACheckedFileFailsTheReadsThatNeedADamagedPage) {
  std::vector<std::byte> content;
  for (uint64_t block = 0; block < 4; ++block) {
    const auto page = Page(block);
    content.insert(content.end(), page.begin(), page.end());
  }
  content[2 * pgdata::kPageSize + 5000] ^= std::byte{1};
  content.resize(content.size() + 100);  // a file may end within a page
  const PageOrigin origin{.backup = "monday", .rules = {.checksums = true}};
  const auto file = MakePageCheckedFile(MakeBufferFile(content), "base/5/1", 0, [&](uint32_t) { return origin; });
  EXPECT_EQ(file->size(), content.size());
  std::vector<std::byte> out(1000);
  for (uint64_t offset = 0; offset + out.size() <= content.size(); offset += 500) {
    const bool needs = offset < 3 * pgdata::kPageSize && offset + out.size() > 2 * pgdata::kPageSize;
    const auto read = file->ReadAt(offset, out);
    ASSERT_EQ(read.has_value(), !needs) << offset;
    if (read) EXPECT_TRUE(std::equal(out.begin(), out.end(), content.begin() + static_cast<ptrdiff_t>(offset)));
    if (!read) EXPECT_THAT(read.error().message(), HasSubstr("block 2 of \"base/5/1\": from the backup \"monday\""));
  }
  std::vector<std::byte> tail(100);
  EXPECT_TRUE(file->ReadAt(4 * pgdata::kPageSize, tail).has_value());
}

}  // namespace
}  // namespace pgstrata::image
