// SHA-256, fed piece by piece.
#pragma once

#include <array>
#include <string>

#include "foundation/base/bytes.h"
#include "foundation/codec/evp_digest.h"

namespace pgstrata::codec {

using Sha256Digest = std::array<std::byte, 32>;

// Not safe to share between threads. Ends the program where memory is exhausted, as any allocation does.
class Sha256 {
 public:
  Sha256();
  void Update(ByteView bytes) { digest_.Update(bytes); }
  // The digest of everything that was given. After it the object is as new.
  [[nodiscard]] Sha256Digest Finish();

  static Sha256Digest Of(ByteView bytes);

 private:
  EvpDigest digest_;
};

// Lower-case hexadecimal, two digits a byte.
std::string ToHex(ByteView bytes);

}  // namespace pgstrata::codec
