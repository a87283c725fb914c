// Writes pgBackRest repositories for tests: of any content, and of any way to store it that the format has.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pgstrata::test {

struct WriterOptions {
  std::string compress_type = "none";  // "gz", "bz2", "lz4", "zst"
  std::string passphrase;              // of the repository; empty: not encrypted
  bool bundle = false;
  bool raw = false;            // of bundles: backup-bundle-raw
  bool checksum_page = false;  // the manifest says that pages had right checksums
  uint64_t block_units = 0;    // block incremental with blocks of so many times 8 KiB; 0: not
  std::string label = "20261120-210437F";
};

class RepositoryWriter {
 public:
  // `root` exists.
  RepositoryWriter(std::string root, WriterOptions options);

  void AddDirectory(const std::string& path, uint32_t mode);
  void AddFile(const std::string& path, const std::string& content, uint32_t mode);
  // A segment of the archive, under its name and SHA-1.
  void AddWal(const std::string& name, const std::string& content);
  // backup.info, archive.info and backup.manifest, each with its copy.
  void Finish();

  // Where the bytes of a file that is not bundled lie: a native path.
  [[nodiscard]] std::string StoredPath(const std::string& path) const;

  static std::string Seal(const std::string& text);  // `text` with [backrest] backrest-checksum after it

 private:
  [[nodiscard]] std::string Pack(const std::string& content, bool raw) const;
  [[nodiscard]] std::string Encrypt(const std::string& content, const std::string& passphrase, bool raw) const;
  [[nodiscard]] std::string StoreBlocks(const std::string& content, uint64_t offset, std::string& entry) const;
  void WriteInfo(const std::string& path, const std::string& text, const std::string& passphrase) const;

  const std::string root_;
  const WriterOptions options_;
  std::string bundle_;
  std::map<std::string, std::string> files_;  // lines of the manifest by key
  std::map<std::string, std::string> paths_;
};

// The SHA-1 of a text in hexadecimal.
std::string Sha1Text(const std::string& text);

}  // namespace pgstrata::test
