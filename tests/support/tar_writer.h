// Tar archives for tests, sound and broken.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

namespace pgstrata::test {

struct TarFields {
  std::string path;
  char type = '0';
  uint32_t mode = 0600;
  uint64_t size = 0;
  std::string link_target;
  uint32_t uid = 101;
  uint32_t gid = 104;
  int64_t modified = 1'763'672'580;
};

// The block of one header, in the order and form in which PostgreSQL writes it. A path of more than 100 bytes is split
// into prefix and name where it can be.
inline std::string TarHeaderBlock(const TarFields& fields) {
  std::string block(512, '\0');
  const auto put = [&block](size_t offset, std::string_view text) { block.replace(offset, text.size(), text); };
  const auto octal = [&put](size_t offset, int digits, uint64_t value) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%0*llo", digits, static_cast<unsigned long long>(value));
    put(offset, text.data());
  };
  std::string name = fields.path;
  if (name.size() > 100) {
    const size_t slash = name.find('/', name.size() - 101);
    put(345, name.substr(0, slash));
    name = name.substr(slash + 1);
  }
  put(0, name);
  octal(100, 7, fields.mode);
  octal(108, 7, fields.uid);
  octal(116, 7, fields.gid);
  octal(124, 11, fields.size);
  octal(136, 11, static_cast<uint64_t>(fields.modified));
  block[156] = fields.type;
  put(157, fields.link_target);
  put(257, std::string_view("ustar\0"
                            "00",
                            8));
  put(265, "postgres");
  put(297, "postgres");
  return block;
}

// With the checksum that belongs to it.
inline std::string Sealed(std::string block) {
  block.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : block) sum += static_cast<unsigned char>(c);
  std::array<char, 9> text{};
  std::snprintf(text.data(), text.size(), "%06o ", sum);
  block.replace(148, 8, std::string_view(text.data(), 8));
  return block;
}

class TarWriter {
 public:
  TarWriter& Add(const TarFields& fields, std::string_view data = {}) {
    TarFields sized = fields;
    if (!data.empty()) sized.size = data.size();
    archive_ += Sealed(TarHeaderBlock(sized));
    return AddData(data);
  }
  TarWriter& File(const std::string& path, std::string_view data, uint32_t mode = 0600) {
    return Add({.path = path, .mode = mode}, data);
  }
  TarWriter& Directory(const std::string& path, uint32_t mode = 0700) {
    return Add({.path = path + '/', .type = '5', .mode = mode});
  }
  TarWriter& Link(const std::string& path, const std::string& target) {
    return Add({.path = path, .type = '2', .mode = 0777, .link_target = target});
  }
  TarWriter& AddBlock(const std::string& block) {
    archive_ += block;
    return *this;
  }
  TarWriter& AddData(std::string_view data) {
    archive_ += data;
    archive_.resize((archive_.size() + 511) / 512 * 512, '\0');
    return *this;
  }
  // One pax record: "19 path=base/5/1259\n".
  static std::string Record(const std::string& key, const std::string& value) {
    const size_t rest = key.size() + value.size() + 3;
    size_t length = rest + 1;
    while (std::to_string(length).size() + rest != length) ++length;
    return std::to_string(length) + ' ' + key + '=' + value + '\n';
  }
  // Without its end.
  [[nodiscard]] const std::string& Unfinished() const { return archive_; }
  [[nodiscard]] std::string Finish() const { return archive_ + std::string(1024, '\0'); }

 private:
  std::string archive_;
};

}  // namespace pgstrata::test
