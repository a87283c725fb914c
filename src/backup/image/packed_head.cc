#include "backup/image/packed_head.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "backup/image/buffer_file.h"
#include "backup/image/file_source.h"
#include "backup/image/native_file.h"
#include "backup/image/tar_walk.h"
#include "foundation/base/text.h"
#include "foundation/codec/byte_source.h"
#include "foundation/io/directory.h"

namespace pgstrata::image {
namespace {

constexpr size_t kHead = 1 << 20;

// Zeros follow what an archive that is shorter holds: its end.
Result<std::vector<std::byte>> DecodeHead(const std::string& archive) {
  PGS_ASSIGN(const std::string resolved, io::ResolvePath(archive));
  PGS_ASSIGN(auto file, OpenNativeFile(resolved));
  std::array<std::byte, 4> magic{};
  const size_t size = std::min<uint64_t>(magic.size(), file->size());
  PGS_TRY(file->ReadAt(0, MutableBytes(magic).first(size)));
  const auto compression = codec::CompressionByMagic(ByteView(magic).first(size));
  if (compression == codec::Compression::kNone) {
    return Fail(ErrorCode::kCorrupt, Quoted(archive) + " is not compressed as its name says");
  }
  PGS_ASSIGN(const auto source, codec::Decompressing(compression, SourceOf(std::move(file))));
  std::vector<std::byte> head(kHead);
  PGS_TRY(source->Read(head));
  return head;
}

}  // namespace

Result<std::string> ReadFromPackedHead(const std::string& archive, std::string_view path) {
  auto head = DecodeHead(archive);
  if (!head) return Fail(std::move(head).error().Wrap(Quoted(archive)));
  std::optional<std::string> content;
  const auto buffer = MakeBufferView(*head);
  const auto walked = VisitTarMembers(*buffer, [&](const TarMember& member) -> Status {
    if (member.header.type != TarType::kFile || member.header.path != path) return {};
    content = std::string(AsText(ByteView(*head).subspan(member.data, member.header.size)));
    return Fail(ErrorCode::kCancelled, "found");
  });
  if (content) return *std::move(content);
  return Fail(ErrorCode::kNotFound, Quoted(path) + " does not stand at the beginning of " + Quoted(archive));
}

std::string PackedBaseIn(const std::string& directory) {
  constexpr std::array<const char*, 3> kNames = {"base.tar.gz", "base.tar.lz4", "base.tar.zst"};
  if (io::Exists(JoinPath(directory, "base.tar"))) return {};
  for (const char* name : kNames) {
    if (const std::string path = JoinPath(directory, name); io::Exists(path)) return path;
  }
  return {};
}

}  // namespace pgstrata::image
