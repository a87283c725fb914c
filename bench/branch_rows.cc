#include "bench/branch_rows.h"

#include <fmt/core.h>

#include <filesystem>

#include "bench/conditions.h"
#include "bench/workload.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"

namespace pgstrata::bench {
namespace {

constexpr double kCreateMostMs = 20;
constexpr double kFirstRowMostMs = 100;
constexpr int kRowsPerScale = 100'000;

Verdict CompareSeries(std::string what, const Series& series, double most_ms) {
  return CompareTime(std::move(what), series.WallMs(), Show(series), most_ms);
}

Verdict CompareSpace(std::string what, double own, double changed, double most) {
  return {.what = std::move(what),
          .ours = fmt::format("{:.1f} MiB", own / kMiB),
          .other = fmt::format("{:.1f} MiB of pages changed", changed / kMiB),
          .result = fmt::format("{:.3f} times", own / changed),
          .target = fmt::format("<= {} times", most),
          .passed = own <= changed * most};
}

}  // namespace

Verdict CompareTime(std::string what, double ms, std::string shown, double most_ms) {
  return {.what = std::move(what),
          .ours = std::move(shown),
          .other = "",
          .result = fmt::format("{:.1f} ms", ms),
          .target = fmt::format("<= {:.0f} ms", most_ms),
          .passed = ms <= most_ms};
}

BranchPair::BranchPair(BranchHome home_, std::string name_, std::string copy_)
    : home(std::move(home_)), name(std::move(name_)), copy(std::move(copy_)) {}

BranchPair::~BranchPair() {
  native.reset();
  try {
    home.Drop(name);
  } catch (const std::exception& error) {
    Report::Progress(error.what());
  }
  static_cast<void>(io::RemoveTree(copy));
}

BranchBench::BranchBench(BranchOptions options, Report& report)
    : options_(std::move(options)), report_(report), own_{options_.program, work_.Path("home"), std::nullopt} {
  Must(io::MakeDirectories(own_.home, 0711));
  if (const auto user = test::PostgresUser()) {
    users_ = BranchHome{options_.program, work_.MakeDirectory("user"), user};
  }
  for (const auto& line : Conditions(work_.path())) report_.AddCondition(line);
}

const std::string& BranchBench::Accounts() {
  if (!accounts_.empty()) return accounts_;
  const std::string place = options_.data_directory.empty() ? work_.path() : options_.data_directory;
  accounts_ = fmt::format("{}/accounts-{}", place, options_.scale);
  if (!io::Exists(accounts_)) {
    Report::Progress(fmt::format("making pgbench's tables, scale {}", options_.scale));
    Must(io::MakeDirectories(place, 0755));
    MakeAccounts(accounts_ + ".new", options_.scale);
    std::filesystem::rename(accounts_ + ".new", accounts_);
  }
  report_.AddCondition(fmt::format("source: pgbench -s {}, directory of {:.2f} GB; {} rounds of {} s, 4 clients",
                                   options_.scale, static_cast<double>(ContentBytes(accounts_)) / 1e9, options_.rounds,
                                   options_.seconds));
  return accounts_;
}

const std::string& BranchBench::Segments(int count) {
  std::string& path = segments_[count];
  if (path.empty()) {
    path = work_.Path("segments" + std::to_string(count));
    MakeCleanDirectory(path);
    AddSparseSegments(path, count);
  }
  return path;
}

std::unique_ptr<BranchPair> BranchBench::StartPair(const BranchHome& home, const std::vector<std::string>& parameters,
                                                   const std::vector<std::string>& create_arguments,
                                                   const std::string& source) {
  const std::string suffix = std::to_string(++count_);
  auto pair = std::make_unique<BranchPair>(home, "bench" + suffix, work_.Path("copy" + suffix));
  test::CopyTree(Accounts(), pair->copy);
  pair->branch = home.Start(pair->name, source.empty() ? Accounts() : source, parameters, create_arguments);
  pair->native = std::make_unique<NativeServer>(pair->branch, pair->copy, work_.MakeDirectory("native" + suffix));
  Prewarm(pair->branch);
  Prewarm(pair->native->endpoint());
  return pair;
}

void BranchBench::Compare(const std::string& what, const Endpoint& ours, const Endpoint& other, const Load& load,
                          double least) {
  Report::Progress(what);
  report_.Add(CompareRates(what, AlternateLoad(options_.rounds, ours, other, load), least));
}

void BranchBench::Writes() {
  const Load mixture{.seconds = options_.seconds};
  {
    const auto durable = StartPair(own_, kLargeBuffers);
    const Endpoint ext4 = durable->native->endpoint();
    Compare("TPC-B-like, kept branch, as root", durable->branch, ext4, mixture, 0.98);
    Compare("pgbench -N, as root", durable->branch, ext4, {.arguments = {"-N"}, .seconds = options_.seconds}, 1.0);
    Compare("pgbench -C, as root", durable->branch, ext4, {.arguments = {"-C"}, .seconds = options_.seconds}, 0.9);
  }
  if (users_) {
    const auto pair = StartPair(*users_, kLargeBuffers);
    Compare("TPC-B-like, kept branch, without root", pair->branch, pair->native->endpoint(), mixture, 0.95);
  }
  const auto ephemeral = StartPair(own_, kLargeBuffers, {"--ephemeral"});
  const Endpoint ext4 = ephemeral->native->endpoint();
  // The copy of its configuration says fsync=off too: the other side has to be durable.
  Configure(ext4, {"fsync = on", "synchronous_commit = on"});
  Compare("TPC-B-like, --ephemeral branch", ephemeral->branch, ext4, mixture, 1.4);
}

Sample BranchBench::TimeOf(const std::vector<std::string>& arguments) const { return own_.Run(arguments).whole; }

void BranchBench::LifeCycle() {
  Series of_directory;
  Series of_terabyte;
  Series of_branch;
  Series first_row;
  Series drop;
  Report::Progress("create, start, drop");
  for (int round = 0; round <= options_.rounds; ++round) {
    Series discarded;
    const auto keep = [&](Series& series) -> Series& { return round > 0 ? series : discarded; };
    keep(of_directory).Add(TimeOf({"create", "one", "--from", Accounts()}));
    keep(of_terabyte).Add(TimeOf({"create", "large", "--from", Segments(kTerabyte)}));
    Sample whole = TimeOf({"create", "two", "--from", Accounts()});
    const Sample started = TimeOf({"start", "two"});
    const ProgramRun asked = own_.Run({"psql", "two", "--", "-XAtc", "select 1"});
    keep(first_row).Add({.wall_ms = whole.wall_ms + started.wall_ms + asked.first_output_ms,
                         .cpu_ms = whole.cpu_ms + started.cpu_ms + asked.whole.cpu_ms});
    own_.Run({"stop", "two"});
    keep(of_branch).Add(TimeOf({"create", "three", "--from", "two"}));
    for (const char* name : {"three", "two", "large"}) own_.Run({"drop", name, "--force"});
    keep(drop).Add(TimeOf({"drop", "one", "--force"}));
  }
  report_.Add(CompareSeries("branch create of a directory, whole command", of_directory, kCreateMostMs));
  report_.Add(CompareSeries("branch create of a directory of 1 TB, sparse", of_terabyte, kCreateMostMs));
  report_.Add(CompareSeries("branch create of a stopped branch, whole command", of_branch, kCreateMostMs));
  report_.Add(CompareSeries("create, start and first row, three commands", first_row, kFirstRowMostMs));
  report_.Add(CompareSeries("branch drop", drop, kDropMostMs));
}

codec::Json BranchBench::Describe(const std::string& name) const {
  return Must(codec::ParseJson(own_.Run({"show", name, "--json"}).output));
}

double BranchBench::LayerBytes(const std::string& name) const {
  return Describe(name).at("limited_bytes").get<double>();
}

std::string BranchBench::DirectoryOf(const std::string& name) const {
  return own_.home + "/branches/" + Describe(name).at("id").get<std::string>();
}

void BranchBench::Space() {
  Report::Progress("own bytes after updates");
  const int rows = options_.scale * kRowsPerScale;
  const auto measure = [&](const std::string& what, const std::string& sql, double most) {
    const Endpoint branch = own_.Start("space", Accounts(), kLargeBuffers);
    Ask(branch, "CREATE EXTENSION pageinspect");
    Ask(branch, "CHECKPOINT");
    const double before = LayerBytes("space");
    const std::string at = Ask(branch, "SELECT pg_current_wal_insert_lsn()");
    Ask(branch, sql);
    Ask(branch, "CHECKPOINT");
    // Pages whose LSN is behind the beginning are those that changed.
    const std::string changed = Ask(
        branch, fmt::format("SELECT count(*) FROM pg_class c, generate_series(0, pg_relation_size(c.oid) / 8192 - 1) b "
                            "WHERE c.relname ~ '^pgbench_accounts' AND "
                            "(page_header(get_raw_page(c.relname, b::int))).lsn >= '{}'",
                            at));
    own_.Run({"stop", "space"});
    report_.Add(CompareSpace(what, LayerBytes("space") - before, std::stod(changed) * kPageBytes, most));
    own_.Run({"drop", "space", "--force"});
  };
  measure("own bytes after a contiguous update of 1 %",
          fmt::format("UPDATE pgbench_accounts SET abalance = 1 WHERE aid <= {}", rows / 100), 1.05);
  measure("own bytes after 10,000 random updates",
          fmt::format("UPDATE pgbench_accounts SET abalance = 1 WHERE aid IN (SELECT (random() * {})::int FROM "
                      "generate_series(1, 10000))",
                      rows),
          1.1);
}

}  // namespace pgstrata::bench
