// The other side: PostgreSQL started directly on a plain copy, as quickly as one can by hand.
#pragma once

#include <string>

#include "bench/measure.h"

namespace pgstrata::bench {

// A configuration file as `open` writes it, with the files that it names, to start a server of our own with.
class OpenConfiguration {
 public:
  // Opens `source` with `program` and keeps the configuration in `directory`, which PostgresUser() owns.
  OpenConfiguration(const std::string& program, const std::string& home, const std::string& source,
                    const std::string& directory);

  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string file() const { return directory_ + "/postgresql.conf"; }
  [[nodiscard]] std::string access_file() const { return directory_ + "/pg_hba.conf"; }

 private:
  std::string directory_;
};

enum class Ending {
  kAtOnce,   // SIGQUIT, inside the time
  kCleanly,  // a shutdown that leaves the directory as it was found, outside of the time
};

// Starts `postgres` on `data_directory` with open's configuration, looks every millisecond whether it is ready, runs
// psql with `arguments`, and ends it.
ProgramRun RunDirectly(const OpenConfiguration& configuration, const std::string& data_directory,
                       const std::vector<std::string>& arguments, Ending ending);

}  // namespace pgstrata::bench
