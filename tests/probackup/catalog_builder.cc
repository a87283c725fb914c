#include "tests/probackup/catalog_builder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <random>
#include <utility>

#include "catalog/probackup/backup_control.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/crc32c.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::test {
namespace {

using probackup::PageCompression;

constexpr uint32_t kSegmentBlocks = 131072;

void Append(std::string& bytes, const void* value, size_t size) { bytes.append(static_cast<const char*>(value), size); }

std::string Zlib(const std::string& content) {
  std::string packed(compressBound(content.size()), '\0');
  uLongf size = packed.size();
  EXPECT_EQ(compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(content.data()),
                      content.size(), 1),
            Z_OK);
  packed.resize(size);
  return packed;
}

// Literals only, with the trailing zeros of the page as copies: valid pglz, and shorter than the page.
std::string Pglz(const std::string& content) {
  const size_t end = content.find_last_not_of('\0') + 1;
  std::string packed;
  std::string items;
  unsigned control = 0;
  int count = 0;
  const auto flush = [&] {
    packed += static_cast<char>(control);
    packed += items;
    items.clear();
    control = 0;
    count = 0;
  };
  for (size_t at = 0; at < content.size();) {
    if (at > end && at > 0) {
      const size_t length = std::min<size_t>(content.size() - at, 273);
      if (length < 3) {
        items += content[at++];
      } else {
        control |= 1U << static_cast<unsigned>(count);
        items += static_cast<char>(std::min<size_t>(length, 18) - 3);
        items += '\x01';
        if (length >= 18) items += static_cast<char>(length - 18);
        at += length;
      }
    } else {
      items += content[at++];
    }
    if (++count == 8) flush();
  }
  if (count != 0) flush();
  return packed;
}

std::string_view CompressionName(PageCompression compression) {
  switch (compression) {
    case PageCompression::kZlib:
      return "zlib";
    case PageCompression::kPglz:
      return "pglz";
    case PageCompression::kUnknown:
      return "zstd";
    case PageCompression::kNone:
      break;
  }
  return "none";
}

struct Stream {
  std::string bytes;
  std::string headers;  // of the page header map, uncompressed
};

void AppendHeader(Stream& stream, uint32_t block, uint16_t checksum) {
  const uint64_t lsn = 0x1000;
  const auto position = static_cast<int32_t>(stream.bytes.size());
  Append(stream.headers, &lsn, sizeof lsn);
  Append(stream.headers, &block, sizeof block);
  Append(stream.headers, &position, sizeof position);
  Append(stream.headers, &checksum, sizeof checksum);
  stream.headers.append(6, '\0');
}

Stream MakeStream(const BuiltFile& file, bool padded) {
  Stream stream;
  for (const auto& [block, page] : file.pages) {
    std::string payload = page;
    if (file.compression == PageCompression::kZlib) payload = Zlib(page);
    if (file.compression == PageCompression::kPglz) payload = Pglz(page);
    if (payload.size() >= page.size()) payload = page;
    const bool is_new = pgdata::IsNew(AsBytes(page));
    const BlockNumber in_fork{file.segment * kSegmentBlocks + block};
    AppendHeader(stream, block, is_new ? 0 : pgdata::PageChecksum(AsBytes(page), in_fork));
    const auto size = static_cast<int32_t>(payload.size());
    Append(stream.bytes, &block, sizeof block);
    Append(stream.bytes, &size, sizeof size);
    stream.bytes += payload;
    if (padded) stream.bytes.resize((stream.bytes.size() + 7) / 8 * 8);
  }
  AppendHeader(stream, 0, 0);
  if (file.cut_to) {
    const int32_t marker = -2;
    Append(stream.bytes, &*file.cut_to, sizeof *file.cut_to);
    Append(stream.bytes, &marker, sizeof marker);
  }
  return stream;
}

void WriteFile(const std::string& path, const std::string& content) {
  ASSERT_TRUE(io::MakeDirectories(std::string(SplitLast(path).first)).has_value());
  ASSERT_TRUE(io::WriteWholeFile(path, content).has_value());
}

// One backup while it is written.
class Writer {
 public:
  Writer(const BuiltBackup& backup, std::string directory) : backup_(backup), directory_(std::move(directory)) {
    const auto version = probackup::ProgramVersion::Parse(backup.version);
    old_ = version && *version < probackup::kHeaderMapVersion;
  }

  void Write() {
    for (const auto& file : backup_.files) Add(file);
    WriteFile(directory_ + "/backup_content.control", list_);
    if (!old_ && backup_.with_header_map) WriteFile(directory_ + "/page_header_map", map_);
    WriteControl(directory_, backup_, pgdata::Crc32c(AsBytes(list_)));
  }

 private:
  void Add(const BuiltFile& file) {
    const bool is_file = (file.mode & 0170000U) == 0100000;
    Stream stream;
    if (file.has_pages) stream = MakeStream(file, old_);
    if (!file.has_pages) stream.bytes = file.content;
    const std::string root =
        file.external == 0 ? "/database/" : fmt::format("/external_directories/externaldir{}/", file.external);
    if (is_file && !file.unchanged && !stream.bytes.empty()) WriteFile(directory_ + root + file.path, stream.bytes);
    list_ += fmt::format(R"({{"path":"{}", "size":"{}", "mode":"{}", "is_datafile":"{}", "is_cfs":"0", "crc":"{}", )"
                         R"("compress_alg":"{}", "external_dir_num":"{}", "dbOid":"0")",
                         file.path, file.unchanged ? "-1" : std::to_string(stream.bytes.size()), file.mode,
                         file.has_pages ? 1 : 0, pgdata::Crc32c(AsBytes(stream.bytes)),
                         file.has_pages ? CompressionName(file.compression) : "none", file.external);
    if (file.full_size) list_ += fmt::format(R"(,"full_size":"{}")", *file.full_size);
    if (file.has_pages) list_ += fmt::format(R"(,"segno":"{}")", file.segment);
    if (file.blocks) list_ += fmt::format(R"(,"n_blocks":"{}")", *file.blocks);
    if (file.has_pages && !file.pages.empty() && !file.unchanged && !old_) AddHeaders(file, stream.headers);
    list_ += "}\n";
  }

  void AddHeaders(const BuiltFile& file, const std::string& headers) {
    const std::string packed = Zlib(headers);
    list_ += fmt::format(R"(,"n_headers":"{}","hdr_crc":"{}","hdr_off":"{}","hdr_size":"{}")", file.pages.size(),
                         pgdata::Crc32c(AsBytes(headers)), map_.size(), packed.size());
    map_ += packed;
  }

  const BuiltBackup& backup_;
  const std::string directory_;
  bool old_ = false;
  std::string list_;
  std::string map_;
};

}  // namespace

std::string MakePage(uint32_t block, uint32_t seed, bool compressible) {
  std::mt19937 random(seed);
  std::string page(pgdata::kPageSize, '\0');
  const size_t end = compressible ? 1000 : page.size();
  for (size_t i = 24; i < end; ++i) page[i] = static_cast<char>(random());
  const uint16_t lower = 24;
  const uint16_t upper = 24;
  const uint16_t special = 8192;
  const uint16_t size_and_version = 8192 | 4;
  std::memcpy(page.data() + 12, &lower, 2);
  std::memcpy(page.data() + 14, &upper, 2);
  std::memcpy(page.data() + 16, &special, 2);
  std::memcpy(page.data() + 18, &size_and_version, 2);
  const uint16_t checksum = pgdata::PageChecksum(AsBytes(page), {block});
  std::memcpy(page.data() + 8, &checksum, 2);
  return page;
}

std::string BuiltBackup::Id() const { return probackup::ToBase36(start_time); }

CatalogBuilder::CatalogBuilder(std::string root, std::string instance)
    : root_(std::move(root)), instance_(std::move(instance)) {
  EXPECT_TRUE(io::MakeDirectories(root_ + "/backups/" + instance_).has_value());
  EXPECT_TRUE(io::MakeDirectories(root_ + "/wal/" + instance_).has_value());
}

std::string CatalogBuilder::Add(const BuiltBackup& backup) {
  std::string directory = root_ + "/backups/" + instance_ + '/' + backup.Id();
  EXPECT_TRUE(io::MakeDirectories(directory + "/database").has_value());
  Writer(backup, directory).Write();
  return directory;
}

void WriteControl(const std::string& directory, const BuiltBackup& backup, uint32_t content_crc) {
  const std::string time = Timestamp{static_cast<int64_t>(backup.start_time) * 1'000'000'000}.ToString();
  std::string text = fmt::format(
      "#Configuration\nbackup-mode = {}\nstream = {}\ncompress-alg = zlib\ncompress-level = 1\nfrom-replica = false\n\n"
      "#Compatibility\nblock-size = 8192\nxlog-block-size = 8192\nchecksum-version = {}\nprogram-version = {}\n"
      "server-version = 15\n\n#Result backup info\ntimelineid = 1\nstart-lsn = 0/2000028\nstop-lsn = 0/2000100\n"
      "start-time = '{}'\nend-time = '{}'\nstatus = {}\n",
      backup.mode, backup.stream, backup.data_checksums ? 1 : 0, backup.version, time, time, backup.status);
  if (!backup.parent.empty()) text += fmt::format("parent-backup-id = '{}'\n", backup.parent);
  if (!backup.external_directories.empty()) text += fmt::format("external-dirs = '{}'\n", backup.external_directories);
  text += backup.more_lines;
  if (content_crc != 0) text += fmt::format("content-crc = {}\n", content_crc);
  WriteFile(directory + "/backup.control", text);
}

}  // namespace pgstrata::test
