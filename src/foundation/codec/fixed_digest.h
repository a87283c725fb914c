// What SHA-1 and SHA-256 have in common: an algorithm of OpenSSL's whose digests are of one size.
#pragma once

#include <array>
#include <cstddef>

#include "foundation/base/bytes.h"
#include "foundation/codec/evp_digest.h"

namespace pgstrata::codec {

// Fed piece by piece. Algorithm::kBytes is the size of a digest, Algorithm::Get() gives OpenSSL's algorithm.
// Not safe to share between threads. Ends the program where memory is exhausted, as any allocation does.
template <typename Algorithm>
class FixedDigest {
 public:
  using Digest = std::array<std::byte, Algorithm::kBytes>;

  FixedDigest() : digest_(Algorithm::Get()) {}
  void Update(ByteView bytes) { digest_.Update(bytes); }
  // The digest of everything that was given. After it the object is as new.
  [[nodiscard]] Digest Finish() {
    Digest digest;
    digest_.Finish(digest);
    return digest;
  }

  static Digest Of(ByteView bytes) {
    FixedDigest hash;
    hash.Update(bytes);
    return hash.Finish();
  }

 private:
  EvpDigest digest_;
};

}  // namespace pgstrata::codec
