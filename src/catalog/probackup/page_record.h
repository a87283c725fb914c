// One record of a datafile's stream becomes a page.
#pragma once

#include <cstdint>

#include "catalog/probackup/content_list.h"
#include "catalog/probackup/page_index.h"
#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::probackup {

// What proves a page.
struct PageProof {
  uint32_t block = 0;   // in its file
  BlockNumber in_fork;  // in its fork: what the page's checksum was made with
  bool data_checksums = false;
};

// `record` is the record at `place` of the stream, with its header; `page` has kPageBytes. kCorrupt where it is not
// that record, does not unpack, or the page is not the one that was backed up, as far as its own checksum or the
// place's can tell: a page of zeros that was none is an error too. kUnsupported: a compression that is not known here.
Status DecodeRecord(ByteView record, const PageIndex::Place& place, PageCompression compression, const PageProof& proof,
                    MutableBytes page);

}  // namespace pgstrata::probackup
