#include "app/job/verify_source.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "backup/image/page_check.h"
#include "backup/source/pgbackrest_source.h"
#include "backup/source/probackup_source.h"
#include "backup/source/recognise.h"
#include "backup/source/source_name.h"
#include "catalog/incremental/combined_image.h"
#include "catalog/incremental/verify.h"
#include "catalog/pgbackrest/verify.h"
#include "catalog/probackup/chain.h"
#include "catalog/probackup/verify.h"
#include "foundation/base/text.h"
#include "postgres/pgdata/control_file.h"

namespace pgstrata::job {
namespace {

using branch::ClusterFacts;
using branch::ClusterKind;
using image::Damage;
using image::Findings;
using source::SourceRequest;

class Verification {
 public:
  Verification(const SourceRequest& request, const image::VerifyOptions& options,
               const std::function<void(const Damage&)>& report)
      : request_(request), options_(options), findings_([this, &report](const Damage& damage) {
          told_.emplace(damage.backup, damage.path);
          report(damage);
        }) {}

  Result<VerifiedSource> Run() {
    PGS_ASSIGN(auto name, source::ParseSourceName(request_.source));
    if (name.kind == source::SourceKind::kDirectory) name.kind = source::Recognise(name.rest);
    switch (name.kind) {
      case source::SourceKind::kPgProbackup:
        PGS_TRY(VerifyProbackup(name.rest));
        break;
      case source::SourceKind::kPgbackrest:
        PGS_TRY(VerifyPgbackrest(name.rest));
        break;
      default:
        PGS_TRY(VerifyBaseBackup());
    }
    result_.verified.damages = findings_.damages();
    return std::move(result_);
  }

 private:
  [[nodiscard]] auto Report() {
    return [this](const Damage& damage) { findings_.Add(damage); };
  }

  Status VerifyProbackup(const std::string& rest) {
    PGS_ASSIGN(const auto place, source::FindProbackup(rest, request_));
    result_.source = place.directory;
    SourceRequest request = request_;
    auto verified = probackup::VerifyChain(place.directory, request.force, options_, Report());
    if (!verified && verified.error().code() == ErrorCode::kCorrupt && !request.force) {
      result_.notes.push_back(verified.error().message());
      request.force = true;  // what its catalog says of it is no reason not to look
      verified = probackup::VerifyChain(place.directory, true, options_, Report());
    }
    if (!verified) return Fail(std::move(verified).error());
    result_.verified += *verified;
    const auto chain = probackup::FindChain(place.directory, true);
    if (!chain) return Fail(chain.error());
    for (const auto& backup : *chain) result_.backups.insert(result_.backups.begin(), backup->control().id);
    return VerifyRest(request, result_.backups.back());
  }

  Status VerifyPgbackrest(const std::string& rest) {
    PGS_ASSIGN(const auto found, source::FindPgbackrest(rest, request_));
    const auto tell = [&](const Error& error) {
      findings_.Add({.backup = found.label, .path = {}, .block = {}, .problem = error.message()});
    };
    const auto image = found.repository->OpenBackup(found.label, nullptr);
    if (!image && image.error().code() == ErrorCode::kNotFound) return Fail(image.error());
    result_.source = JoinPath(found.repository->root(), "backup/" + found.repository->stanza() + '/' + found.label);
    result_.backups = {found.label};
    std::ranges::for_each(found.repository->CheckLists(found.label), tell);
    if (!image) {
      if (image.error().code() != ErrorCode::kCorrupt) return Fail(image.error());
      if (findings_.damages() == 0) tell(image.error());
      return {};
    }
    result_.backups = (*image)->manifest().labels;
    std::ranges::sort(result_.backups);
    const auto rules = RulesOf(branch::InspectCluster(**image), Lsn::Parse((*image)->manifest().stop_lsn));
    result_.verified += pgbackrest::VerifyBackup(**image, rules, options_, Report());
    return VerifyRest(request_, found.label);
  }

  Status VerifyBaseBackup() {
    PGS_ASSIGN(const auto resolved, source::Resolve(request_));
    result_.source = resolved.path;
    if (const auto* chain = dynamic_cast<const incremental::CombinedImage*>(resolved.image.get())) {
      PGS_TRY(VerifyIncremental(*chain));
    } else {
      const image::Image& backup = *resolved.image;
      result_.backups = {backup.name()};
      const auto facts = branch::InspectCluster(backup);
      const auto plan = facts ? branch::PlanRecovery(backup, *facts, resolved.wal_archives)
                              : Result<branch::RecoveryPlan>(Fail(facts.error()));
      const auto rules = RulesOf(facts, plan ? plan->consistent_at : std::nullopt);
      if (!backup.Stat("backup_manifest")) {
        result_.notes.emplace_back("it has no backup_manifest: only pages and WAL have checksums");
      }
      PGS_ASSIGN(const auto verified, incremental::VerifyBackup(backup, rules, options_, Report()));
      result_.verified += verified;
    }
    LookForTablespaces(*resolved.image);
    LookAtRecovery(resolved, resolved.image->name());
    return {};
  }

  Status VerifyIncremental(const incremental::CombinedImage& chain) {
    for (const auto& backup : chain.files().chain()) {
      result_.backups.push_back(backup.image->name());
      PGS_ASSIGN(const auto verified,
                 incremental::VerifyBackup(*backup.image, backup.facts.page_rules(), options_, Report()));
      result_.verified += verified;
    }
    // What is not told of the files themselves.
    PGS_TRY(incremental::VerifyChain(chain, [this](const Damage& damage) {
      const std::string incremental = incremental::IncrementalPath(damage.path);
      const bool is_told = std::ranges::any_of(result_.backups, [&](const std::string& backup) {
        return told_.contains({backup, damage.path}) || told_.contains({backup, incremental});
      });
      if (!is_told) findings_.Add(damage);
    }));
    return {};
  }

  // What cannot be known of a cluster whose pg_control is damaged is not held against its pages.
  image::PageRules RulesOf(const Result<ClusterFacts>& facts, std::optional<Lsn> end) {
    if (!facts) return {.checksums = false, .torn_from = Lsn{}, .torn_until = {}};
    result_.data_checksums = facts->control.data_checksums();
    image::PageRules rules{.checksums = facts->control.data_checksums(), .torn_from = {}, .torn_until = {}};
    if (facts->kind == ClusterKind::kStopped) return rules;
    rules.torn_from = facts->label ? facts->label->start : facts->redo;
    if (facts->kind == ClusterKind::kOnlineBackup) rules.torn_until = end;
    return rules;
  }

  // Of a backup in a catalog: what only the source as a whole shows. Where a list is damaged it cannot be opened, which
  // is told.
  Status VerifyRest(const SourceRequest& request, const std::string& backup) {
    const auto resolved = source::Resolve(request);
    if (!resolved) {
      if (findings_.damages() == 0) return Fail(resolved.error());
      result_.notes.push_back("its WAL was not looked at: " + resolved.error().message());
      return {};
    }
    LookForTablespaces(*resolved->image);
    LookAtRecovery(*resolved, backup);
    return {};
  }

  void LookForTablespaces(const image::Image& image) {
    const auto missing = image.MissingTablespaces();
    if (!missing) return result_.notes.push_back(missing.error().message());
    for (const auto& tablespace : *missing) {
      findings_.Add({.backup = image.name(),
                     .path = "pg_tblspc/" + tablespace.oid,
                     .block = {},
                     .problem = "the tablespace " + Quoted(tablespace.location) + " is missing"});
    }
  }

  void LookAtRecovery(const source::ResolvedSource& resolved, const std::string& backup) {
    const auto facts = branch::InspectCluster(*resolved.image);
    if (!facts) return NotACluster(*resolved.image, backup, facts.error());
    result_.data_checksums = facts->control.data_checksums();
    if (!*result_.data_checksums) {
      result_.notes.emplace_back("the cluster has no data checksums: of pages only the headers are looked at");
    }
    const auto plan = branch::PlanRecovery(*resolved.image, *facts, resolved.wal_archives);
    if (!plan) return NotACluster(*resolved.image, backup, plan.error());
    result_.wal = VerifyWal(*resolved.image, *facts, *plan, resolved.wal_archives,
                            [&](const std::string& path, const std::string& problem) {
                              if (told_.contains({backup, path})) return;  // as a file of the backup
                              findings_.Add({.backup = backup, .path = path, .block = {}, .problem = problem});
                            });
  }

  void NotACluster(const image::Image& image, const std::string& backup, const Error& error) {
    result_.notes.push_back("its WAL was not looked at: " + error.message());
    if (findings_.damages() == 0) {
      const bool external = !image.Stat("PG_VERSION");  // an external directory is no cluster
      if (!external) findings_.Add({.backup = backup, .path = {}, .block = {}, .problem = error.message()});
    }
  }

  const SourceRequest& request_;
  const image::VerifyOptions options_;
  Findings findings_;
  std::set<std::pair<std::string, std::string>> told_;  // backup and path
  VerifiedSource result_;
};

}  // namespace

Result<VerifiedSource> VerifySource(const SourceRequest& request, const image::VerifyOptions& options,
                                    const std::function<void(const Damage&)>& report) {
  return Verification(request, options, report).Run();
}

}  // namespace pgstrata::job
