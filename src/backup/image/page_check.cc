#include "backup/image/page_check.h"

#include <algorithm>

#include "postgres/pgdata/page.h"
#include "postgres/pgdata/relation_path.h"

namespace pgstrata::image {
namespace {

constexpr uint32_t kBlocksPerSegment = 131'072;

Lsn LsnOf(ByteView page) {
  return {uint64_t{LoadLe<uint32_t>(page, 0)} << 32U | LoadLe<uint32_t>(page, sizeof(uint32_t))};
}

bool MayBeTorn(ByteView page, const PageRules& rules) {
  if (!rules.torn_from) return false;
  const Lsn lsn = LsnOf(page);
  return lsn >= *rules.torn_from && (!rules.torn_until || lsn <= *rules.torn_until);
}

bool IsMapOfPages(std::string_view path) {
  const auto relation = pgdata::ParseRelationPath(path);
  return relation && (relation->fork == pgdata::Fork::kFreeSpaceMap || relation->fork == pgdata::Fork::kVisibilityMap);
}

}  // namespace

std::optional<BadPage> CheckPage(ByteView page, uint32_t block, uint64_t in_fork, const PageRules& rules) {
  const auto sound = pgdata::VerifyPage(page, {static_cast<uint32_t>(in_fork)}, rules.checksums);
  if (sound) return std::nullopt;
  return BadPage{.block = block, .may_be_torn = MayBeTorn(page, rules), .problem = sound.error().message()};
}

std::optional<uint64_t> FirstBlockOf(std::string_view path) {
  const auto relation = pgdata::ParseRelationPath(path);
  if (!relation || relation->temporary_backend) return std::nullopt;
  return relation->FirstBlock(kBlocksPerSegment);
}

std::optional<uint64_t> FirstBlockToRefuseOf(std::string_view path) {
  return IsMapOfPages(path) ? std::nullopt : FirstBlockOf(path);
}

PageRules RulesOf(std::string_view path, PageRules rules) {
  if (!rules.torn_from || !IsMapOfPages(path)) return rules;
  rules.torn_from = Lsn{0};
  rules.torn_until = std::nullopt;
  return rules;
}

std::vector<BadPage> DamagedPages(std::vector<BadPage> bad, bool content_is_right) {
  const bool certain = std::ranges::any_of(bad, [](const BadPage& page) { return !page.may_be_torn; });
  if (content_is_right || certain) std::erase_if(bad, [](const BadPage& page) { return page.may_be_torn; });
  return bad;
}

}  // namespace pgstrata::image
