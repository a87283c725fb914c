// SHA-1, fed piece by piece: what other tools wrote down long ago. It protects against damage, from nobody who means
// harm.
#pragma once

#include <array>

#include "foundation/base/bytes.h"
#include "foundation/codec/evp_digest.h"

namespace pgstrata::codec {

using Sha1Digest = std::array<std::byte, 20>;

// Not safe to share between threads. Ends the program where memory is exhausted, as any allocation does.
class Sha1 {
 public:
  Sha1();
  void Update(ByteView bytes) { digest_.Update(bytes); }
  // The digest of everything that was given. After it the object is as new.
  [[nodiscard]] Sha1Digest Finish();

  static Sha1Digest Of(ByteView bytes);

 private:
  EvpDigest digest_;
};

}  // namespace pgstrata::codec
