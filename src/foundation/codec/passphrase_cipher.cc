#include "foundation/codec/passphrase_cipher.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

namespace pgstrata::codec {
namespace {

constexpr std::string_view kMagicText = "Salted__";
constexpr size_t kSaltSize = 8;
constexpr size_t kCipherBuffer = 128 << 10;

size_t HeaderSize(SaltHeader header) { return kSaltSize + (header == SaltHeader::kMagic ? kMagicText.size() : 0); }

unsigned char* Unsigned(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* Unsigned(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }

class DecryptingSource final : public ByteSource {
 public:
  DecryptingSource(std::string_view passphrase, SaltHeader header, std::unique_ptr<ByteSource> encrypted)
      : decryptor_(passphrase, header), encrypted_(std::move(encrypted)) {}

  Result<size_t> Read(MutableBytes out) override {
    size_t filled = 0;
    while (filled < out.size()) {
      if (taken_ == plain_.size()) {
        if (ended_) break;
        PGS_TRY(Refill());
        continue;
      }
      const size_t count = std::min(out.size() - filled, plain_.size() - taken_);
      std::memcpy(out.data() + filled, plain_.data() + taken_, count);
      filled += count;
      taken_ += count;
    }
    return filled;
  }

 private:
  Status Refill() {
    plain_.clear();
    taken_ = 0;
    PGS_ASSIGN(const size_t count, encrypted_->Read(buffer_));
    if (count > 0) return decryptor_.Update(ByteView(buffer_).first(count), plain_);
    ended_ = true;
    return decryptor_.Finish(plain_);
  }

  PassphraseDecryptor decryptor_;
  const std::unique_ptr<ByteSource> encrypted_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(kCipherBuffer);
  std::vector<std::byte> plain_;
  size_t taken_ = 0;
  bool ended_ = false;
};

}  // namespace

void PassphraseDecryptor::Free::operator()(evp_cipher_ctx_st* context) const { EVP_CIPHER_CTX_free(context); }

PassphraseDecryptor::PassphraseDecryptor(std::string_view passphrase, SaltHeader header)
    : passphrase_(passphrase), header_form_(header) {}

PassphraseDecryptor::~PassphraseDecryptor() { OPENSSL_cleanse(passphrase_.data(), passphrase_.size()); }

Status PassphraseDecryptor::Start() {
  const std::string_view head = AsText(header_);
  if (header_form_ == SaltHeader::kMagic && !head.starts_with(kMagicText)) {
    return Fail(ErrorCode::kCorrupt, "it does not begin as an encrypted file does");
  }
  const std::byte* salt = header_.data() + (header_.size() - kSaltSize);
  std::array<unsigned char, EVP_MAX_KEY_LENGTH> key{};
  std::array<unsigned char, EVP_MAX_IV_LENGTH> vector{};
  context_.reset(EVP_CIPHER_CTX_new());
  if (!context_) throw std::bad_alloc();
  const bool made = EVP_BytesToKey(EVP_aes_256_cbc(), EVP_sha1(), Unsigned(salt),
                                   reinterpret_cast<const unsigned char*>(passphrase_.data()),
                                   static_cast<int>(passphrase_.size()), 1, key.data(), vector.data()) > 0 &&
                    EVP_DecryptInit_ex(context_.get(), EVP_aes_256_cbc(), nullptr, key.data(), vector.data()) == 1;
  OPENSSL_cleanse(key.data(), key.size());
  OPENSSL_cleanse(vector.data(), vector.size());
  if (!made) return Fail(ErrorCode::kUnavailable, "this machine's OpenSSL refuses AES-256-CBC or SHA-1");
  return {};
}

Status PassphraseDecryptor::Update(ByteView cipher_text, std::vector<std::byte>& plain) {
  if (!context_) {
    const size_t lacking = std::min(HeaderSize(header_form_) - header_.size(), cipher_text.size());
    header_.insert(header_.end(), cipher_text.begin(), cipher_text.begin() + static_cast<ptrdiff_t>(lacking));
    cipher_text = cipher_text.subspan(lacking);
    if (header_.size() < HeaderSize(header_form_)) return {};
    PGS_TRY(Start());
  }
  constexpr size_t kStep = 1 << 30;  // OpenSSL counts in 32 bits
  while (!cipher_text.empty()) {
    const ByteView step = cipher_text.first(std::min(cipher_text.size(), kStep));
    const size_t had = plain.size();
    plain.resize(had + step.size() + kExtra);
    int written = 0;
    if (EVP_DecryptUpdate(context_.get(), Unsigned(plain.data() + had), &written, Unsigned(step.data()),
                          static_cast<int>(step.size())) != 1) {
      return Fail(ErrorCode::kCorrupt, "it could not be decrypted");
    }
    plain.resize(had + static_cast<size_t>(written));
    cipher_text = cipher_text.subspan(step.size());
  }
  return {};
}

Status PassphraseDecryptor::Finish(std::vector<std::byte>& plain) {
  if (!context_) return Fail(ErrorCode::kCorrupt, "it is shorter than the head of an encrypted file");
  const size_t had = plain.size();
  plain.resize(had + kExtra);
  int written = 0;
  const int result = EVP_DecryptFinal_ex(context_.get(), Unsigned(plain.data() + had), &written);
  plain.resize(had + (result == 1 ? static_cast<size_t>(written) : 0));
  if (result == 1) return {};
  return Fail(ErrorCode::kCorrupt, "it does not decrypt: the passphrase is another, or it is damaged or cut short");
}

Result<std::vector<std::byte>> Decrypt(ByteView cipher_text, std::string_view passphrase, SaltHeader header) {
  PassphraseDecryptor decryptor(passphrase, header);
  std::vector<std::byte> plain;
  PGS_TRY(decryptor.Update(cipher_text, plain));
  PGS_TRY(decryptor.Finish(plain));
  return plain;
}

std::unique_ptr<ByteSource> Decrypting(std::string_view passphrase, SaltHeader header,
                                       std::unique_ptr<ByteSource> encrypted) {
  return std::make_unique<DecryptingSource>(passphrase, header, std::move(encrypted));
}

}  // namespace pgstrata::codec
