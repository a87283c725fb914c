// A plain mount, with pg_wal in it, and freezing it under load.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "bench/branch_rows.h"
#include "bench/plain_mount.h"
#include "volume/layer/layer_directory.h"
#include "volume/worker/control_client.h"

namespace pgstrata::bench {
namespace {

constexpr double kHeldMostMs = 5;
constexpr std::chrono::seconds kBetweenFreezes{2};

}  // namespace

void BranchBench::FreezeUnderLoad(const std::string& control_socket, const Endpoint& server) {
  Report::Progress("freeze under load");
  auto client = Must(worker::ControlClient::Connect(control_socket));
  auto load = std::async(std::launch::async, [&] { return RunLoad(server, {.seconds = options_.seconds}); });
  Series held;
  double longest = 0;
  std::this_thread::sleep_for(kBetweenFreezes);  // it begins with a checkpoint
  for (int i = 0; load.wait_for(kBetweenFreezes) == std::future_status::timeout; ++i) {
    const std::string layer = work_.Path("frozen" + std::to_string(i));
    Must(layer::MakeLayer(layer));
    const auto frozen = Must(client.Freeze(layer));
    Must(frozen.sealed);
    const double ms = std::chrono::duration<double, std::milli>(frozen.held).count();
    held.Add({.wall_ms = ms, .cpu_ms = 0});
    longest = std::max(longest, ms);
  }
  load.get();
  report_.Add(CompareTime("freeze under TPC-B-like load, requests held, the longest", longest,
                          fmt::format("{:.2f} ms, median {:.2f}", longest, held.WallMs()), kHeldMostMs));
}

void BranchBench::Mount() {
  const auto pair = StartPair(own_, kLargeBuffers);
  const std::string mountpoint = work_.MakeDirectory("mountpoint");
  const std::string changes = work_.Path("changes");
  {
    const PlainMount mount(options_.program, Accounts(), mountpoint, changes);
    const NativeServer inside(pair->branch, mountpoint, work_.MakeDirectory("inside"));
    // A branch's own configuration suits a WAL that lies beside the layer; who starts a server in a plain mount has
    // PostgreSQL's defaults.
    for (const auto& server : {inside.endpoint(), pair->native->endpoint()}) {
      Configure(server, {"wal_init_zero = on", "wal_recycle = on"});
    }
    Prewarm(inside.endpoint());
    Compare("TPC-B-like inside a plain mount, pg_wal in it", inside.endpoint(), pair->native->endpoint(),
            {.seconds = options_.seconds}, 0.85);
    FreezeUnderLoad(changes + "/control", inside.endpoint());
  }
}

}  // namespace pgstrata::bench
