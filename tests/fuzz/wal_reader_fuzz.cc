// The input is tried twice: as WAL just as it is, and as the body of one record that has a right header and CRC and
// goes over as many pages as it needs, so that what stands behind the CRC is reached too. The first byte chooses the
// version, the second the record's info, the third its resource manager.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "postgres/pgdata/crc32c.h"
#include "postgres/pgdata/wal_reader.h"

namespace {

using namespace pgstrata;
using namespace pgstrata::pgdata;

constexpr uint64_t kSegmentBytes = 1 << 20;
constexpr std::array<uint16_t, 5> kMagics = {0xD10D, 0xD110, 0xD113, 0xD116, 0xD118};

template <typename T>
void Append(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// WAL from the start of segment 1 on timeline 1.
class Source : public WalSource {
 public:
  explicit Source(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<size_t> Read(const WalSegment& segment, uint64_t offset, MutableBytes out) override {
    const uint64_t from = (segment.number - 1) * kSegmentBytes + offset;
    if (segment.number == 0 || segment.timeline != TimelineId{1} || from >= bytes_.size()) {
      return Fail(ErrorCode::kNotFound, "no such segment");
    }
    const size_t length = std::min<uint64_t>({out.size(), bytes_.size() - from, kSegmentBytes - offset});
    std::memcpy(out.data(), bytes_.data() + from, length);
    return length;
  }

 private:
  std::string bytes_;
};

void Walk(std::string bytes, int version) {
  Source source(std::move(bytes));
  const WalReaderOptions options{version, *WalSegmentSize::FromBytes(kSegmentBytes), std::nullopt};
  WalReader reader(source, TimelineHistory(TimelineId{1}), options);
  for (const uint64_t from : {kSegmentBytes, kSegmentBytes + 40, kSegmentBytes + 1000}) {
    if (!reader.Seek({from})) continue;
    Lsn last;
    while (true) {
      const auto record = reader.Next();
      if (!record || !*record) break;
      if ((*record)->start <= last || (*record)->end <= (*record)->start) __builtin_trap();
      last = (*record)->start;
      (void)ParseTransactionEnd(**record, version);
      (void)ParseRestorePoint(**record);
      (void)ParseEndOfRecovery(**record);
      (void)BackupEnd(**record);
      if (IsCheckpoint(**record)) (void)ParseCheckpoint((*record)->main_data);
    }
  }
  (void)FindBackupEnd(reader, {kSegmentBytes + 40}, {kSegmentBytes + 40});
}

std::string Record(std::string_view body, uint8_t info, uint8_t resource_manager) {
  std::string record;
  Append<uint32_t>(record, static_cast<uint32_t>(24 + body.size()));
  Append<uint32_t>(record, 700);
  Append<uint64_t>(record, 0);
  Append<uint8_t>(record, info);
  Append<uint8_t>(record, resource_manager);
  Append<uint16_t>(record, 0);
  const uint32_t crc = Crc32c(AsBytes(record), Crc32c(AsBytes(body)));
  Append<uint32_t>(record, crc);
  return record.append(body);
}

std::string Pages(std::string_view record, uint16_t magic) {
  std::string wal;
  while (!record.empty()) {
    const bool first = wal.empty();
    const bool long_header = wal.size() % kSegmentBytes == 0;
    const uint64_t page = kSegmentBytes + wal.size();
    Append<uint16_t>(wal, magic);
    Append<uint16_t>(wal, static_cast<uint16_t>((first ? 0 : 1) | (long_header ? 2 : 0)));
    Append<uint32_t>(wal, 1);
    Append<uint64_t>(wal, page);
    Append<uint32_t>(wal, first ? 0 : static_cast<uint32_t>(record.size()));
    Append<uint32_t>(wal, 0);
    if (long_header) {
      Append<uint64_t>(wal, 7);
      Append<uint32_t>(wal, kSegmentBytes);
      Append<uint32_t>(wal, kWalPageSize);
    }
    const size_t room = page + kWalPageSize - kSegmentBytes - wal.size();
    const std::string_view part = record.substr(0, std::min(room, record.size()));
    wal.append(part);
    wal.resize(page + kWalPageSize - kSegmentBytes);
    record.remove_prefix(part.size());
  }
  return wal;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t choice = data[0] % kMagics.size();
  const int version = 14 + static_cast<int>(choice);
  Walk(std::string(input), version);
  Walk(Pages(Record(input.substr(3), data[1], data[2]), kMagics[choice]), version);
  return 0;
}
