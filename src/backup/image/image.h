// The read-only view of one backup of a cluster. Adapters (a directory, a tar, a catalog entry, a snapshot) implement
// Image; everything above reads a backup only through it. Every adapter passes tests/image/conformance.
//
// Paths are relative to PGDATA, without a leading slash; "" is PGDATA itself. Tablespaces are real directories under
// "pg_tblspc/OID/". What the mount must never show (a link that leaves the tree) is resolved here: an image's links are
// relative and stay inside.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/fingerprint.h"
#include "backup/image/first_touch.h"
#include "foundation/base/bytes.h"
#include "foundation/base/error.h"
#include "foundation/base/types.h"

namespace pgstrata::image {

enum class EntryKind : uint8_t { kFile, kDirectory, kLink };

struct Entry {
  std::string name;  // the last component; "" for PGDATA itself
  EntryKind kind = EntryKind::kFile;
  uint32_t mode = 0;  // permission bits only (07777)
  uint32_t uid = 0;
  uint32_t gid = 0;
  uint64_t size = 0;  // bytes, as a restore would write the file
  Timestamp modified;
  std::string link_target;  // kLink only
  // Where a link of the source led that is shown here as what it led to: a native path, for information. Else empty.
  std::string grafted_from;
};

// Random access to one file of an image. Safe from several threads at once.
class ImageFile {
 public:
  virtual ~ImageFile() = default;
  [[nodiscard]] virtual uint64_t size() const = 0;
  // Fills `out` from [offset, offset + out.size()), which lies within [0, size()). It fills all or fails: never fewer
  // bytes, never zeros in place of what could not be read. A source that changed since it was opened is kCorrupt.
  virtual Status ReadAt(uint64_t offset, MutableBytes out) const = 0;
  // The first byte at or after `offset` that may be other than zero, or size(): what lies between is zero. Cheap or
  // `offset` itself.
  [[nodiscard]] virtual uint64_t NextData(uint64_t offset) const { return offset; }
};

// A link in pg_tblspc that leads nowhere.
struct MissingTablespace {
  std::string oid;       // the link's name
  std::string location;  // where it leads to, as the link says
};

// One of the things that an image is made of. Views live as long as the call that is given them.
struct SourcePart {
  std::string_view name;              // no other part has it; it stays when all of the source is moved
  const Fingerprint* file = nullptr;  // of a file of this machine
  std::string_view fact;              // else: a word that is another once what it stands for is another
};
using PartVisitor = std::function<Status(const SourcePart& part)>;
// The fact of a file that should be there and is not.
inline constexpr std::string_view kPartIsMissing = "missing";

// Safe from several threads at once. A path is taken as it is: no component of it is followed as a link (FollowLinks
// does that), so Stat of a link describes the link, and there is nothing below one.
class Image {
 public:
  virtual ~Image() = default;
  // What the user knows it by, for messages: "/backups/monday".
  [[nodiscard]] virtual const std::string& name() const = 0;
  // kNotFound where there is nothing at `path`.
  virtual Result<Entry> Stat(std::string_view path) const = 0;
  // The children of a directory, sorted by name bytes. Costs one directory, not the whole tree. kNotFound where there
  // is no directory.
  virtual Result<std::vector<Entry>> List(std::string_view directory) const = 0;
  // A regular file; kInvalidArgument for anything else.
  virtual Result<std::unique_ptr<ImageFile>> Open(std::string_view path) const = 0;
  // What the backup should hold and does not; such tablespaces are not listed.
  [[nodiscard]] virtual Result<std::vector<MissingTablespace>> MissingTablespaces() const {
    return std::vector<MissingTablespace>{};
  }

  // All that the image is made of, in the same order each time: two images of one source whose parts are the same show
  // the same bytes. Costs a look at each file; none is read. From then on a file that is not as it is now is an error
  // of the read that needs it, if it was not watched before.
  virtual Status VisitParts(const PartVisitor& visit) const = 0;
  // Whether its parts are the files that it shows, by their paths.
  [[nodiscard]] virtual bool ShowsItsParts() const { return false; }
  // Bytes of the files that it shows, those of pg_wal aside, as far as nothing but their lists has to be read for it.
  [[nodiscard]] virtual Result<uint64_t> LogicalBytes() const;
  // For a process that was forked from the one that opened the image, and goes on with it: BeginReading before that one
  // ends, EndReading when it ends itself without destroying the image. What the source's format wants to know of its
  // readers is then told. Nothing is read after EndReading.
  virtual void BeginReading() const {}
  virtual void EndReading() const {}
  // What has to be decoded before it can be read at random: nothing, for most formats.
  [[nodiscard]] virtual FirstTouch CostOfFirstTouch() const { return {}; }
  // Decodes all of that which was not decoded yet, and finds it right.
  virtual Status DecodeAll(const DecodeProgress& /*progress*/) const { return {}; }
};

// The whole of a file, links followed; more than `limit` bytes is kUnsupported. For the small files that say what a
// backup is.
Result<std::string> ReadSmallFile(const Image& image, std::string_view path, uint64_t limit = 16ULL << 20);

// `path` with every link in it resolved, the last one too: what Stat, List and Open take (they follow none). The result
// need not exist. kInvalidArgument where links go round in a circle or leave the tree.
Result<std::string> FollowLinks(const Image& image, std::string_view path);

// Calls `visit(path, entry)` for everything below `directory`, parents before children, siblings in byte order.
template <typename Visitor>
Status Walk(const Image& image, std::string_view directory, Visitor&& visit);

}  // namespace pgstrata::image

#include "backup/image/image_inl.h"
