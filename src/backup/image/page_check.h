// Whether pages of a backup are sound, and no wolf is cried: what recovery mends is no damage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/types.h"

namespace pgstrata::image {

struct PageRules {
  bool checksums = false;  // the cluster has data checksums; else headers alone are looked at
  // A page that changed in [torn_from, torn_until] may have been written while it was copied: WAL has it whole, and
  // recovery replaces it, as pg_basebackup and pg_checksums have it. Nothing: all pages have to be right (the cluster
  // was stopped). Without an end every later page may be such a one.
  std::optional<Lsn> torn_from = {};
  std::optional<Lsn> torn_until = {};
};

struct BadPage {
  uint32_t block = 0;  // in its file
  bool may_be_torn = false;
  std::string problem;
};

// Nothing where `page` (8 KiB) is right or new. `block` is its number in the file, `in_fork` in the fork.
std::optional<BadPage> CheckPage(ByteView page, uint32_t block, uint64_t in_fork, const PageRules& rules);

// The first block of a relation's segment file in its fork; nothing for files that have no pages, or whose pages no
// restart ever reads (temporary relations).
std::optional<uint64_t> FirstBlockOf(std::string_view path);
// The same for a reader that refuses damaged pages: nothing for free space maps and visibility maps. A server makes
// their damaged pages anew, and writes them without the WAL that would mend a torn one; an error of the read would end
// it.
std::optional<uint64_t> FirstBlockToRefuseOf(std::string_view path);
// `rules` as they are for the file at `path`: any page of such a map may be torn, unless the cluster was stopped.
PageRules RulesOf(std::string_view path, PageRules rules);

// Those of `bad` that are damaged. `content_is_right`: what is read is known to be what was backed up, so that a page
// that may be torn was torn then. Otherwise it may also be what is damaged: it is named where nothing else is.
std::vector<BadPage> DamagedPages(std::vector<BadPage> bad, bool content_is_right);

}  // namespace pgstrata::image
