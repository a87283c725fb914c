#include "catalog/incremental/combined_image.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "backup/image/buffer_file.h"
#include "backup/image/page_checked_file.h"
#include "catalog/incremental/combined_file.h"
#include "foundation/base/text.h"

namespace pgstrata::incremental {
namespace {

using image::Entry;
using image::EntryKind;

// Where INCREMENTAL files can be: elsewhere a file of such a name is somebody's own.
bool HoldsIncrementals(std::string_view directory) {
  return directory == "global" || directory.starts_with("base/") || directory.starts_with("pg_tblspc/");
}

bool IsIncrementalName(std::string_view name) {
  return name.size() > kIncrementalPrefix.size() && name.starts_with(kIncrementalPrefix);
}

bool IsIncremental(const Entry& entry) { return entry.kind == EntryKind::kFile && IsIncrementalName(entry.name); }

}  // namespace

std::string CombinedLabel(std::string_view label) {
  std::string text;
  while (!label.empty()) {
    const std::string_view line = label.substr(0, std::min(label.find('\n'), label.size() - 1) + 1);
    label.remove_prefix(line.size());
    if (!line.starts_with("INCREMENTAL FROM LSN: ") && !line.starts_with("INCREMENTAL FROM TLI: ")) text += line;
  }
  return text;
}

CombinedImage::CombinedImage(std::vector<ChainBackup> chain, std::string label)
    : files_(std::make_shared<const ChainFiles>(std::move(chain))),
      newest_(files_->image(files_->newest())),
      label_(std::move(label)) {}

Result<std::unique_ptr<CombinedImage>> CombinedImage::Create(std::vector<ChainBackup> chain) {
  PGS_TRY(CheckChain(chain));
  PGS_ASSIGN(const std::string label, image::ReadSmallFile(*chain.back().image, pgdata::kBackupLabelPath));
  return std::unique_ptr<CombinedImage>(new CombinedImage(std::move(chain), CombinedLabel(label)));
}

// `entry` is of an INCREMENTAL file.
Entry CombinedImage::Combined(Entry entry, std::string_view directory) const {
  entry.name.erase(0, kIncrementalPrefix.size());
  const std::string path = JoinPath(directory, entry.name);
  const auto size = files_->Size(path);
  entry.size = size ? *size : files_->SupposedSize(path);
  return entry;
}

// `file` is of the manifest, and is missing.
Entry CombinedImage::LostEntry(std::string_view directory, const ManifestNames::File& file) const {
  Entry entry{.name = file.name, .kind = EntryKind::kFile, .mode = 0600, .size = file.size};
  if (const auto holder = newest_.Stat(directory)) {
    entry.uid = holder->uid;
    entry.gid = holder->gid;
    entry.modified = holder->modified;
  }
  if (!IsIncremental(entry)) return entry;
  entry.name.erase(0, kIncrementalPrefix.size());
  entry.size = files_->SupposedSize(JoinPath(directory, entry.name));
  return entry;
}

std::optional<Entry> CombinedImage::Lost(std::string_view path) const {
  const auto [directory, name] = SplitLast(path);
  if (!HoldsIncrementals(directory) || IsIncrementalName(name)) return std::nullopt;
  auto file = listed().Find(path);
  if (!file) file = listed().Find(IncrementalPath(path));
  if (!file || !newest_.Stat(directory)) return std::nullopt;
  return LostEntry(directory, *file);
}

Entry CombinedImage::Whole(Entry entry, std::string_view directory) const {
  if (entry.kind != EntryKind::kFile) return entry;
  const auto file = listed().Find(JoinPath(directory, entry.name));
  if (file) entry.size = std::max(entry.size, file->size);
  return entry;
}

Entry CombinedImage::WithoutIncrementalLines(Entry label) const {
  if (label.kind == EntryKind::kFile) label.size = label_.size();
  return label;
}

Result<Entry> CombinedImage::Stat(std::string_view path) const {
  const auto [directory, name] = SplitLast(path);
  if (HoldsIncrementals(directory)) {
    auto incremental = newest_.Stat(IncrementalPath(path));
    if (incremental && incremental->kind == EntryKind::kFile) return Combined(*std::move(incremental), directory);
    if (!incremental && incremental.error().code() != ErrorCode::kNotFound) return incremental;
  }
  auto entry = newest_.Stat(path);
  if (!entry) {
    if (entry.error().code() != ErrorCode::kNotFound) return entry;
    auto lost = Lost(path);
    return lost ? Result<Entry>(*std::move(lost)) : entry;
  }
  if (path == pgdata::kBackupLabelPath) return WithoutIncrementalLines(*std::move(entry));
  if (!HoldsIncrementals(directory)) return entry;
  if (!IsIncremental(*entry)) return Whole(*std::move(entry), directory);
  return Fail(ErrorCode::kNotFound, "there is no " + Quoted(path) + " in " + Quoted(this->name()));
}

Result<std::vector<Entry>> CombinedImage::List(std::string_view directory) const {
  PGS_ASSIGN(auto entries, newest_.List(directory));
  if (directory.empty()) {
    for (Entry& entry : entries) {
      if (entry.name == pgdata::kBackupLabelPath) entry = WithoutIncrementalLines(std::move(entry));
    }
  }
  if (!HoldsIncrementals(directory)) return entries;
  const size_t there = entries.size();
  for (const auto& file : listed().In(directory)) {
    if (std::ranges::binary_search(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(there), file.name, {},
                                   &Entry::name)) {
      continue;
    }
    entries.push_back(LostEntry(directory, file));
  }
  // One that is there twice is shown as the INCREMENTAL one, and its Open says so.
  std::unordered_set<std::string> combined;
  for (const Entry& entry : entries) {
    if (IsIncremental(entry)) combined.insert(entry.name.substr(kIncrementalPrefix.size()));
  }
  std::erase_if(entries, [&](const Entry& entry) { return combined.contains(entry.name); });
  for (Entry& entry : entries) {
    entry = IsIncremental(entry) ? Combined(std::move(entry), directory) : Whole(std::move(entry), directory);
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

bool CombinedImage::IsCombined(std::string_view path) const {
  if (!HoldsIncrementals(SplitLast(path).first)) return false;
  const auto entry = newest_.Stat(IncrementalPath(path));
  return entry && entry->kind == EntryKind::kFile;
}

image::FirstTouch CombinedImage::CostOfFirstTouch() const {
  image::FirstTouch cost;
  for (const auto& backup : files_->chain()) cost.Add(backup.image->CostOfFirstTouch());
  return cost;
}

Result<std::unique_ptr<image::ImageFile>> CombinedImage::Open(std::string_view path) const {
  if (IsCombined(path)) {
    if (newest_.Stat(path)) {
      return Fail(ErrorCode::kCorrupt, "the backup " + Quoted(name()) + " holds " + Quoted(path) +
                                           " twice: whole, and as an INCREMENTAL file");
    }
    return OpenCombinedFile(files_, std::string(path));
  }
  if (path == pgdata::kBackupLabelPath) {
    const auto bytes = AsBytes(label_);
    return image::MakeBufferFile({bytes.begin(), bytes.end()});
  }
  if (HoldsIncrementals(SplitLast(path).first) && IsIncrementalName(SplitLast(path).second)) {
    PGS_TRY(Stat(path));  // hidden, or a directory
  }
  return OpenPlain(path);
}

Status CombinedImage::VisitParts(const image::PartVisitor& visit) const {
  std::string name;
  for (uint16_t backup = 0; backup <= files_->newest(); ++backup) {
    PGS_TRY(files_->image(backup).VisitParts([&](const image::SourcePart& part) {
      name = JoinPath(std::to_string(backup), part.name);
      return visit({.name = name, .file = part.file, .fact = part.fact});
    }));
  }
  return {};
}

Result<std::unique_ptr<image::ImageFile>> CombinedImage::OpenPlain(std::string_view path) const {
  auto file = newest_.Open(path);
  if (!file && file.error().code() == ErrorCode::kNotFound && Lost(path)) {
    return Fail(Error(ErrorCode::kCorrupt,
                      "the backup " + Quoted(name()) + " lacks " + Quoted(path) + ", which its manifest lists")
                    .WithHint("bring it back from another copy of the backup"));
  }
  if (!file || !HoldsIncrementals(SplitLast(path).first)) return file;
  const auto& facts = files_->chain().back().facts;
  if (const auto first_in_fork = image::FirstBlockToRefuseOf(path); first_in_fork && facts.data_checksums) {
    const image::PageOrigin newest{.backup = name(), .rules = facts.page_rules()};
    *file = image::MakePageCheckedFile(*std::move(file), std::string(path), *first_in_fork,
                                       [newest](uint32_t) { return newest; });
  }
  const auto listed_file = listed().Find(path);
  if (!listed_file || listed_file->size <= (*file)->size()) return file;
  const uint64_t there = (*file)->size();
  return MakeCutFile(*std::move(file), listed_file->size,
                     CutShort(newest_, std::string(path), there, listed_file->size));
}

}  // namespace pgstrata::incremental
