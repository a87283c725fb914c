#include "catalog/incremental/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "foundation/base/text.h"
#include "postgres/pgdata/backup_manifest.h"
#include "postgres/pgdata/control_file.h"

namespace pgstrata::incremental {
namespace {

constexpr const char* kOrderHint =
    "name the backups that it stands on with --chain, the oldest first: the full one, then each incremental one";

Error InBackup(Error error, const image::Image& image) { return std::move(error).Wrap(Quoted(image.name())); }

// A manifest of a hundred thousand files is not parsed for its second line.
Result<std::optional<uint64_t>> SystemIdentifierIn(const image::ImageFile& manifest) {
  constexpr uint64_t kHead = 512;
  constexpr std::string_view kKey = "\"System-Identifier\":";
  std::string head(std::min(kHead, manifest.size()), '\0');
  PGS_TRY(manifest.ReadAt(0, std::as_writable_bytes(std::span(head))));
  const size_t key = head.find(kKey);
  if (key == std::string::npos) return std::nullopt;  // version 1
  const std::string_view value = TrimWhitespace(std::string_view(head).substr(key + kKey.size()));
  return ParseDecimal(value.substr(0, value.find_first_not_of("0123456789")));
}

Result<std::optional<uint64_t>> ManifestSystemIdentifier(const image::Image& image) {
  const auto file = image.Open(pgdata::kBackupManifestPath);
  if (!file && file.error().code() == ErrorCode::kNotFound) return std::nullopt;
  if (!file) return Fail(file.error());
  return SystemIdentifierIn(**file);
}

std::unexpected<Error> NotAChain(std::string problem) {
  return Fail(Error(ErrorCode::kInvalidArgument, std::move(problem)).WithHint(kOrderHint));
}

std::string Position(Lsn lsn, TimelineId timeline) {
  return fmt::format("{} of timeline {}", lsn.ToString(), timeline.value);
}

Status CheckLink(const ChainBackup& older, const ChainBackup& newer) {
  const std::string name = Quoted(newer.image->name());
  if (newer.facts.system_identifier != older.facts.system_identifier) {
    return NotAChain(fmt::format("{} is of another cluster (system identifier {}) than {} ({})", name,
                                 newer.facts.system_identifier, Quoted(older.image->name()),
                                 older.facts.system_identifier));
  }
  const auto& base = newer.facts.label.incremental_base;
  if (!base) return NotAChain(name + " is a full backup, and a chain begins with its only one");
  if (older.facts.Carries(newer.facts)) return {};
  return NotAChain(fmt::format("{} was taken against a backup that starts at {}; {} starts at {}", name,
                               Position(base->lsn, base->timeline), Quoted(older.image->name()),
                               Position(older.facts.label.start, older.facts.label.start_timeline)));
}

}  // namespace

bool BackupFacts::Carries(const BackupFacts& incremental) const {
  const auto& base = incremental.label.incremental_base;
  const bool is_known = system_identifier != 0 && incremental.system_identifier != 0;
  return base && base->lsn == label.start && base->timeline == label.start_timeline &&
         (!is_known || system_identifier == incremental.system_identifier);
}

Result<BackupFacts> ReadFacts(const image::Image& image) {
  BackupFacts facts;
  const auto text = image::ReadSmallFile(image, pgdata::kBackupLabelPath);
  if (!text && text.error().code() == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kInvalidArgument, Quoted(image.name()) + " has no backup_label: it is not a base backup");
  }
  if (!text) return Fail(InBackup(text.error(), image));
  auto label = pgdata::ParseBackupLabel(*text);
  if (!label) return Fail(InBackup(std::move(label).error(), image));
  facts.label = *std::move(label);

  const auto bytes = image::ReadSmallFile(image, pgdata::kControlFilePath);
  if (!bytes) return Fail(InBackup(bytes.error(), image));
  const auto control = pgdata::ParseControlFile(AsBytes(*bytes));
  if (!control) return Fail(InBackup(control.error(), image));
  facts.system_identifier = control->system_identifier;
  facts.data_checksums = control->data_checksums();
  PGS_ASSIGN(facts.major_version, control->MajorVersion());

  const auto in_manifest = ManifestSystemIdentifier(image);
  if (!in_manifest) return Fail(InBackup(in_manifest.error(), image));
  if (*in_manifest && **in_manifest != facts.system_identifier) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("{}: its backup_manifest is of another cluster (system identifier {}, in pg_control {})",
                            Quoted(image.name()), **in_manifest, facts.system_identifier));
  }
  return facts;
}

Result<BackupFacts> FactsOf(std::string_view label, const image::ImageFile* manifest) {
  BackupFacts facts;
  PGS_ASSIGN(facts.label, pgdata::ParseBackupLabel(label));
  if (manifest == nullptr) return facts;
  PGS_ASSIGN(const auto identifier, SystemIdentifierIn(*manifest));
  facts.system_identifier = identifier.value_or(0);
  return facts;
}

Status CheckChain(const std::vector<ChainBackup>& chain) {
  constexpr size_t kLongest = 10'000;
  if (chain.empty() || chain.size() > kLongest) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("a chain of {} backups", chain.size()));
  }
  if (!chain.front().facts.is_full()) {
    return NotAChain(Quoted(chain.front().image->name()) +
                     " is an incremental backup: the chain that it belongs to begins with a full one");
  }
  for (size_t i = 1; i < chain.size(); ++i) PGS_TRY(CheckLink(chain[i - 1], chain[i]));
  return {};
}

}  // namespace pgstrata::incremental
