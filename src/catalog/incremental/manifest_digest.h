// The checksum of a file in the form in which a backup_manifest has it.
#pragma once

#include <string>
#include <variant>

#include "foundation/base/bytes.h"
#include "foundation/codec/sha2.h"
#include "postgres/pgdata/backup_manifest.h"

namespace pgstrata::incremental {

class ManifestDigest {
 public:
  explicit ManifestDigest(pgdata::ManifestChecksum algorithm);
  void Update(ByteView bytes);
  // Of all that came, in lower-case hexadecimal; empty for kNone.
  [[nodiscard]] std::string Finish();

 private:
  std::variant<std::monostate, uint32_t, codec::Sha2> state_;  // nothing, CRC-32C, SHA-2
};

}  // namespace pgstrata::incremental
