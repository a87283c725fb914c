// Kept branches by the command line, and the same server beside them on ext4.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "bench/load.h"
#include "postgres/instance/server.h"

namespace pgstrata::bench {

// Who runs the commands, and where the branches lie.
struct BranchHome {
  std::string program;
  std::string home;                      // PGSTRATA_HOME
  std::optional<io::UserIdentity> user;  // nothing: as ourselves

  // `pgstrata branch ARGUMENTS`.
  ProgramRun Run(const std::vector<std::string>& arguments) const;
  // A branch of that name, of `source`, with `parameters` ("shared_buffers=3GB"), and its running server.
  Endpoint Start(const std::string& name, const std::string& source, const std::vector<std::string>& parameters,
                 const std::vector<std::string>& create_arguments = {}) const;
  [[nodiscard]] Endpoint EndpointOf(const std::string& name) const;
  void Drop(const std::string& name) const;
};

// A server on a plain copy, with the configuration of a running branch, pg_wal in it, durable. Ends with this object.
class NativeServer {
 public:
  // `data_directory` is owned by PostgresUser() and stopped; `directory`, of that user too, takes the server's files.
  NativeServer(const Endpoint& like, std::string data_directory, std::string directory);
  ~NativeServer();
  NativeServer(const NativeServer&) = delete;
  NativeServer& operator=(const NativeServer&) = delete;

  [[nodiscard]] Endpoint endpoint() const;

 private:
  const std::string directory_;
  instance::Server server_;
};

}  // namespace pgstrata::bench
