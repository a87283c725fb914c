#include "catalog/incremental/manifest_digest.h"

#include <span>

#include "foundation/codec/sha256.h"
#include "postgres/pgdata/crc32c.h"

namespace pgstrata::incremental {
namespace {

using pgdata::ManifestChecksum;

codec::Sha2Size SizeOf(ManifestChecksum algorithm) {
  switch (algorithm) {
    case ManifestChecksum::kSha224:
      return codec::Sha2Size::k224;
    case ManifestChecksum::kSha384:
      return codec::Sha2Size::k384;
    case ManifestChecksum::kSha512:
      return codec::Sha2Size::k512;
    default:
      return codec::Sha2Size::k256;
  }
}

}  // namespace

ManifestDigest::ManifestDigest(ManifestChecksum algorithm) {
  if (algorithm == ManifestChecksum::kCrc32c) {
    state_ = uint32_t{0};
  } else if (algorithm != ManifestChecksum::kNone) {
    state_.emplace<codec::Sha2>(SizeOf(algorithm));
  }
}

void ManifestDigest::Update(ByteView bytes) {
  if (auto* crc = std::get_if<uint32_t>(&state_)) *crc = pgdata::Crc32c(bytes, *crc);
  if (auto* hash = std::get_if<codec::Sha2>(&state_)) hash->Update(bytes);
}

std::string ManifestDigest::Finish() {
  if (const auto* crc = std::get_if<uint32_t>(&state_)) return codec::ToHex(std::as_bytes(std::span(crc, 1)));
  if (auto* hash = std::get_if<codec::Sha2>(&state_)) return codec::ToHex(hash->Finish());
  return {};
}

}  // namespace pgstrata::incremental
