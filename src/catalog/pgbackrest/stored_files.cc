#include "catalog/pgbackrest/stored_files.h"

#include <algorithm>
#include <utility>

#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::pgbackrest {
namespace {

class RangeSource final : public codec::ByteSource {
 public:
  RangeSource(const StoredFiles& files, StoredRange range) : files_(files), range_(std::move(range)) {}

  Result<size_t> Read(MutableBytes out) override {
    const size_t count = std::min<uint64_t>(out.size(), range_.size);
    if (count == 0) return 0;
    PGS_TRY(files_.Read(range_.path, range_.offset, out.first(count)));
    range_.offset += count;
    range_.size -= count;
    return count;
  }

 private:
  const StoredFiles& files_;
  StoredRange range_;
};

Error Lost(const std::string& path) {
  return Error(ErrorCode::kCorrupt, Quoted(path) + " of the repository is missing")
      .WithHint("the repository lost it, or pgbackrest expire removed the backup while it was open");
}

}  // namespace

Result<std::unique_ptr<image::NativeFile>> StoredFiles::OpenAnew(const std::string& path) const {
  // With repo-hardlink the next backup links to the files of this one.
  auto file = image::OpenNativeFile(JoinPath(root_, path), image::NewLinks::kAreNone);
  if (!file) {
    if (file.error().code() == ErrorCode::kNotFound) return Fail(Lost(path));
    if (file.error().code() != ErrorCode::kPermission) return file;
    return Fail(std::move(file).error().WithHint("run pgstrata as a user who may read the repository"));
  }
  const uint64_t digest = (*file)->fingerprint().Digest();
  const std::lock_guard lock(mutex_);
  if (seen_.try_emplace(path, digest).first->second == digest) return file;
  return Fail(Error(ErrorCode::kCorrupt, Quoted(path) + " of the repository changed while it was open")
                  .WithHint("a backup must stay as it is while it is open; find out what writes to it"));
}

Result<std::shared_ptr<const image::NativeFile>> StoredFiles::Open(const std::string& path) const {
  return open_.Get(path, [&] { return OpenAnew(path); });
}

Status StoredFiles::Read(const std::string& path, uint64_t offset, MutableBytes out) const {
  PGS_ASSIGN(const auto file, Open(path));
  if (offset <= file->size() && file->size() - offset >= out.size()) return file->ReadAt(offset, out);
  return Fail(ErrorCode::kCorrupt, Quoted(path) + " of the repository is " + std::to_string(file->size()) +
                                       " bytes long: what is wanted ends at byte " +
                                       std::to_string(offset + out.size()));
}

Result<std::vector<std::byte>> StoredFiles::ReadRange(const StoredRange& range) const {
  PGS_ASSIGN(const uint64_t size, SizeOf(range.path));
  if (range.offset > size || size - range.offset < range.size) {  // before memory is taken for it
    return Fail(ErrorCode::kCorrupt,
                Quoted(range.path) + " of the repository is cut short: it is " + std::to_string(size) + " bytes long");
  }
  std::vector<std::byte> bytes(range.size);
  PGS_TRY(Read(range.path, range.offset, bytes));
  return bytes;
}

Status StoredFiles::VisitParts(const std::string& directory, const image::PartVisitor& visit) const {
  const size_t above = directory.size() - SplitLast(directory).second.size();
  const auto listed = io::ListDirectoryWithStatus(JoinPath(root_, directory));
  if (!listed && listed.error().code() == ErrorCode::kNotFound) {
    return visit({.name = std::string_view(directory).substr(above), .fact = image::kPartIsMissing});
  }
  PGS_TRY(listed);
  std::vector<std::string> left;
  const auto look = [&](const std::string& holder, const std::vector<io::NamedStatus>& entries) -> Status {
    for (const auto& [name, status] : entries) {
      std::string path = JoinPath(holder, name);
      if (S_ISDIR(status.st_mode)) left.push_back(std::move(path));
      if (!S_ISREG(status.st_mode)) continue;
      const auto file = image::Fingerprint::WithoutLinks(status);
      {
        const std::lock_guard lock(mutex_);
        seen_.try_emplace(path, file.Digest());
      }
      PGS_TRY(visit({.name = std::string_view(path).substr(above), .file = &file}));
    }
    return {};
  };
  PGS_TRY(look(directory, *listed));
  while (!left.empty()) {
    const std::string holder = std::move(left.back());
    left.pop_back();
    PGS_ASSIGN(const auto entries, io::ListDirectoryWithStatus(JoinPath(root_, holder)));
    PGS_TRY(look(holder, entries));
  }
  return {};
}

std::unique_ptr<codec::ByteSource> StoredFiles::Source(StoredRange range) const {
  return std::make_unique<RangeSource>(*this, std::move(range));
}

Result<uint64_t> StoredFiles::SizeOf(const std::string& path) const {
  PGS_ASSIGN(const auto file, Open(path));
  return file->size();
}

}  // namespace pgstrata::pgbackrest
