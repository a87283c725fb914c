// The other digests of SHA-2, as backup manifests have them.
#pragma once

#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/codec/evp_digest.h"

namespace pgstrata::codec {

enum class Sha2Size { k224 = 224, k256 = 256, k384 = 384, k512 = 512 };  // bits

// Fed piece by piece. Not safe to share between threads. Ends the program where memory is exhausted.
class Sha2 {
 public:
  explicit Sha2(Sha2Size size);
  void Update(ByteView bytes) { digest_.Update(bytes); }
  // The digest of everything that was given. After it the object is as new.
  [[nodiscard]] std::vector<std::byte> Finish();

 private:
  EvpDigest digest_;
};

}  // namespace pgstrata::codec
