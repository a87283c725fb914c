// A digest of OpenSSL's, fed piece by piece: what the hashes of this room are made of.
#pragma once

#include <cstddef>
#include <memory>

#include "foundation/base/bytes.h"

struct evp_md_st;
struct evp_md_ctx_st;

namespace pgstrata::codec {

// Not safe to share between threads. Ends the program where memory is exhausted, as any allocation does: these
// algorithms fail for nothing else.
class EvpDigest {
 public:
  explicit EvpDigest(const evp_md_st* algorithm);

  [[nodiscard]] size_t size() const;
  void Update(ByteView bytes);
  // Fills `digest`, size() bytes, with that of everything that was given. After it the object is as new.
  void Finish(MutableBytes digest);

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace pgstrata::codec
