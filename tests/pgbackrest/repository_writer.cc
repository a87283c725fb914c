// The ordinary tools compress and encrypt; what pgBackRest leaves out of their raw forms is taken off again.
#include "tests/pgbackrest/repository_writer.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "catalog/pgbackrest/json_reader.h"
#include "foundation/base/text.h"
#include "foundation/codec/sha1.h"
#include "foundation/codec/sha256.h"
#include "foundation/codec/xxh3.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/compress.h"

namespace pgstrata::test {
namespace {

constexpr uint64_t kSuperBlock = 64 << 10;
constexpr size_t kChecksumSize = 6;
constexpr const char* kManifestPass = "pass of manifests";
constexpr const char* kFilePass = "pass of files";
constexpr const char* kWalPass = "pass of wal";

const std::map<std::string, std::string> kTools = {{"gz", "gzip"}, {"bz2", "bzip2"}, {"lz4", "lz4"}, {"zst", "zstd"}};

void AppendVarint(uint64_t value, std::string& bytes) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  bytes += static_cast<char>(value);
}

uint64_t ZigZag(int64_t value) { return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63); }

// zlib's frame around what gzip has compressed.
std::string ZlibFrame(const std::string& gzipped, const std::string& content) {
  constexpr size_t kHead = 10;
  constexpr size_t kTail = 8;
  constexpr unsigned kHasName = 8;
  const bool has_name = (static_cast<unsigned char>(gzipped[3]) & kHasName) != 0;
  const size_t begin = has_name ? gzipped.find('\0', kHead) + 1 : kHead;
  uint32_t low = 1;
  uint32_t high = 0;
  for (const char c : content) {
    low = (low + static_cast<unsigned char>(c)) % 65521;
    high = (high + low) % 65521;
  }
  std::string framed = "\x78\x9c" + gzipped.substr(begin, gzipped.size() - kTail - begin);
  for (const uint32_t byte : {high >> 8, high, low >> 8, low}) framed += static_cast<char>(byte & 0xFF);
  return framed;
}

void Write(const std::string& path, const std::string& content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  ASSERT_TRUE(io::WriteWholeFile(path, content).has_value()) << path;
}

}  // namespace

std::string Sha1Text(const std::string& text) { return codec::ToHex(codec::Sha1::Of(AsBytes(text))); }

RepositoryWriter::RepositoryWriter(std::string root, WriterOptions options)
    : root_(std::move(root)), options_(std::move(options)) {}

std::string RepositoryWriter::Encrypt(const std::string& content, const std::string& passphrase, bool raw) const {
  constexpr size_t kMagic = 8;
  if (options_.passphrase.empty()) return content;
  const ScratchDirectory directory;
  const std::string path = directory.path() + "/plain";
  EXPECT_TRUE(io::WriteWholeFile(path, content).has_value());
  const std::string encrypted =
      OutputOf("openssl enc -aes-256-cbc -md sha1 -pass 'pass:" + passphrase + "' -in " + path + " 2>/dev/null");
  return raw ? encrypted.substr(kMagic) : encrypted;
}

std::string RepositoryWriter::Pack(const std::string& content, bool raw) const {
  if (options_.compress_type == "none") return content;
  const std::string packed = Compressed(kTools.at(options_.compress_type), content);
  return raw && options_.compress_type == "gz" ? ZlibFrame(packed, content) : packed;
}

void RepositoryWriter::AddDirectory(const std::string& path, uint32_t mode) {
  const std::string key = path.empty() ? "pg_data" : path.starts_with("pg_tblspc/") ? path : "pg_data/" + path;
  paths_[key] = fmt::format("{}={{\"mode\":\"{:04o}\"}}\n", key, mode);
}

std::string RepositoryWriter::StoredPath(const std::string& path) const {
  const std::string key = path.starts_with("pg_tblspc/") ? path : "pg_data/" + path;
  std::string stored = root_ + "/backup/main/" + options_.label + '/' + key;
  if (options_.block_units != 0) return stored + ".pgbi";
  return options_.compress_type == "none" ? stored : stored + '.' + options_.compress_type;
}

// The map as pgBackRest writes it for a file that is in one backup: one reference, whole super blocks.
std::string RepositoryWriter::StoreBlocks(const std::string& content, uint64_t offset, std::string& entry) const {
  const uint64_t block_size = options_.block_units * 8192;
  const uint64_t in_super_block = std::max<uint64_t>(kSuperBlock / block_size, 1);
  std::string stored;
  std::string map;
  AppendVarint(0, map);
  AppendVarint(1U | (options_.bundle ? 2U : 0U) | (offset != 0 ? 4U : 0U), map);
  if (options_.bundle) AppendVarint(1, map);
  if (offset != 0) AppendVarint(offset, map);
  uint64_t last_size = 0;
  uint64_t last_unpacked = block_size;
  for (uint64_t begin = 0; begin < content.size(); begin += in_super_block * block_size) {
    const std::string super_block = content.substr(begin, in_super_block * block_size);
    const std::string packed = Encrypt(Pack(super_block, true), kFilePass, true);
    const bool changed = super_block.size() != last_unpacked;
    const bool is_last = begin + super_block.size() == content.size();
    const uint64_t size = last_size == 0 ? packed.size() : ZigZag(static_cast<int64_t>(packed.size() - last_size));
    AppendVarint(size << 3 | (changed ? 2U : 0U) | (is_last ? 1U : 0U), map);
    if (changed) {
      const uint64_t rest = super_block.size() % block_size;
      AppendVarint((super_block.size() / block_size) << 1 | (rest != 0 ? 1U : 0U), map);
      if (rest != 0) AppendVarint(rest, map);
    }
    last_unpacked = super_block.size();
    last_size = packed.size();
    for (uint64_t at = 0; at < super_block.size(); at += block_size) {
      const auto digest = codec::Xxh3Of128(AsBytes(super_block.substr(at, block_size)));
      map += AsText(ByteView(digest).first(kChecksumSize));
    }
    stored += packed;
  }
  map = Encrypt(map, kFilePass, true);
  entry = fmt::format("\"bi\":{},\"bim\":{},", options_.block_units, map.size());
  return stored + map;
}

void RepositoryWriter::AddFile(const std::string& path, const std::string& content, uint32_t mode) {
  const std::string key = path.starts_with("pg_tblspc/") ? path : "pg_data/" + path;
  std::string entry;
  std::string stored;
  if (!content.empty()) {
    const uint64_t offset = options_.bundle ? bundle_.size() : 0;
    const bool raw = options_.bundle && options_.raw;
    stored =
        options_.block_units != 0 ? StoreBlocks(content, offset, entry) : Encrypt(Pack(content, raw), kFilePass, raw);
    if (options_.bundle) {
      entry += "\"bni\":1,";
      if (offset != 0) entry += fmt::format("\"bno\":{},", offset);
      bundle_ += stored;
    } else {
      Write(StoredPath(path), stored);
    }
    entry += fmt::format("\"checksum\":\"{}\",", Sha1Text(content));
  }
  if (options_.checksum_page) entry += "\"checksum-page\":true,";
  entry += fmt::format("\"mode\":\"{:04o}\",", mode);
  if (!content.empty()) entry += fmt::format("\"rck\":\"{}\",\"repo-size\":{},", Sha1Text(stored), stored.size());
  files_[key] = fmt::format("{}={{{}\"size\":{},\"timestamp\":1795208675}}\n", key, entry, content.size());
}

void RepositoryWriter::AddWal(const std::string& name, const std::string& content) {
  std::string path = root_ + "/archive/main/15-1/";
  if (name.ends_with(".history") || name.ends_with(".backup")) {
    Write(path + (name.ends_with(".backup") ? name.substr(0, 16) + '/' : "") + name, Encrypt(content, kWalPass, false));
    return;
  }
  const std::string suffix = options_.compress_type == "none" ? "" : '.' + options_.compress_type;
  path += name.substr(0, 16) + '/' + name + '-' + Sha1Text(content) + suffix;
  Write(path, Encrypt(Pack(content, false), kWalPass, false));
}

std::string RepositoryWriter::Seal(const std::string& text) {
  std::string hashed;
  std::string section;
  bool first = true;
  for (const auto line : SplitLines(text)) {
    if (line.empty()) continue;
    if (line == section) continue;
    if (line.starts_with('[')) {
      hashed += (section.empty() ? "{" : "},") + pgbackrest::ToJsonString(line.substr(1, line.size() - 2)) + ":{";
      section = line;
      first = true;
      continue;
    }
    size_t equal = line.find('=');
    while (!pgbackrest::IsJson(line.substr(equal + 1))) equal = line.find('=', equal + 1);
    hashed += (first ? "" : ",") + pgbackrest::ToJsonString(line.substr(0, equal)) + ':' +
              std::string(line.substr(equal + 1));
    first = false;
  }
  return text + "\n[backrest]\nbackrest-checksum=\"" + Sha1Text(hashed + "}}") + "\"\n";
}

void RepositoryWriter::WriteInfo(const std::string& path, const std::string& text,
                                 const std::string& passphrase) const {
  const std::string sealed = Encrypt(Seal(text), passphrase, false);
  Write(path, sealed);
  Write(path + ".copy", sealed);
}

void RepositoryWriter::Finish() {
  const auto head = [this](const char* pass) {
    std::string text = "[backrest]\nbackrest-format=5\nbackrest-version=\"2.59.1\"\n\n";
    if (!options_.passphrase.empty()) text += fmt::format("[cipher]\ncipher-pass=\"{}\"\n\n", pass);
    return text;
  };
  const std::string backup = root_ + "/backup/main/";
  if (!bundle_.empty()) Write(backup + options_.label + "/bundle/1", bundle_);
  std::string manifest = head(kFilePass) + "[backup]\n";
  if (options_.bundle) manifest += "backup-bundle=true\n";
  if (options_.raw) manifest += "backup-bundle-raw=true\n";
  manifest += fmt::format(
      "backup-label=\"{0}\"\nbackup-reference=\"{0}\"\nbackup-timestamp-start=1795208677\n"
      "backup-timestamp-stop=1795208679\nbackup-type=\"full\"\n\n",
      options_.label);
  manifest += "[backup:db]\ndb-id=1\ndb-system-id=7710362548969256675\ndb-version=\"15\"\n\n";
  manifest += fmt::format("[backup:option]\noption-compress={}\noption-compress-type=\"{}\"\noption-online=true\n\n",
                          options_.compress_type != "none", options_.compress_type);
  manifest += "[target:file]\n";
  for (const auto& [key, line] : files_) manifest += line;
  manifest += "\n[target:file:default]\ngroup=false\nmode=\"0600\"\nuser=false\n\n[target:path]\npg_data={}\n";
  for (const auto& [key, line] : paths_) manifest += line;
  manifest += "\n[target:path:default]\ngroup=false\nmode=\"0700\"\nuser=false\n";
  WriteInfo(backup + options_.label + "/backup.manifest", manifest, kManifestPass);
  WriteInfo(backup + "backup.info",
            head(kManifestPass) + "[backup:current]\n" + options_.label +
                "={\"backup-timestamp-stop\":1795208679,\"backup-type\":\"full\",\"db-id\":1}\n\n[db:history]\n"
                "1={\"db-system-id\":7710362548969256675,\"db-version\":\"15\"}\n",
            options_.passphrase);
  WriteInfo(root_ + "/archive/main/archive.info",
            head(kWalPass) + "[db:history]\n1={\"db-id\":7710362548969256675,\"db-version\":\"15\"}\n",
            options_.passphrase);
}

}  // namespace pgstrata::test
