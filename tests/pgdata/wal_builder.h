// WAL made record by record, for what real servers leave only by accident.
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <string_view>

#include "postgres/pgdata/crc32c.h"
#include "postgres/pgdata/wal_reader.h"

namespace pgstrata::pgdata {

// Segments by name. Those that are erased are missing.
class MapWalSource : public WalSource {
 public:
  std::map<WalSegment, std::string> segments;

  Result<size_t> Read(const WalSegment& segment, uint64_t offset, MutableBytes out) override {
    const auto found = segments.find(segment);
    if (found == segments.end()) return Fail(ErrorCode::kNotFound, "no such segment");
    if (offset >= found->second.size()) return 0;
    const size_t length = std::min<uint64_t>(out.size(), found->second.size() - offset);
    std::memcpy(out.data(), found->second.data() + offset, length);
    return length;
  }
};

// Writes from the start of a segment on, as PostgreSQL 15 would.
class WalBuilder {
 public:
  static constexpr uint64_t kSegment = 1 << 20;
  static constexpr uint64_t kSystemIdentifier = 42;

  explicit WalBuilder(uint64_t first_segment, TimelineId timeline = {1})
      : base_(first_segment * kSegment), timeline_(timeline) {}

  // Where the next record will start.
  [[nodiscard]] Lsn Here() {
    OpenPage(0, 0);
    return {base_ + bytes_.size()};
  }
  Lsn Add(std::string_view main_data, uint8_t resource_manager = 10, uint8_t info = 0, uint32_t xid = 0) {
    const Lsn start = Here();
    Write(Record(main_data, resource_manager, info, xid), 0);
    previous_ = start;
    return start;
  }
  // The first `length` bytes of a record, with which a crash ended the WAL on this page's end.
  Lsn AddTorn(std::string_view main_data) {
    const Lsn start = Here();
    const std::string record = Record(main_data, 10, 0, 0);
    const size_t room = kWalPageSize - bytes_.size() % kWalPageSize;
    bytes_.append(record.substr(0, room));
    return start;
  }
  // The page that begins here says that what it follows never was.
  void OverwriteContinuation() { OpenPage(0, 0x0008); }
  Lsn SwitchSegment() {
    const Lsn start = Add("", kXlogResourceManager, 0x40);
    bytes_.resize((bytes_.size() + kSegment - 1) / kSegment * kSegment);
    return start;
  }
  // From here on as another timeline: what was written stays as its history.
  void SwitchTimeline(TimelineId timeline) { timeline_ = timeline; }

  // Whole segments, the last one filled with zeros, under the names of `timeline`.
  void PutInto(MapWalSource& source, TimelineId timeline) const {
    for (uint64_t offset = 0; offset < bytes_.size(); offset += kSegment) {
      std::string segment = bytes_.substr(offset, kSegment);
      segment.resize(kSegment);
      source.segments[{timeline, (base_ + offset) / kSegment}] = std::move(segment);
    }
  }

 private:
  template <typename T>
  static void Append(std::string& to, T value) {
    to.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  std::string Record(std::string_view main_data, uint8_t resource_manager, uint8_t info, uint32_t xid) const {
    std::string body;
    if (!main_data.empty()) {
      Append<uint8_t>(body, 254);
      Append<uint32_t>(body, static_cast<uint32_t>(main_data.size()));
      body += main_data;
    }
    std::string record;
    Append<uint32_t>(record, static_cast<uint32_t>(24 + body.size()));
    Append<uint32_t>(record, xid);
    Append<uint64_t>(record, previous_.value);
    Append<uint8_t>(record, info);
    Append<uint8_t>(record, resource_manager);
    Append<uint16_t>(record, 0);
    Append<uint32_t>(record, Crc32c(AsBytes(record), Crc32c(AsBytes(body))));
    return record + body;
  }

  // Writes a page's header where one is due.
  void OpenPage(uint32_t remaining, uint16_t flags) {
    if (bytes_.size() % kWalPageSize != 0) return;
    const uint64_t address = base_ + bytes_.size();
    const bool first = address % kSegment == 0;
    Append<uint16_t>(bytes_, 0xD110);
    Append<uint16_t>(bytes_, static_cast<uint16_t>(flags | (remaining > 0 ? 1 : 0) | (first ? 2 : 0)));
    Append<uint32_t>(bytes_, timeline_.value);
    Append<uint64_t>(bytes_, address);
    Append<uint64_t>(bytes_, remaining);
    if (!first) return;
    Append<uint64_t>(bytes_, kSystemIdentifier);
    Append<uint32_t>(bytes_, kSegment);
    Append<uint32_t>(bytes_, kWalPageSize);
  }

  void Write(std::string_view record, size_t written) {
    while (written < record.size()) {
      OpenPage(written == 0 ? 0 : static_cast<uint32_t>(record.size() - written), 0);
      const size_t room = kWalPageSize - bytes_.size() % kWalPageSize;
      bytes_.append(record.substr(written, room));
      written += std::min(room, record.size() - written);
    }
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
  }

  uint64_t base_;
  TimelineId timeline_;
  std::string bytes_;
  Lsn previous_;
};

}  // namespace pgstrata::pgdata
