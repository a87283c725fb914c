// The bytes of a layer's log, version 1: docs/format/layer.md. Encoding and checked decoding, nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "volume/layer/attributes.h"
#include "volume/layer/block_map.h"

namespace pgstrata::layer {

constexpr uint32_t kLayerVersion = 1;
constexpr size_t kLogHeaderBytes = 64;
constexpr uint64_t kRootNode = 1;

using LayerId = std::array<std::byte, 16>;

struct LogHeader {
  uint32_t version = kLayerVersion;
  bool sealed = false;
  bool clean = false;  // the data files are durable, whatever was written to them
  LayerId id{};
  uint64_t generation = 1;
  uint64_t root_inode = 0;
};
std::string EncodeLogHeader(const LogHeader& header);
// `path` is for messages. kUnsupported for another version, kCorrupt for anything else.
Result<LogHeader> ParseLogHeader(ByteView bytes, const std::string& path);

enum class NodeKind : uint32_t {
  kFile = 1,
  kDirectory = 2,
  kLink = 3,
  kFifo = 4,
  kSocket = 5,
  kCharacterDevice = 6,
  kBlockDevice = 7,
};

// S_IFREG and so on.
mode_t TypeOf(NodeKind kind);
NodeKind KindOf(mode_t type);

struct NodeRecord {
  uint64_t node = 0;
  NodeKind kind = NodeKind::kFile;
  uint32_t device = 0;  // of a character or block device
  Attributes attributes;
  bool from_image = false;
  std::string origin;        // the path in the image; the root's is empty, as in Image
  uint64_t origin_size = 0;  // of the image's file there
  std::string link_target;
};
struct AttributesRecord {
  uint64_t node = 0;
  Attributes attributes;
};
// Changes that are there all or none.
struct NamesRecord {
  struct Change {
    uint64_t directory = 0;
    uint64_t node = 0;  // 0: nothing has this name any more
    std::string name;
  };
  std::vector<Change> changes;
};
struct SizeRecord {
  uint64_t node = 0;
  uint64_t size = 0;
  uint64_t base_limit = 0;  // <= size
};
struct BlocksRecord {
  uint64_t node = 0;
  std::vector<BlockRun> runs;  // none empty
};
struct EndRecord {
  uint64_t node = 0;
};
struct NumbersRecord {
  uint64_t number = 0;
};
struct SealRecord {
  uint64_t bytes = 0;
  uint64_t nodes = 0;
};
using Record = std::variant<NodeRecord, AttributesRecord, NamesRecord, SizeRecord, BlocksRecord, EndRecord,
                            NumbersRecord, SealRecord>;

// So that a record never exceeds what a frame may hold.
constexpr size_t kMaxRunsInRecord = 32'768;
constexpr size_t kMaxFrameBody = 1 << 20;
constexpr uint64_t kFrameHeaderBytes = 16;

// The frame of `record` at `position` of the log.
void AppendFrame(std::string& to, const LogHeader& header, uint64_t position, const Record& record);

// Reads frame after frame. Memory: two frames of the largest size.
class LogReader {
 public:
  // Up to out.size() bytes at `offset` of the log; fewer only at its end.
  using ReadBytes = std::function<Result<size_t>(uint64_t offset, MutableBytes out)>;
  // `path` is for messages.
  LogReader(const LogHeader& header, std::string path, ReadBytes read);

  // Nothing at the end of the log: before the first frame that is not whole or has another checksum. kCorrupt for a
  // frame with the right checksum that says what cannot be.
  Result<std::optional<Record>> Next();
  // Behind the last frame that Next returned.
  [[nodiscard]] uint64_t position() const { return position_; }

 private:
  // Makes `count` bytes at position_ available, or as many as the log has.
  Result<ByteView> Peek(size_t count);

  const LogHeader header_;
  const std::string path_;
  const ReadBytes read_;
  uint64_t position_ = kLogHeaderBytes;
  std::vector<std::byte> buffer_;
  uint64_t buffer_start_ = kLogHeaderBytes;
  size_t buffered_ = 0;
};

}  // namespace pgstrata::layer
