#include "catalog/probackup/page_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "foundation/codec/pglz.h"
#include "foundation/codec/zlib_block.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::probackup {
namespace {

Status CheckPage(ByteView page, std::optional<uint16_t> written, const PageProof& proof) {
  if (!written) return pgdata::VerifyPage(page, proof.in_fork, proof.data_checksums);
  const bool is_new = pgdata::IsNew(page);
  if (is_new && *written == 0) return {};
  const uint16_t checksum = is_new ? 0 : pgdata::PageChecksum(page, proof.in_fork);
  // What was written with it does not stand for the place in the page where the checksum is.
  if (checksum == *written && proof.data_checksums) return pgdata::VerifyPage(page, proof.in_fork, true);
  if (checksum == *written) return {};
  return Fail(ErrorCode::kCorrupt, fmt::format("its checksum is {} and was {}", checksum, *written));
}

}  // namespace

Status DecodeRecord(ByteView record, const PageIndex::Place& place, PageCompression compression, const PageProof& proof,
                    MutableBytes page) {
  const auto block = LoadLe<uint32_t>(record, 0);
  const auto size = LoadLe<uint32_t>(record, 4);
  if (block != proof.block || size != place.size) {
    return Fail(ErrorCode::kCorrupt, fmt::format("its record is that of block {} with {} bytes, not {} with {}", block,
                                                 size, proof.block, place.size));
  }
  const ByteView payload = record.subspan(kRecordHeaderBytes, place.size);
  if (place.size == kPageBytes) {
    std::ranges::copy(payload, page.begin());
  } else if (compression == PageCompression::kZlib) {
    PGS_TRY(codec::DecompressZlibBlock(payload, page));
  } else if (compression == PageCompression::kPglz) {
    PGS_TRY(codec::DecompressPglz(payload, page));
  } else if (compression == PageCompression::kNone) {
    return Fail(ErrorCode::kCorrupt, fmt::format("it has {} bytes in a file that is not compressed", place.size));
  } else {
    return Fail(Error(ErrorCode::kUnsupported, "it is compressed in a way that is not known here")
                    .WithHint("zlib and pglz are known; restore the backup with the pg_probackup that made it"));
  }
  return CheckPage(page, place.checksum, proof);
}

}  // namespace pgstrata::probackup
