#include "catalog/incremental/chain_files.h"

#include <algorithm>
#include <utility>

#include "foundation/base/text.h"
#include "postgres/pgdata/page.h"

namespace pgstrata::incremental {
namespace {

constexpr size_t kOpenFiles = 64;
constexpr size_t kMapBytes = 64 << 20;
constexpr size_t kSizes = 100'000;

// Says which backup an error comes from.
Error From(Error error, const image::Image& image, const std::string& path) {
  return std::move(error).Wrap(Quoted(path) + " of the backup " + Quoted(image.name()));
}

}  // namespace

Error CutShort(const image::Image& backup, const std::string& path, uint64_t size, uint64_t listed_size) {
  return Error(ErrorCode::kCorrupt, Quoted(path) + " of the backup " + Quoted(backup.name()) +
                                        " is cut short: it has " + std::to_string(size) +
                                        " bytes, and its manifest lists " + std::to_string(listed_size))
      .WithHint("bring it back from another copy of the backup");
}

namespace {

bool IsAbsent(const Error& error) { return error.code() == ErrorCode::kNotFound; }

}  // namespace

std::string IncrementalPath(std::string_view path) {
  const auto [directory, name] = SplitLast(path);
  return JoinPath(directory, std::string(kIncrementalPrefix).append(name));
}

ChainFiles::ChainFiles(std::vector<ChainBackup> chain)
    : chain_(std::move(chain)), files_(kOpenFiles), maps_(kMapBytes), sizes_(kSizes) {
  for (const auto& backup : chain_) listed_.push_back(std::make_unique<const ManifestNames>(*backup.image));
}

Result<std::shared_ptr<const image::ImageFile>> ChainFiles::Open(uint16_t backup, const std::string& path) const {
  const image::Image& from = image(backup);
  return files_.Get(std::to_string(backup) + '/' + path, [&]() -> Result<std::unique_ptr<image::ImageFile>> {
    auto file = from.Open(path);
    if (file || file.error().code() != ErrorCode::kInvalidArgument) return file;
    PGS_ASSIGN(const std::string followed, image::FollowLinks(from, path));
    return from.Open(followed);
  });
}

Result<std::shared_ptr<const BlockMap>> ChainFiles::Map(const std::string& path) const {
  return maps_.Get(path, [&] { return MakeMap(path); }, [&](const BlockMap& map) { return map.Bytes() + path.size(); });
}

Result<BlockMap> ChainFiles::MakeMap(const std::string& path) const {
  const std::string own = IncrementalPath(path);
  const auto file = Open(newest(), own);
  if (!file) return Fail(From(file.error(), image(newest()), own));
  const auto header = ReadIncrementalHeader(**file);
  if (!header) return Fail(From(header.error(), image(newest()), own));
  BlockMapBuilder builder(*header, newest());
  if (const auto added = AddOlder(path, builder); !added) builder.EndLost(added.error());
  return std::move(builder).Build();
}

// An error says what keeps blocks that are still wanted from being found.
Status ChainFiles::AddOlder(const std::string& path, BlockMapBuilder& builder) const {
  for (uint16_t backup = newest(); builder.WantsOlder() && backup-- > 0;) {
    const auto full = Open(backup, path);
    if (full) {
      builder.EndWithFull(backup, (*full)->size());
      return builder.ReachesBehindFull() ? CheckLength(backup, path, (*full)->size()) : Status();
    }
    if (!IsAbsent(full.error())) return Fail(From(full.error(), image(backup), path));
    const std::string incremental = IncrementalPath(path);
    const auto file = Open(backup, incremental);
    if (!file && IsAbsent(file.error())) {
      return Fail(Error(ErrorCode::kCorrupt, "the backup " + Quoted(image(backup).name()) + " lacks " + Quoted(path))
                      .WithHint("it was there when the next backup was taken; bring it back from another copy"));
    }
    if (!file) return Fail(From(file.error(), image(backup), incremental));
    const auto header = ReadIncrementalHeader(**file);
    if (!header) return Fail(From(header.error(), image(backup), incremental));
    builder.AddIncremental(*header, backup);
  }
  if (!builder.WantsOlder()) return {};
  return Fail(ErrorCode::kCorrupt, Quoted(path) + " is whole in none of the backups of the chain");
}

Status ChainFiles::CheckLength(uint16_t backup, const std::string& path, uint64_t size) const {
  const auto file = listed(backup).Find(path);
  if (!file || file->size <= size) return {};
  return Fail(CutShort(image(backup), path, size, file->size));
}

Result<uint64_t> ChainFiles::Size(const std::string& path) const {
  if (const auto known = sizes_.Find(path)) return *known;
  const std::string own = IncrementalPath(path);
  const auto file = Open(newest(), own);
  if (!file) return Fail(From(file.error(), image(newest()), own));
  const auto blocks = ReadBlockLength(**file);
  if (!blocks) return Fail(From(blocks.error(), image(newest()), own));
  return *sizes_.Put(path, std::make_shared<const uint64_t>(uint64_t{*blocks} * pgdata::kPageSize));
}

uint64_t ChainFiles::SupposedSize(const std::string& path) const {
  const auto at_least_a_page = [](uint64_t size) { return std::max<uint64_t>(size, pgdata::kPageSize); };
  for (uint16_t backup = newest(); backup-- > 0;) {
    if (const auto full = Open(backup, path)) return at_least_a_page((*full)->size());
    const auto file = Open(backup, IncrementalPath(path));
    if (!file) continue;
    if (const auto blocks = ReadBlockLength(**file)) return at_least_a_page(uint64_t{*blocks} * pgdata::kPageSize);
  }
  return pgdata::kPageSize;
}

}  // namespace pgstrata::incremental
