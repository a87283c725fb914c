#include "volume/layer/log_format.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstring>

#include "foundation/base/text.h"
#include "foundation/codec/xxh3.h"
#include "volume/layer/file_limits.h"

namespace pgstrata::layer {
namespace {

constexpr std::string_view kMagic = "PGSLAYER";
constexpr uint32_t kSealedFlag = 1;
constexpr uint32_t kCleanFlag = 2;
constexpr size_t kHeaderChecksumAt = 56;
constexpr size_t kReadAtOnce = 64 << 10;
constexpr long kNanosecondsPerSecond = 1'000'000'000;
constexpr std::string_view kRootOrigin = ".";
constexpr std::array<mode_t, 7> kTypes = {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK};

template <std::integral T>
void Put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void PutString(std::string& to, std::string_view text) {
  Put(to, static_cast<uint32_t>(text.size()));
  to.append(text);
}
void PutTime(std::string& to, const timespec& time) {
  Put(to, static_cast<int64_t>(time.tv_sec));
  Put(to, static_cast<uint32_t>(time.tv_nsec));
}
void PutAttributes(std::string& to, const Attributes& attributes) {
  Put(to, static_cast<uint32_t>(attributes.permissions));
  Put(to, static_cast<uint32_t>(attributes.uid));
  Put(to, static_cast<uint32_t>(attributes.gid));
  Put(to, uint32_t{0});
  Put(to, attributes.link_count);
  PutTime(to, attributes.accessed);
  PutTime(to, attributes.modified);
  PutTime(to, attributes.changed);
}

// The type of each record is its place in the variant, from 1.
struct Encoder {
  std::string& to;
  void operator()(const NodeRecord& record) const {
    Put(to, record.node);
    Put(to, static_cast<uint32_t>(record.kind));
    Put(to, record.device);
    PutAttributes(to, record.attributes);
    Put(to, record.origin_size);
    PutString(to, record.from_image && record.origin.empty() ? kRootOrigin : std::string_view(record.origin));
    PutString(to, record.link_target);
  }
  void operator()(const AttributesRecord& record) const {
    Put(to, record.node);
    PutAttributes(to, record.attributes);
  }
  void operator()(const NamesRecord& record) const {
    for (const auto& change : record.changes) {
      Put(to, change.directory);
      Put(to, change.node);
      PutString(to, change.name);
    }
  }
  void operator()(const SizeRecord& record) const {
    Put(to, record.node);
    Put(to, record.size);
    Put(to, record.base_limit);
  }
  void operator()(const BlocksRecord& record) const {
    Put(to, record.node);
    for (const BlockRun& run : record.runs) {
      Put(to, static_cast<uint64_t>(run.state));
      Put(to, run.begin);
      Put(to, run.end - run.begin);
    }
  }
  void operator()(const EndRecord& record) const { Put(to, record.node); }
  void operator()(const NumbersRecord& record) const { Put(to, record.number); }
  void operator()(const SealRecord& record) const {
    Put(to, record.bytes);
    Put(to, record.nodes);
  }
};

// A body whose checksum was right. `ok` says whether it can be.
class Decoder {
 public:
  explicit Decoder(ByteView body) : reader_(body) {}

  std::optional<Record> Decode(uint32_t type) {
    std::optional<Record> record;
    switch (type) {
      case 1:
        record = Node();
        break;
      case 2:
        record = AttributesRecord{NodeNumber(), TakeAttributes()};
        break;
      case 3:
        record = Names();
        break;
      case 4:
        record = Size();
        break;
      case 5:
        record = Blocks();
        break;
      case 6:
        record = EndRecord{NodeNumber()};
        break;
      case 7:
        record = NumbersRecord{reader_.Read<uint64_t>()};
        break;
      case 8:
        record = SealRecord{reader_.Read<uint64_t>(), reader_.Read<uint64_t>()};
        break;
      default:
        break;
    }
    if (!ok_ || !reader_.ok() || reader_.remaining() != 0) return std::nullopt;
    return record;
  }

 private:
  void Check(bool condition) { ok_ = ok_ && condition; }
  uint64_t NodeNumber() {
    const auto number = reader_.Read<uint64_t>();
    Check(number != 0);
    return number;
  }
  std::string String() {
    const auto length = reader_.Read<uint32_t>();
    return std::string(AsText(reader_.Take(length)));
  }
  timespec Time() {
    timespec time{};
    time.tv_sec = reader_.Read<int64_t>();
    time.tv_nsec = reader_.Read<uint32_t>();
    Check(time.tv_nsec < kNanosecondsPerSecond);
    return time;
  }
  Attributes TakeAttributes() {
    Attributes attributes;
    attributes.permissions = reader_.Read<uint32_t>();
    Check(attributes.permissions <= 07777);
    attributes.uid = reader_.Read<uint32_t>();
    attributes.gid = reader_.Read<uint32_t>();
    reader_.Skip(4);
    attributes.link_count = reader_.Read<uint64_t>();
    attributes.accessed = Time();
    attributes.modified = Time();
    attributes.changed = Time();
    return attributes;
  }
  NodeRecord Node() {
    NodeRecord record{.node = NodeNumber()};
    const auto kind = reader_.Read<uint32_t>();
    Check(kind >= static_cast<uint32_t>(NodeKind::kFile) && kind <= static_cast<uint32_t>(NodeKind::kBlockDevice));
    record.kind = static_cast<NodeKind>(kind);
    record.device = reader_.Read<uint32_t>();
    record.attributes = TakeAttributes();
    record.origin_size = reader_.Read<uint64_t>();
    Check(record.origin_size <= kMaxFileSize);
    record.origin = String();
    record.from_image = !record.origin.empty();
    if (record.origin == kRootOrigin) record.origin.clear();
    Check((record.node == kRootNode) == (record.from_image && record.origin.empty()));
    Check(record.node != kRootNode || record.kind == NodeKind::kDirectory);
    record.link_target = String();
    Check((record.kind == NodeKind::kLink) == !record.link_target.empty());
    Check(record.kind <= NodeKind::kLink || !record.from_image);  // an image has none of the others
    return record;
  }
  NamesRecord Names() {
    NamesRecord record;
    do {
      const uint64_t directory = NodeNumber();
      const auto node = reader_.Read<uint64_t>();
      Check(node != kRootNode);
      record.changes.push_back({directory, node, String()});
      Check(IsFileName(record.changes.back().name));
    } while (ok_ && reader_.ok() && reader_.remaining() != 0);
    return record;
  }
  SizeRecord Size() {
    SizeRecord record{NodeNumber(), reader_.Read<uint64_t>(), reader_.Read<uint64_t>()};
    Check(record.size <= kMaxFileSize && record.base_limit <= record.size);
    return record;
  }
  BlocksRecord Blocks() {
    constexpr uint64_t kMaxBlocks = kMaxFileSize / kBlockSize;
    BlocksRecord record{.node = NodeNumber()};
    do {
      const auto state = reader_.Read<uint64_t>();
      const auto begin = reader_.Read<uint64_t>();
      const auto count = reader_.Read<uint64_t>();
      Check(state <= static_cast<uint64_t>(BlockState::kZero) && begin < kMaxBlocks && count > 0 &&
            count <= kMaxBlocks - begin);
      record.runs.push_back({static_cast<BlockState>(state), begin, begin + count});
    } while (ok_ && reader_.ok() && reader_.remaining() != 0);
    return record;
  }

  ByteReader reader_;
  bool ok_ = true;
};

uint64_t PaddedTo8(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

// A body is accepted only where its layer, its generation and its place are those that it was written for.
uint64_t FrameChecksum(const LogHeader& header, uint64_t position, uint32_t length, uint32_t type, ByteView body) {
  std::array<std::byte, 32> place;
  std::memcpy(place.data(), header.id.data(), header.id.size());
  std::memcpy(place.data() + 16, &position, sizeof position);
  std::memcpy(place.data() + 24, &length, sizeof length);
  std::memcpy(place.data() + 28, &type, sizeof type);
  return codec::Xxh3(body, codec::Xxh3(place, header.generation));
}

}  // namespace

mode_t TypeOf(NodeKind kind) { return kTypes[static_cast<size_t>(kind) - 1]; }

NodeKind KindOf(mode_t type) {
  const auto found = std::ranges::find(kTypes, type);
  return static_cast<NodeKind>(found - kTypes.begin() + 1);
}

std::string EncodeLogHeader(const LogHeader& header) {
  std::string bytes(kMagic);
  Put(bytes, header.version);
  Put(bytes, (header.sealed ? kSealedFlag : 0) | (header.clean ? kCleanFlag : 0));
  bytes.append(AsText(header.id));
  Put(bytes, header.generation);
  Put(bytes, header.root_inode);
  Put(bytes, uint64_t{0});
  Put(bytes, codec::Xxh3(AsBytes(bytes)));
  return bytes;
}

Result<LogHeader> ParseLogHeader(ByteView bytes, const std::string& path) {
  if (bytes.size() < kLogHeaderBytes || AsText(bytes.first(kMagic.size())) != kMagic) {
    return Fail(ErrorCode::kCorrupt, Quoted(path) + " is not the log of a layer");
  }
  LogHeader header{.version = LoadLe<uint32_t>(bytes, 8)};
  if (header.version != kLayerVersion) {
    return Fail(Error(ErrorCode::kUnsupported, fmt::format("{} is a layer of version {}, this program knows version {}",
                                                           Quoted(path), header.version, kLayerVersion))
                    .WithHint("use the version of pgstrata that made it, or a later one"));
  }
  if (LoadLe<uint64_t>(bytes, kHeaderChecksumAt) != codec::Xxh3(bytes.first(kHeaderChecksumAt))) {
    return Fail(ErrorCode::kCorrupt, "the header of " + Quoted(path) + " is damaged");
  }
  header.sealed = (LoadLe<uint32_t>(bytes, 12) & kSealedFlag) != 0;
  header.clean = (LoadLe<uint32_t>(bytes, 12) & kCleanFlag) != 0;
  std::memcpy(header.id.data(), bytes.data() + 16, header.id.size());
  header.generation = LoadLe<uint64_t>(bytes, 32);
  header.root_inode = LoadLe<uint64_t>(bytes, 40);
  return header;
}

void AppendFrame(std::string& to, const LogHeader& header, uint64_t position, const Record& record) {
  const size_t start = to.size();
  to.resize(start + kFrameHeaderBytes);
  std::visit(Encoder{to}, record);
  const auto length = static_cast<uint32_t>(to.size() - start - kFrameHeaderBytes);
  const auto type = static_cast<uint32_t>(record.index() + 1);
  const uint64_t checksum =
      FrameChecksum(header, position, length, type, AsBytes(to).subspan(start + kFrameHeaderBytes));
  std::memcpy(to.data() + start, &length, sizeof length);
  std::memcpy(to.data() + start + 4, &type, sizeof type);
  std::memcpy(to.data() + start + 8, &checksum, sizeof checksum);
  to.resize(start + PaddedTo8(kFrameHeaderBytes + length));
}

LogReader::LogReader(const LogHeader& header, std::string path, ReadBytes read)
    : header_(header), path_(std::move(path)), read_(std::move(read)) {}

Result<ByteView> LogReader::Peek(size_t count) {
  const size_t used = position_ - buffer_start_;
  if (buffered_ - used < count) {
    buffer_.resize(std::max({buffer_.size(), kReadAtOnce, count}));
    std::memmove(buffer_.data(), buffer_.data() + used, buffered_ - used);
    buffered_ -= used;
    buffer_start_ = position_;
    PGS_ASSIGN(const size_t got, read_(position_ + buffered_, MutableBytes(buffer_).subspan(buffered_)));
    buffered_ += got;
  }
  const size_t from = position_ - buffer_start_;
  return ByteView(buffer_).subspan(from, std::min(count, buffered_ - from));
}

Result<std::optional<Record>> LogReader::Next() {
  PGS_ASSIGN(const ByteView head, Peek(kFrameHeaderBytes));
  if (head.size() < kFrameHeaderBytes) return std::nullopt;
  const auto length = LoadLe<uint32_t>(head, 0);
  const auto type = LoadLe<uint32_t>(head, 4);
  const auto checksum = LoadLe<uint64_t>(head, 8);
  if (length == 0 || length > kMaxFrameBody) return std::nullopt;
  const uint64_t whole = PaddedTo8(kFrameHeaderBytes + length);
  PGS_ASSIGN(const ByteView frame, Peek(whole));
  if (frame.size() < whole) return std::nullopt;
  const ByteView body = frame.subspan(kFrameHeaderBytes, length);
  if (FrameChecksum(header_, position_, length, type, body) != checksum) return std::nullopt;
  auto record = Decoder(body).Decode(type);
  if (!record) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("{} has a record of type {} at byte {} that cannot be", Quoted(path_), type, position_));
  }
  position_ += whole;
  return record;
}

}  // namespace pgstrata::layer
