// A plain mount, with pg_wal in it, and freezing it under load.
#include <fmt/core.h>

#include <thread>

#include "bench/branch_rows.h"
#include "foundation/base/clock.h"
#include "foundation/io/directory.h"
#include "volume/layer/layer_directory.h"
#include "volume/worker/control_client.h"

namespace pgstrata::bench {
namespace {

constexpr double kHeldMostMs = 5;
constexpr std::chrono::seconds kBetweenFreezes{2};

}  // namespace

void BranchBench::FreezeUnderLoad(const std::string& control_socket, const Endpoint& server) {
  Report::Progress("freeze under load");
  std::jthread load([&] { RunLoad(server, {.seconds = options_.seconds}); });
  auto client = Must(worker::ControlClient::Connect(control_socket));
  Series held;
  double longest = 0;
  const Stopwatch watch;
  for (int i = 0; watch.milliseconds() < 1000.0 * options_.seconds; ++i) {
    std::this_thread::sleep_for(kBetweenFreezes);
    const std::string layer = work_.Path("frozen" + std::to_string(i));
    Must(layer::MakeLayer(layer));
    const auto frozen = Must(client.Freeze(layer));
    Must(frozen.sealed);
    const double ms = std::chrono::duration<double, std::milli>(frozen.held).count();
    held.Add({.wall_ms = ms, .cpu_ms = 0});
    longest = std::max(longest, ms);
  }
  report_.Add(CompareTime("freeze under TPC-B-like load, requests held, the longest", longest, "median " + Show(held),
                          kHeldMostMs));
}

void BranchBench::Mount() {
  BranchPair pair = StartPair(own_, kLargeBuffers);
  const std::string mountpoint = work_.MakeDirectory("mountpoint");
  const std::string changes = work_.Path("changes");
  const auto pgstrata = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), options_.program);
    RunProgram({.argv = arguments, .environment = io::CurrentEnvironment()});
  };
  pgstrata({"mount", Accounts(), mountpoint, "--diff-dir", changes});
  {
    const NativeServer inside(pair.branch, mountpoint, work_.MakeDirectory("inside"));
    Prewarm(inside.endpoint());
    Compare("TPC-B-like inside a plain mount, pg_wal in it", inside.endpoint(), pair.native->endpoint(),
            {.seconds = options_.seconds}, 0.85);
    FreezeUnderLoad(changes + "/control", inside.endpoint());
  }
  pgstrata({"unmount", mountpoint});
  pair.End();
}

}  // namespace pgstrata::bench
