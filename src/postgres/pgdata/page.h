// Pages of relations: header and data checksum (src/include/storage/bufpage.h, checksum_impl.h).
#pragma once

#include <cstdint>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::pgdata {

constexpr size_t kPageSize = 8192;
constexpr size_t kPageHeaderSize = 24;

struct PageHeader {
  Lsn lsn;
  uint16_t checksum = 0;
  uint16_t flags = 0;
  uint16_t lower = 0;    // end of the line pointers
  uint16_t upper = 0;    // start of tuples
  uint16_t special = 0;  // start of the index's own space
  uint16_t size = 0;
  uint8_t layout_version = 0;
};

// All zero: the file was extended, but the page never written.
bool IsNew(ByteView page);
// `page`: kPageSize bytes. kCorrupt where PageIsVerified would refuse the header.
Result<PageHeader> ParsePageHeader(ByteView page);
// What pd_checksum has to be for `page` (kPageSize bytes) as block `block` of its fork; never 0.
uint16_t PageChecksum(ByteView page, BlockNumber block);
// A sound header and, with `checksums`, the right checksum; a new page is sound. kCorrupt otherwise.
Status VerifyPage(ByteView page, BlockNumber block, bool checksums);

}  // namespace pgstrata::pgdata
