#include "bench/open_rows.h"

#include <fmt/core.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "bench/conditions.h"
#include "bench/workload.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::bench {
namespace {

const std::vector<std::string> kSelectOne = {"-c", "select 1"};
constexpr double kCleanMostMs = 35;
constexpr double kOnlineMostMs = 45;
constexpr double kSegmentsMostTimes = 1.2;
constexpr double kLayerMostBytes = 2 << 20;
constexpr double kColdMostTimes = 2;
constexpr int kRowsPerScale = 100'000;

std::string Gigabytes(uint64_t bytes) { return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9); }

// "Time: 1.234 ms" or "Time: 1234.567 ms (00:01.235)", as psql's \timing says it.
double PsqlTime(std::string_view output) {
  constexpr std::string_view kLabel = "Time: ";
  const size_t at = output.find(kLabel);
  if (at == std::string_view::npos) throw std::runtime_error("psql told no time");
  return std::stod(std::string(output.substr(at + kLabel.size())));
}

}  // namespace

OpenBench::OpenBench(OpenOptions options, Report& report) : options_(std::move(options)), report_(report) {
  const std::string own_home = work_.Path("home");
  Must(io::MakeDirectories(own_home, 0711));
  callers_.push_back({.name = ::geteuid() == 0 ? "root" : Must(io::CurrentUser()).name, .home = own_home});
  if (const auto user = test::PostgresUser()) {
    callers_.push_back({.name = "user " + user->name, .user = user, .home = work_.MakeDirectory("user")});
  }
  for (const auto& line : Conditions(work_.path())) report_.AddCondition(line);
}

Side OpenBench::OpenSide(const Caller& caller, const std::string& source) const {
  return [this, caller, source] { return Open(options_.program, caller, source, kSelectOne).whole; };
}

const std::string& OpenBench::Clean() {
  if (clean_.empty()) MakeCleanDirectory(clean_ = work_.Path("clean"));
  return clean_;
}

const std::string& OpenBench::Online() {
  if (online_.empty()) MakeOnlineBackup(online_ = work_.Path("online"));
  return online_;
}

void OpenBench::CompareWithServer(const std::string& what, const std::string& source, double most_ms) {
  Report::Progress(fmt::format("{} ({} rounds)", what, options_.rounds));
  const OpenConfiguration configuration(options_.program, callers_[0].home, source,
                                        work_.MakeDirectory("server-" + std::to_string(::rand())));
  const std::string copy = work_.Path("copy");
  std::vector<Side> sides = {[&] {
    ReplaceByCopy(source, copy);
    return RunDirectly(configuration, copy, kSelectOne, Ending::kAtOnce).whole;
  }};
  for (const auto& caller : callers_) sides.push_back(OpenSide(caller, source));
  const auto series = Alternate(options_.rounds, sides);
  for (size_t i = 0; i < callers_.size(); ++i) {
    report_.Add(CompareDifference(fmt::format("{}, as {}", what, callers_[i].name), series[i + 1], series[0], most_ms));
  }
}

void OpenBench::CleanDirectory() {
  report_.AddCondition("clean directory: " + Gigabytes(ContentBytes(Clean())));
  CompareWithServer("`select 1` on a clean directory, whole process, minus the server alone", Clean(), kCleanMostMs);
}

void OpenBench::OnlineBackup() {
  report_.AddCondition("online backup: " + Gigabytes(ContentBytes(Online())));
  CompareWithServer("`select 1` on an online backup, whole process, minus the server alone", Online(), kOnlineMostMs);
}

void OpenBench::ManySegments() {
  constexpr int kMany = 1000;
  constexpr int kFew = 10;
  const std::string many = work_.Path("many");
  const std::string few = work_.Path("few");
  test::CopyTree(Clean(), many);
  test::CopyTree(Clean(), few);
  AddSparseSegments(many, kMany);
  AddSparseSegments(few, kFew);
  const std::string what = fmt::format("`select 1` on {} segments of 1 GiB, against {}", kMany, kFew);
  Report::Progress(fmt::format("{} ({} rounds)", what, options_.rounds));
  for (const auto& caller : callers_) {
    const auto series = Alternate(options_.rounds, {OpenSide(caller, many), OpenSide(caller, few)});
    report_.Add(CompareRatio(fmt::format("{}, as {}", what, caller.name), series[0], series[1], kSegmentsMostTimes));
  }
}

void OpenBench::LayerBytes() {
  Report::Progress("bytes written to the layer");
  const auto bytes_after = [&](const std::string& source) {
    return LayerBytesAfterSelect(options_.program, callers_[0], source);
  };
  report_.Add(CompareBytes("layer after `select 1` on a clean directory", bytes_after(Clean()), kLayerMostBytes));
  report_.Add(CompareBytes("layer after `select 1` on an online backup", bytes_after(Online()), kLayerMostBytes));
}

std::string OpenBench::MakeLargeTable() {
  const std::string place = options_.data_directory.empty() ? work_.path() : options_.data_directory;
  const std::string path = fmt::format("{}/accounts-{}", place, options_.scale);
  if (io::Exists(path)) return path;
  Report::Progress(fmt::format("making pgbench's tables, scale {}", options_.scale));
  Must(io::MakeDirectories(place, 0755));
  MakeAccounts(path + ".new", options_.scale);
  std::filesystem::rename(path + ".new", path);
  return path;
}

void OpenBench::ColdFirstRow() {
  if (::geteuid() != 0) {
    Report::Progress("the cold first row is left out: emptying the kernel's caches needs root");
    return;
  }
  const std::string source = MakeLargeTable();
  const std::string copy = work_.Path("accounts-copy");
  ReplaceByCopy(source, copy);
  report_.AddCondition(
      fmt::format("large table: pgbench -s {}, directory of {}, {} rounds, caches emptied before each run",
                  options_.scale, Gigabytes(ContentBytes(source)), options_.cold_rounds));
  Report::Progress(fmt::format("first row by primary key, cold ({} rounds)", options_.cold_rounds));
  const OpenConfiguration configuration(options_.program, callers_[0].home, source, work_.MakeDirectory("server-cold"));
  std::mt19937 random(20);
  std::uniform_int_distribution<int> any_account(1, options_.scale * kRowsPerScale);
  std::vector<std::string> query;
  std::array<Series, 2> queries;  // opened, direct
  const auto prepare = [&] {
    query = {"-c", "\\timing on", "-c",
             fmt::format("select abalance from pgbench_accounts where aid = {}", any_account(random))};
    DropCaches();
  };
  const auto keep = [&](size_t side, const ProgramRun& run) {
    queries[side].Add({.wall_ms = PsqlTime(run.output)});
    return Sample{.wall_ms = run.first_output_ms, .cpu_ms = run.whole.cpu_ms};
  };
  const auto series =
      Alternate(options_.cold_rounds, {[&] {
                                         prepare();
                                         return keep(0, Open(options_.program, callers_[0], source, query));
                                       },
                                       [&] {
                                         prepare();
                                         return keep(1, RunDirectly(configuration, copy, query, Ending::kCleanly));
                                       }});
  report_.Add(CompareRatio("from nothing to the first row by primary key, cold, as root", series[0], series[1],
                           kColdMostTimes));
  report_.Add(CompareRatio("that query alone, cold", queries[0], queries[1], kColdMostTimes));
}

}  // namespace pgstrata::bench
