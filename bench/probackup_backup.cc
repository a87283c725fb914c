#include "bench/probackup_backup.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>

#include "bench/measure.h"
#include "catalog/probackup/backup_control.h"
#include "catalog/probackup/page_index.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "postgres/pgdata/control_file.h"
#include "postgres/pgdata/crc32c.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::bench {
namespace {

using probackup::kPageBytes;

constexpr uint32_t kFileMode = S_IFREG | 0600;
constexpr uint32_t kDirectoryMode = S_IFDIR | 0700;
constexpr int kLevel = 1;

template <typename Value>
void Append(std::string& bytes, Value value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);  // of this machine, which is little-endian
}

std::string Zlib(ByteView content) {
  std::string packed(compressBound(content.size()), '\0');
  uLongf size = packed.size();
  if (compress2(reinterpret_cast<Bytef*>(packed.data()), &size, reinterpret_cast<const Bytef*>(content.data()),
                content.size(), kLevel) != Z_OK) {
    throw std::runtime_error("zlib could not compress");
  }
  packed.resize(size);
  return packed;
}

void AppendHeader(std::string& headers, uint64_t lsn, uint32_t block, uint64_t position, uint16_t checksum) {
  Append(headers, lsn);
  Append(headers, block);
  Append(headers, static_cast<uint32_t>(position));
  Append(headers, checksum);
  headers.append(6, '\0');
}

uint64_t LsnOf(ByteView page) { return (uint64_t{LoadLe<uint32_t>(page, 0)} << 32U) | LoadLe<uint32_t>(page, 4); }

struct Packed {
  uint32_t block = 0;
  uint64_t lsn = 0;
  uint16_t checksum = 0;
  std::string payload;
};

// Pages [begin, end) of `content`.
std::vector<Packed> PackSome(ByteView content, uint32_t begin, uint32_t end, uint32_t first_in_fork, Lsn since) {
  std::vector<Packed> packed;
  for (uint32_t block = begin; block < end; ++block) {
    const ByteView page = content.subspan(uint64_t{block} * kPageBytes, kPageBytes);
    const uint64_t lsn = LsnOf(page);
    const bool is_new = pgdata::IsNew(page);
    if (lsn < since.value && !is_new) continue;
    const uint16_t checksum = is_new ? 0 : pgdata::PageChecksum(page, {first_in_fork + block});
    std::string payload = Zlib(page);
    if (payload.size() >= kPageBytes) payload.assign(reinterpret_cast<const char*>(page.data()), page.size());
    packed.push_back({.block = block, .lsn = lsn, .checksum = checksum, .payload = std::move(payload)});
  }
  return packed;
}

void Add(PageStream& stream, const Packed& page) {
  AppendHeader(stream.headers, page.lsn, page.block, stream.records.size(), page.checksum);
  Append(stream.records, page.block);
  Append(stream.records, static_cast<uint32_t>(page.payload.size()));
  stream.records += page.payload;
  ++stream.pages;
}

void WriteInDirectory(const std::string& path, std::string_view content) {
  Must(io::MakeDirectories(std::string(SplitLast(path).first)));
  Must(io::WriteWholeFile(path, content));
}

// Of global/pg_control the checksum is the one that it has inside, behind what that stands for.
uint32_t ChecksumOf(const std::string& path, const std::string& content) {
  const ByteView bytes = AsBytes(content);
  if (path != pgdata::kControlFilePath) return pgdata::Crc32c(bytes);
  for (size_t length = 64; length + sizeof(uint32_t) <= bytes.size(); length += sizeof(uint32_t)) {
    const uint32_t crc = pgdata::Crc32c(bytes.first(length));
    if (LoadLe<uint32_t>(bytes, length) == crc) return crc;
  }
  throw std::runtime_error("pg_control has no checksum");
}

}  // namespace

PageStream PackPages(ByteView content, uint32_t first_in_fork, Lsn since) {
  const auto pages = static_cast<uint32_t>(content.size() / kPageBytes);
  const uint32_t threads = std::max(1U, std::thread::hardware_concurrency());
  const uint32_t each = pages / threads + 1;
  std::vector<std::future<std::vector<Packed>>> parts;
  for (uint32_t begin = 0; begin < pages; begin += each) {
    parts.push_back(
        std::async(std::launch::async, PackSome, content, begin, std::min(begin + each, pages), first_in_fork, since));
  }
  PageStream stream;
  for (auto& part : parts) {
    for (const auto& page : part.get()) Add(stream, page);
  }
  if (stream.pages > 0) AppendHeader(stream.headers, 0, 0, stream.records.size(), 0);
  return stream;
}

PageStream PackZeros(uint32_t step) {
  const std::vector<std::byte> zeros(kPageBytes);
  Packed page{.payload = Zlib(zeros)};
  PageStream stream;
  for (; page.block < probackup::kBlocksOfSegment; page.block += step) Add(stream, page);
  AppendHeader(stream.headers, 0, 0, stream.records.size(), 0);
  return stream;
}

ProbackupBackup::ProbackupBackup(const std::string& instance, uint64_t start_time, std::string parent)
    : id_(probackup::ToBase36(start_time)),
      directory_(instance + '/' + id_),
      start_time_(start_time),
      parent_(std::move(parent)) {
  Must(io::MakeDirectories(directory_ + "/database"));
}

void ProbackupBackup::List(const std::string& path, uint32_t mode, bool has_pages, const Listed& listed) {
  list_ +=
      fmt::format(R"({{"path":"{}", "size":"{}", "mode":"{}", "is_datafile":"{}", "is_cfs":"0", "crc":"{}", )"
                  R"("compress_alg":"{}", "external_dir_num":"0", "dbOid":"0"{}}})"
                  "\n",
                  path, listed.size, mode, has_pages ? 1 : 0, listed.crc, has_pages ? "zlib" : "none", listed.more);
}

void ProbackupBackup::AddDirectory(const std::string& path) { List(path, kDirectoryMode, false, {.size = "0"}); }

void ProbackupBackup::AddFile(const std::string& path, const std::string& content) {
  if (!content.empty()) WriteInDirectory(PathOf(path), content);
  List(path, kFileMode, false, {.size = std::to_string(content.size()), .crc = ChecksumOf(path, content), .more = ""});
}

void ProbackupBackup::AddDatafile(const std::string& path, const PageStream& stream, uint32_t segment,
                                  uint32_t blocks) {
  const std::string place = fmt::format(R"(,"segno":"{}","n_blocks":"{}")", segment, blocks);
  if (stream.pages == 0)
    return List(path, kFileMode, true, {.size = blocks == 0 ? "0" : "-1", .crc = 0, .more = place});
  WriteInDirectory(PathOf(path), stream.records);
  const std::string packed = Zlib(AsBytes(stream.headers));
  last_path_ = path;
  last_ = {.size = std::to_string(stream.records.size()),
           .crc = pgdata::Crc32c(AsBytes(stream.records)),
           .more = fmt::format(R"(,"n_headers":"{}","hdr_crc":"{}","hdr_off":"{}","hdr_size":"{}")", stream.pages,
                               pgdata::Crc32c(AsBytes(stream.headers)), map_.size(), packed.size())};
  last_blocks_ = std::to_string(blocks);
  map_ += packed;
  Listed listed = last_;
  listed.more = place + last_.more;
  List(path, kFileMode, true, listed);
}

void ProbackupBackup::AddDatafileLikeLast(const std::string& path, uint32_t segment) {
  Must(io::MakeDirectories(std::string(SplitLast(PathOf(path)).first)));
  Must(io::LinkFile(PathOf(last_path_), PathOf(path)));
  Listed listed = last_;
  listed.more = fmt::format(R"(,"segno":"{}","n_blocks":"{}")", segment, last_blocks_) + last_.more;
  List(path, kFileMode, true, listed);
}

void ProbackupBackup::Finish(Lsn start, Lsn stop) {
  const std::string time = Timestamp{static_cast<int64_t>(start_time_) * 1'000'000'000}.ToString();
  std::string text = fmt::format(
      "#Configuration\nbackup-mode = {}\nstream = true\ncompress-alg = zlib\ncompress-level = {}\nfrom-replica = "
      "false\n"
      "\n#Compatibility\nblock-size = 8192\nxlog-block-size = 8192\nchecksum-version = 1\nprogram-version = 2.5.15\n"
      "server-version = 15\n\n#Result backup info\ntimelineid = 1\nstart-lsn = {}\nstop-lsn = {}\nstart-time = '{}'\n"
      "end-time = '{}'\nstatus = OK\ncontent-crc = {}\n",
      parent_.empty() ? "FULL" : "DELTA", kLevel, start.ToString(), stop.ToString(), time, time,
      pgdata::Crc32c(AsBytes(list_)));
  if (!parent_.empty()) text += fmt::format("parent-backup-id = '{}'\n", parent_);
  Must(io::WriteWholeFile(directory_ + "/backup_content.control", list_));
  Must(io::WriteWholeFile(directory_ + "/page_header_map", map_));
  Must(io::WriteWholeFile(directory_ + "/backup.control", text));
}

}  // namespace pgstrata::bench
