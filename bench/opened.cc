#include "bench/opened.h"

#include "foundation/codec/json.h"
#include "foundation/io/file.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::bench {

ProgramRun Open(const std::string& program, const Caller& caller, const std::string& source,
                const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {program, "open", "-q", source};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  io::Environment environment = io::CurrentEnvironment();
  environment["PGSTRATA_HOME"] = caller.home;
  if (caller.user) environment["HOME"] = caller.user->home;
  return RunProgram({.argv = argv, .environment = environment, .user = caller.user});
}

// The program that runs inside also syncs every file of the data directory: what is dirty in the kernel's cache has not
// reached the layer yet, and is to be counted.
double LayerBytesAfterSelect(const std::string& program, const Caller& caller, const std::string& source) {
  const std::string file = caller.home + "/report.json";
  const std::string script =
      "\"$1\" -XAtc 'select 1' && d=$(\"$1\" -XAtc 'show data_directory') && "
      "find \"$d\" -type f -exec sync -- {} +";
  Open(program, caller, source,
       {"--json", file, "--exec", "--", "sh", "-c", script, "sh", test::PostgresProgram("psql")});
  const auto report = Must(codec::ParseJson(Must(io::ReadWholeFile(file))));
  return report.at("layer_bytes").get<double>();
}

}  // namespace pgstrata::bench
