#include "bench/catalog_rows.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <thread>

#include "bench/branch_side.h"
#include "bench/conditions.h"
#include "bench/plain_mount.h"
#include "bench/workload.h"
#include "foundation/base/clock.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"

namespace pgstrata::bench {
namespace {

constexpr double kMiB = 1 << 20;
constexpr double kFirstRowMostMs = 100;
constexpr double kDepthMostTimes = 1.3;
constexpr double kSequentialLeast = 0.8;
constexpr double kLoadLeast = 0.95;
constexpr double kLayerMostBytes = 2 << 20;
constexpr double kMemoryMostMib = 400;
constexpr int kRowsPerScale = 100'000;
constexpr size_t kStep = 1 << 20;  // of a sequential read

// All of the file, from its beginning.
uint64_t ReadThrough(const std::string& path) {
  const io::File file = Must(io::File::Open(path, O_RDONLY));
  std::vector<std::byte> step(kStep);
  uint64_t offset = 0;
  while (const size_t count = Must(file.ReadAt(offset, step))) offset += count;
  return offset;
}

// A field of /proc/PID/FILE, in its unit.
double ProcField(pid_t process, const std::string& file, const std::string& name) {
  const std::string text = Must(io::ReadWholeFile(fmt::format("/proc/{}/{}", process, file)));
  for (const auto line : SplitLines(text)) {
    if (line.starts_with(name)) return std::stod(std::string(line.substr(name.size())));
  }
  throw std::runtime_error("there is no " + name + " in /proc");
}

// The segments of pgbench_accounts in a data directory, relative to it: the largest relation there is.
std::vector<std::string> AccountsIn(const std::string& directory) {
  std::string largest;
  for (const auto& entry : std::filesystem::directory_iterator(directory + "/base/5")) {
    const std::string name = entry.path().filename().string();
    if (name.contains('_') || name.contains('.')) continue;
    const auto whole = [&](const std::string& first) {
      uint64_t bytes = 0;
      for (std::string path = first; io::Exists(path); path = first + ".1") {
        bytes += std::filesystem::file_size(path);
        if (path != first) break;
      }
      return bytes;
    };
    const std::string best = directory + "/base/5/" + largest;
    if (largest.empty() || whole(entry.path()) > whole(best)) largest = name;
  }
  std::vector<std::string> segments = {"base/5/" + largest};
  for (int i = 1; io::Exists(fmt::format("{}/base/5/{}.{}", directory, largest, i)); ++i) {
    segments.push_back(fmt::format("base/5/{}.{}", largest, i));
  }
  return segments;
}

Verdict CompareSpeed(std::string what, double bytes, const Series& ours, const Series& other, double least) {
  const double ratio = other.WallMs() / ours.WallMs();
  const auto shown = [&](const Series& series) {
    return fmt::format("{:.0f} MB/s, {}", bytes / 1000 / series.WallMs(), Show(series));
  };
  return {.what = std::move(what),
          .ours = shown(ours),
          .other = shown(other),
          .result = fmt::format("{:.2f} times as fast", ratio),
          .target = fmt::format(">= {} times", least),
          .passed = ratio >= least};
}

}  // namespace

CatalogBench::CatalogBench(CatalogOptions options, Report& report)
    : options_(std::move(options)), report_(report), caller_{.name = "root", .user = {}, .home = work_.Path("home")} {
  Must(io::MakeDirectories(caller_.home, 0711));
  for (const auto& line : Conditions(work_.path())) report_.AddCondition(line);
}

const CatalogData& CatalogBench::Data() {
  if (!data_.directory.empty()) return data_;
  const std::string place = options_.data_directory.empty() ? work_.path() : options_.data_directory;
  Must(io::MakeDirectories(place, 0755));
  data_ = MakeCatalogData(fmt::format("{}/catalogs-{}", place, options_.scale), options_.scale);
  const auto gigabytes = [](const std::string& path) { return static_cast<double>(ContentBytes(path)) / 1e9; };
  report_.AddCondition(
      fmt::format("pgbench -s {}: directory of {:.2f} GB; pg_probackup catalog (zlib), FULL and two "
                  "DELTA of {:.2f} GB together, or FULL of {:.2f} GB",
                  options_.scale, gigabytes(data_.directory), gigabytes(std::string(SplitLast(data_.chain).first)),
                  gigabytes(data_.single)));
  return data_;
}

void CatalogBench::CompareFirstRow(const std::string& how, const std::function<void()>& prepare) {
  Report::Progress("to the first row, " + how);
  std::mt19937 random(20);
  std::uniform_int_distribution<int> any_account(1, options_.scale * kRowsPerScale);
  const auto side = [&](const std::string& source) {
    return [&, source] {
      prepare();
      const auto run =
          Open(options_.program, caller_, source,
               {"-c", fmt::format("select abalance from pgbench_accounts where aid = {}", any_account(random))});
      return Sample{.wall_ms = run.first_output_ms, .cpu_ms = run.whole.cpu_ms};
    };
  };
  const CatalogData& data = Data();
  const auto series = Alternate(options_.rounds, {side(data.chain), side(data.directory), side(data.single)});
  report_.Add(
      CompareDifference(fmt::format("`open` of the newest of three to the first row, minus the directory, {}", how),
                        series[0], series[1], kFirstRowMostMs));
  report_.Add(
      CompareRatio(fmt::format("the same against a chain of one, {}", how), series[0], series[2], kDepthMostTimes));
}

void CatalogBench::ToFirstRow() {
  CompareFirstRow("caches warm", [] {});
  CompareFirstRow("caches empty", DropCaches);
}

// The table, gzip -1, in as many pieces as there are processors.
std::vector<std::string> CatalogBench::Pieces() {
  std::vector<std::byte> content;
  for (const auto& segment : AccountsIn(Data().directory)) {
    const std::string bytes = Must(io::ReadWholeFile(Data().directory + '/' + segment, 1ULL << 30));
    const ByteView view = AsBytes(bytes);
    content.insert(content.end(), view.begin(), view.end());
  }
  const unsigned count = std::max(1U, std::thread::hardware_concurrency());
  const size_t each = content.size() / count + 1;
  std::vector<std::string> pieces;
  for (size_t begin = 0; begin < content.size(); begin += each) {
    const auto piece = ByteView(content).subspan(begin, std::min(each, content.size() - begin));
    const std::string path = work_.Path("piece" + std::to_string(pieces.size()));
    Must(io::WriteWholeFile(path, AsText(piece)));
    RunProgram({.argv = {"/usr/bin/gzip", "-1", path}, .environment = io::CurrentEnvironment()});
    pieces.push_back(path + ".gz");
  }
  return pieces;
}

void CatalogBench::SequentialRead() {
  const auto segments = AccountsIn(Data().directory);
  Report::Progress("gzip of the table");
  const auto pieces = Pieces();
  std::string script;
  for (const auto& piece : pieces) script += "zcat '" + piece + "' > /dev/null & ";
  const PlainMount mount(options_.program, Data().chain, work_.MakeDirectory("mountpoint"), "");
  Report::Progress("sequential read");
  uint64_t bytes = 0;
  const auto series = Alternate(
      std::min(options_.rounds, 5),
      {[&] {
         DropCaches();
         const Stopwatch watch;
         bytes = 0;
         for (const auto& segment : segments) bytes += ReadThrough(mount.mountpoint() + '/' + segment);
         return Sample{.wall_ms = watch.milliseconds(), .cpu_ms = 0};
       },
       [&] {
         DropCaches();
         return RunProgram({.argv = {"/bin/sh", "-c", script + "wait"}, .environment = io::CurrentEnvironment()}).whole;
       }});
  report_.Add(
      CompareSpeed(fmt::format("sequential read through the mount, against {} zcat beside each other", pieces.size()),
                   static_cast<double>(bytes), series[0], series[1], kSequentialLeast));
}

void CatalogBench::Load() {
  const BranchHome home{options_.program, work_.Path("branches"), std::nullopt};
  Must(io::MakeDirectories(home.home, 0711));
  const std::string copy = work_.Path("copy");
  test::CopyTree(Data().directory, copy);
  const Endpoint branch =
      home.Start("bench", Data().chain, {"shared_buffers=3GB", "max_wal_size=8GB", "autovacuum=off"});
  {
    const NativeServer native(branch, copy, work_.MakeDirectory("native"));
    Prewarm(branch);
    Prewarm(native.endpoint());
    for (const bool reads : {false, true}) {
      const std::string what = reads ? "pgbench -S" : "TPC-B-like";
      Report::Progress(what);
      const bench::Load load{.arguments = reads ? std::vector<std::string>{"-S"} : std::vector<std::string>{},
                             .seconds = options_.seconds};
      report_.Add(CompareRates(what + " on a branch of the chain, once read",
                               AlternateLoad(options_.load_rounds, branch, native.endpoint(), load), kLoadLeast));
    }
  }
  home.Drop("bench");
  Must(io::RemoveTree(copy));
}

void CatalogBench::LayerBytes() {
  Report::Progress("bytes written to the layer");
  report_.Add(CompareBytes("layer after `select 1` on the newest of three",
                           LayerBytesAfterSelect(options_.program, caller_, Data().chain), kLayerMostBytes));
}

const std::string& CatalogBench::LargeChain() {
  if (!large_.empty()) return large_;
  Report::Progress(fmt::format("making a chain of eight of {} GiB", options_.gigabytes));
  const std::string like = work_.Path("like");
  MakeBackupWithSmallTable(like);
  large_ = MakeLargeChain(work_.Path("large"), like, options_.gigabytes);
  return large_;
}

void CatalogBench::Memory() {
  const PlainMount mount(options_.program, LargeChain(), work_.MakeDirectory("large-mount"), "");
  Report::Progress("reading a page of every file");
  std::vector<std::byte> page(8192);
  uint64_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(mount.mountpoint())) {
    if (!entry.is_regular_file()) continue;
    Must(Must(io::File::Open(entry.path(), O_RDONLY)).ReadAt(0, page));
    ++files;
  }
  const auto worker = mount.Stat().at("pid").get<pid_t>();
  const double most = ProcField(worker, "status", "VmHWM:") / 1024;
  report_.Add(
      {.what = fmt::format("memory of a worker, chain of eight at {} GiB, {} files read", options_.gigabytes, files),
       .ours =
           fmt::format("{:.0f} MiB at most, {:.0f} MiB at the end", most, ProcField(worker, "status", "VmRSS:") / 1024),
       .other = "",
       .result = fmt::format("{:.0f} MiB", most),
       .target = fmt::format("<= {:.0f} MiB", kMemoryMostMib),
       .passed = most <= kMemoryMostMib});
}

void CatalogBench::BytesOfSmallTable() {
  const OpenConfiguration configuration(options_.program, caller_.home, Data().directory,
                                        work_.MakeDirectory("server-small"));
  const std::string mountpoint = work_.MakeDirectory("small-mount");
  const PlainMount mount(options_.program, LargeChain(), mountpoint, work_.Path("small-changes"));
  const auto worker = mount.Stat().at("pid").get<pid_t>();
  const std::string show = fmt::format("\\! grep ^rchar: /proc/{}/io", worker);
  const double mounted = ProcField(worker, "io", "rchar:");
  const std::string output =
      RunDirectly(configuration, mountpoint,
                  {"-XAtq", "-c", "select 1", "-c", show, "-c", fmt::format("select count(*) from {}", kSmallTable),
                   "-c", show, "-c", fmt::format("select pg_relation_size('{}')", kSmallTable)},
                  Ending::kAtOnce)
          .output;
  const auto lines = SplitLines(output);
  const auto number = [&](size_t line) {
    const std::string_view text = lines.at(line);
    return std::stod(std::string(text.substr(text.find(' ') + 1)));
  };
  const double table = number(4);
  const double most = 4 * table + 2 * kMiB;
  const auto add = [&](const std::string& what, double bytes) {
    report_.Add({.what = what,
                 .ours = fmt::format("{:.2f} MiB", bytes / kMiB),
                 .other = fmt::format("table of {:.2f} MiB", table / kMiB),
                 .result = fmt::format("{:.2f} MiB", bytes / kMiB),
                 .target = fmt::format("<= {:.2f} MiB", most / kMiB),
                 .passed = bytes <= most});
  };
  add("read for `select` on a small table of the chain of eight", number(3) - number(1));
  add("the same with the server's start and recovery", number(3) - mounted);
}

}  // namespace pgstrata::bench
