// Branches that have lived: layers upon layers, and half an hour of load.
#include <fmt/core.h>

#include <future>

#include "bench/branch_rows.h"

namespace pgstrata::bench {
namespace {

constexpr int kDepth = 8;
constexpr int kSecondsOfALayer = 5;

}  // namespace

void BranchBench::Deep() {
  std::string source = Accounts();
  std::vector<std::string> parents;
  Report::Progress("layers");
  for (int depth = 1; depth < kDepth; ++depth) {
    const std::string name = "layer" + std::to_string(depth);
    RunLoad(own_.Start(name, source, kLargeBuffers), {.seconds = kSecondsOfALayer});
    own_.Run({"stop", name});
    source = name;
    parents.push_back(name);
  }
  {
    const auto pair = StartPair(own_, {}, {}, source);
    const auto layers = Describe(pair->name).at("layers").get<int>();
    Compare(fmt::format("TPC-B-like, {} layers deep", layers), pair->branch, pair->native->endpoint(),
            {.seconds = options_.seconds}, 0.95);
  }
  for (const auto& name : parents) own_.Run({"drop", name, "--force"});
}

void BranchBench::Aged() {
  const auto pair = StartPair(own_, kLargeBuffers);
  const Endpoint ext4 = pair->native->endpoint();
  const Load aging{.seconds = options_.aging_seconds};
  Report::Progress(fmt::format("{} s of load on both sides", options_.aging_seconds));
  auto beside = std::async(std::launch::async, [&] { RunLoad(ext4, aging); });
  RunLoad(pair->branch, aging);
  beside.get();
  Compare(fmt::format("TPC-B-like, after {} s of it", options_.aging_seconds), pair->branch, ext4,
          {.seconds = options_.seconds}, 0.95);
}

}  // namespace pgstrata::bench
