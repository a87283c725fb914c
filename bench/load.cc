#include "bench/load.h"

#include <fmt/core.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "foundation/base/text.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {
namespace {

double Median(std::vector<double> values) {
  if (values.empty()) throw std::runtime_error("nothing was measured");
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string ShowRates(const std::vector<double>& rates) {
  const auto [least, most] = std::ranges::minmax(rates);
  return fmt::format("{:.0f} /s ({:.0f} to {:.0f})", Median(rates), least, most);
}

std::string RunClient(const Endpoint& server, std::vector<std::string> argv) {
  argv[0] = test::PostgresProgram(argv[0]);
  return RunProgram({.argv = std::move(argv), .environment = server.environment}).output;
}

}  // namespace

std::string Ask(const Endpoint& server, const std::string& sql) {
  return std::string(TrimWhitespace(RunClient(server, {"psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql})));
}

void Configure(const Endpoint& server, const std::vector<std::string>& settings) {
  for (const auto& setting : settings) Ask(server, "ALTER SYSTEM SET " + setting);
  Ask(server, "SELECT pg_reload_conf()");
}

void Prewarm(const Endpoint& server) {
  Ask(server, "CREATE EXTENSION IF NOT EXISTS pg_prewarm");
  Ask(server,
      "SELECT count(pg_prewarm(c.oid)) FROM pg_class c WHERE c.relname ~ '^pgbench_' AND c.relkind IN ('r', 'i')");
  Ask(server, "VACUUM ANALYZE");
  Ask(server, "CHECKPOINT");
}

double RunLoad(const Endpoint& server, const Load& load) {
  Ask(server, "CHECKPOINT");
  std::vector<std::string> argv = {"pgbench", "-n", "-c", std::to_string(load.clients),
                                   "-j",      "2",  "-T", std::to_string(load.seconds)};
  argv.insert(argv.end(), load.arguments.begin(), load.arguments.end());
  const std::string output = RunClient(server, argv);
  constexpr std::string_view kLabel = "tps = ";
  const size_t at = output.find(kLabel);
  if (at == std::string::npos) throw std::runtime_error("pgbench told no rate: " + output);
  return std::stod(output.substr(at + kLabel.size()));
}

Rates AlternateLoad(int rounds, const Endpoint& ours, const Endpoint& other, const Load& load) {
  Rates rates;
  for (int round = 0; round <= rounds; ++round) {
    std::vector<std::pair<const Endpoint*, std::vector<double>*>> order = {{&ours, &rates.ours},
                                                                           {&other, &rates.other}};
    if (round % 2 == 1) std::swap(order[0], order[1]);
    for (const auto& [server, results] : order) {
      const double rate = RunLoad(*server, load);
      if (round > 0) results->push_back(rate);
      Report::Progress(fmt::format("  {} {:.0f} /s", server == &ours ? "ours" : "ext4", rate));
    }
  }
  return rates;
}

Verdict CompareRates(std::string what, const Rates& rates, double least) {
  const double ratio = Median(rates.ours) / Median(rates.other);
  return {.what = std::move(what),
          .ours = ShowRates(rates.ours),
          .other = ShowRates(rates.other),
          .result = fmt::format("{:.3f} times", ratio),
          .target = fmt::format(">= {} times", least),
          .passed = ratio >= least};
}

}  // namespace pgstrata::bench
