// AES-256-CBC under a key that is made of a passphrase, as `openssl enc -aes-256-cbc -md sha1` writes it: "Salted__",
// eight bytes of salt, the cipher text with padding. Key and initial vector are EVP_BytesToKey's with SHA-1 and one
// round. There is no authentication: a wrong passphrase shows only in the padding, or in what the text says.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/codec/byte_source.h"

struct evp_cipher_ctx_st;

namespace pgstrata::codec {

enum class SaltHeader {
  kMagic,    // "Salted__" and the salt
  kNoMagic,  // the salt alone
};

// Decrypts one stream piece by piece. For one thread.
class PassphraseDecryptor {
 public:
  PassphraseDecryptor(std::string_view passphrase, SaltHeader header);
  ~PassphraseDecryptor();
  PassphraseDecryptor(const PassphraseDecryptor&) = delete;
  PassphraseDecryptor& operator=(const PassphraseDecryptor&) = delete;

  // The most bytes that Update and Finish add beyond their input.
  static constexpr size_t kExtra = 16;

  // Adds the plain text of the next bytes to `plain`. kCorrupt where the magic is missing.
  Status Update(ByteView cipher_text, std::vector<std::byte>& plain);
  // The end of the stream. kCorrupt where it is cut short or the padding is wrong: most often a wrong passphrase.
  Status Finish(std::vector<std::byte>& plain);

 private:
  Status Start();

  struct Free {
    void operator()(evp_cipher_ctx_st* context) const;
  };
  std::string passphrase_;
  const SaltHeader header_form_;
  std::vector<std::byte> header_;  // as much of it as was seen
  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
};

Result<std::vector<std::byte>> Decrypt(ByteView cipher_text, std::string_view passphrase, SaltHeader header);

// Decrypts what `encrypted` gives.
std::unique_ptr<ByteSource> Decrypting(std::string_view passphrase, SaltHeader header,
                                       std::unique_ptr<ByteSource> encrypted);

}  // namespace pgstrata::codec
