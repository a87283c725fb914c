// The blocks of a tar archive (POSIX ustar and pax, GNU tar): bytes in, facts out. docs/format/tar.md says which are
// read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::image {

constexpr size_t kTarBlock = 512;  // bytes; an archive is a sequence of these

enum class TarType : uint8_t {
  kFile,
  kDirectory,
  kLink,            // symbolic
  kHardLink,        // another name of an earlier member
  kLongName,        // GNU: the data is the path of the next member
  kLongLinkTarget,  // GNU: the data is its link target
  kPaxRecords,      // the data are records that replace fields of the next member
  kPaxGlobals,      // the same for all that follow
  kOther,           // a device, a pipe, a volume's label: nothing that a backup is made of
};

// One header as it stands there, its numbers checked, its path not yet.
struct TarHeader {
  TarType type = TarType::kFile;
  std::string path;
  std::string link_target;
  uint32_t mode = 0;  // permission bits only
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;  // bytes of data behind the header
  Timestamp modified;
};

// `block`: kTarBlock bytes. kCorrupt: its checksum does not match, or a number does not parse. kUnsupported: a sparse
// file, a part of an archive of several volumes, an unknown type.
Result<TarHeader> ParseTarHeader(ByteView block);
// What stands behind the last member.
bool IsZeroBlock(ByteView block);

// What extensions say of the next member in place of its header.
struct TarOverrides {
  std::optional<std::string> path;
  std::optional<std::string> link_target;
  std::optional<uint64_t> size;
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::optional<Timestamp> modified;

  void ApplyTo(TarHeader& header) const;
};

// Adds what pax records say; later ones win, keywords without a meaning for a backup are passed over. kCorrupt where
// they do not parse, kUnsupported for sparse files.
Status ParsePaxRecords(ByteView records, TarOverrides& overrides);

// "./base//5/" is "base/5", "./" is "". kUnsupported for what a restore could not put below PGDATA: an absolute path,
// "..", a NUL.
Result<std::string> NormalizeTarPath(std::string_view path);

}  // namespace pgstrata::image
