// pgbench against one server, and two servers against each other.
#pragma once

#include <string>
#include <vector>

#include "bench/measure.h"
#include "bench/report.h"
#include "foundation/io/process.h"

namespace pgstrata::bench {

// A running server, as its clients know it.
struct Endpoint {
  io::Environment environment;  // PGHOST, PGPORT, PGUSER, PGDATABASE; no other libpq variable
};

// What psql prints, unaligned, tuples only.
std::string Ask(const Endpoint& server, const std::string& sql);
// Settings ("fsync = on") that a reload brings into force.
void Configure(const Endpoint& server, const std::vector<std::string>& settings);
// Reads pgbench's tables and indexes into shared buffers and writes everything dirty out.
void Prewarm(const Endpoint& server);

struct Load {
  std::vector<std::string> arguments;  // pgbench's, without -c, -j and -T
  int clients = 4;
  int seconds = 20;
};
// Transactions per second of one run, after a checkpoint.
double RunLoad(const Endpoint& server, const Load& load);

// Rates of two sides, alternated: `rounds` runs each, the first of each not counted.
struct Rates {
  std::vector<double> ours;
  std::vector<double> other;
};
Rates AlternateLoad(int rounds, const Endpoint& ours, const Endpoint& other, const Load& load);
// Medians; ours divided by the other has to be `least` at least.
Verdict CompareRates(std::string what, const Rates& rates, double least);

}  // namespace pgstrata::bench
