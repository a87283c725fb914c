#include "foundation/codec/passphrase_cipher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/codec/text_source.h"

namespace pgstrata::codec {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kPlain = "a secret of the repository";
constexpr std::string_view kPassphrase = "open-sesame";
constexpr std::string_view kSalt = "\x01\x02\x03\x04\x05\x06\x07\x08";
// openssl enc -aes-256-cbc -md sha1 -pass pass:open-sesame -S 0102030405060708, of kPlain and of nothing.
constexpr std::string_view kCipherText(
    "\x8a\xb8\x6b\xfa\x7e\x11\xfa\x68\x44\x7c\x45\xca\xff\x7a\xdb\x9f\xd1\x0f\x43\x9d\x98\xbd\x07\x2a\x57\x00\xca\x4d"
    "\x75"
    "\xe2\x98\x21",
    32);
constexpr std::string_view kCipherTextOfNothing("\xeb\x4c\x83\x70\x3a\xd7\x1e\x5b\xf1\xf7\x80\x4a\x45\x29\x4b\xe1", 16);

std::string Encrypted(SaltHeader header, std::string_view text = kCipherText) {
  return (header == SaltHeader::kMagic ? "Salted__" : "") + std::string(kSalt) + std::string(text);
}

class PassphraseCipherTest : public ::testing::TestWithParam<SaltHeader> {};
INSTANTIATE_TEST_SUITE_P(Headers, PassphraseCipherTest, ::testing::Values(SaltHeader::kMagic, SaltHeader::kNoMagic),
                         [](const auto& info) { return info.param == SaltHeader::kMagic ? "Magic" : "NoMagic"; });

TEST_P(PassphraseCipherTest, DecryptsWhatOpensslHasEncrypted) {
  const auto plain = Decrypt(AsBytes(Encrypted(GetParam())), kPassphrase, GetParam());
  ASSERT_TRUE(plain.has_value()) << plain.error().message();
  EXPECT_EQ(AsText(*plain), kPlain);
  const auto nothing = Decrypt(AsBytes(Encrypted(GetParam(), kCipherTextOfNothing)), kPassphrase, GetParam());
  ASSERT_TRUE(nothing.has_value());
  EXPECT_TRUE(nothing->empty());
}

TEST_P(PassphraseCipherTest, SingleBytesGiveTheSameText) {
  PassphraseDecryptor decryptor(kPassphrase, GetParam());
  std::vector<std::byte> plain;
  for (const char c : Encrypted(GetParam())) {
    ASSERT_TRUE(decryptor.Update(AsBytes(std::string_view(&c, 1)), plain).has_value());
  }
  ASSERT_TRUE(decryptor.Finish(plain).has_value());
  EXPECT_EQ(AsText(plain), kPlain);
}

TEST_P(PassphraseCipherTest, StreamsGiveTheSameText) {
  const auto source = Decrypting(kPassphrase, GetParam(), std::make_unique<TextSource>(Encrypted(GetParam())));
  std::string text(7, '?');
  const auto first = source->Read(std::as_writable_bytes(std::span(text)));
  ASSERT_EQ(first.value_or(0), text.size());
  EXPECT_EQ(text, kPlain.substr(0, 7));
  const auto rest = ReadAll(*source, 1000);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(AsText(*rest), kPlain.substr(7));
}

TEST_P(PassphraseCipherTest, AnotherPassphraseOrALostEndIsCorrupt) {
  const std::string encrypted = Encrypted(GetParam());
  const auto other = Decrypt(AsBytes(encrypted), "open-poppy", GetParam());
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(other.error().message(), HasSubstr("the passphrase is another"));
  for (size_t length = 0; length < encrypted.size(); ++length) {
    EXPECT_FALSE(Decrypt(AsBytes(encrypted).first(length), kPassphrase, GetParam()).has_value()) << length;
  }
}

TEST(PassphraseCipherHeaderTest, WhatIsNotEncryptedIsSaidToBeSo) {
  const auto plain = Decrypt(AsBytes(std::string(64, 'x')), kPassphrase, SaltHeader::kMagic);
  ASSERT_FALSE(plain.has_value());
  EXPECT_THAT(plain.error().message(), HasSubstr("does not begin as an encrypted file"));
}

}  // namespace
}  // namespace pgstrata::codec
