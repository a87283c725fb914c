// An incremental backup together with those it stands on, as the one backup that pg_combinebackup would write of them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backup/image/image.h"
#include "catalog/incremental/chain_files.h"

namespace pgstrata::incremental {

// What is shown is the newest backup, where
//   - INCREMENTAL.NAME below base/*, global and pg_tblspc/OID is NAME, its other blocks from the older backups;
//   - backup_label has no INCREMENTAL lines;
//   - backup_manifest is the newest one's: it lists what that backup holds, and not what is shown.
// Opening costs a few files a backup; listing a directory reads the head of each INCREMENTAL file in it; the first Open
// of a file reads its headers. What a damaged or lost file of an older backup held fails when it is read, and nothing
// else does: kCorrupt, naming backup, file and block. An INCREMENTAL file of the newest that is damaged in its header
// is listed with a supposed size and cannot be opened; so is a relation file that its manifest names and that is
// missing.
class CombinedImage final : public image::Image {
 public:
  // `chain`: the oldest first. Errors of CheckChain.
  static Result<std::unique_ptr<CombinedImage>> Create(std::vector<ChainBackup> chain);

  // The newest backup's.
  [[nodiscard]] const std::string& name() const override { return newest_.name(); }
  Result<image::Entry> Stat(std::string_view path) const override;
  Result<std::vector<image::Entry>> List(std::string_view directory) const override;
  Result<std::unique_ptr<image::ImageFile>> Open(std::string_view path) const override;
  [[nodiscard]] Result<std::vector<image::MissingTablespace>> MissingTablespaces() const override {
    return newest_.MissingTablespaces();
  }
  // Those of its backups, below their numbers: 0 is the oldest.
  Status VisitParts(const image::PartVisitor& visit) const override;
  [[nodiscard]] image::FirstTouch CostOfFirstTouch() const override;

  [[nodiscard]] const ChainFiles& files() const { return *files_; }
  // Whether the file at `path` is put together from several backups.
  [[nodiscard]] bool IsCombined(std::string_view path) const;

 private:
  CombinedImage(std::vector<ChainBackup> chain, std::string label);
  [[nodiscard]] image::Entry Combined(image::Entry entry, std::string_view directory) const;
  // What the newest backup should hold at `path` and does not; nothing where it should not, or its directory is
  // missing.
  [[nodiscard]] std::optional<image::Entry> Lost(std::string_view path) const;
  [[nodiscard]] image::Entry LostEntry(std::string_view directory, const ManifestNames::File& file) const;
  // A plain relation file, with the length that it should have.
  [[nodiscard]] image::Entry Whole(image::Entry entry, std::string_view directory) const;
  Result<std::unique_ptr<image::ImageFile>> OpenPlain(std::string_view path) const;
  [[nodiscard]] const ManifestNames& listed() const { return files_->listed(files_->newest()); }
  [[nodiscard]] image::Entry WithoutIncrementalLines(image::Entry label) const;

  // Constant; shared with the files that were opened.
  const std::shared_ptr<const ChainFiles> files_;
  const image::Image& newest_;
  const std::string label_;  // as pg_combinebackup writes it
};

// The text without the lines that make a server refuse an incremental backup.
std::string CombinedLabel(std::string_view label);

}  // namespace pgstrata::incremental
