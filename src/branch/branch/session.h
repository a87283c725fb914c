// `open`: one throwaway database on one backup, from the image to a server that answers and back to nothing.
//
// Order of things, and of taking them back: session directory, volume (with the edits of safety.h), worker (the mount),
// server, connection. Everything is taken back by Close or, when this process dies first, by the worker; when both die,
// `doctor --repair` finds the session directory.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "backup/image/wal_archive.h"
#include "branch/branch/cluster_plan.h"
#include "branch/branch/cluster_server.h"
#include "branch/branch/server_settings.h"
#include "branch/branch/session_directory.h"
#include "branch/branch/step_times.h"
#include "foundation/base/error.h"
#include "foundation/io/process.h"
#include "foundation/io/shared_processor.h"
#include "volume/worker/worker.h"

namespace pgstrata::branch {

struct OpenRequest {
  std::shared_ptr<const image::Image> image;
  std::vector<std::unique_ptr<image::WalArchive>> wal_archives;
  std::optional<MomentRequest> at = {};  // nothing: as soon as it is consistent
  std::string pg_bin;                    // empty: searched for
  std::string user = "postgres";         // whom the server runs as, when started by root
  std::string database;                  // empty: postgres, or what is there
  std::string role;                      // empty: the bootstrap superuser, or who can log in
  LibraryRequest libraries;
  bool allow_network = false;  // let the server reach the network: foreign servers, COPY PROGRAM
  bool no_text_index = false;  // keep the planner off indexes whose collation changed
};

class Session;

// What a session tells while it works. Called on the caller's thread.
struct OpenEvents {
  std::function<void(const std::string&)> warning;
  std::function<void(const std::string&)> progress;  // long waits only: recovery
  int cancel_fd = -1;                                // readable: give up
  // Optional, both or none. The client may be started while the session is still being made ready: ClientEnvironment is
  // known, and its connection waits until Admit. Not called where the client's role has to be looked up first. The
  // second takes that back, when the login was wrong or Open fails: the client has to be gone when it returns.
  std::function<void(const Session&)> client_may_start;
  std::function<void()> client_must_end;
};

class Session {
 public:
  static Result<std::unique_ptr<Session>> Open(OpenRequest request, const OpenEvents& events);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Lets in a client that was started early. Without one: no effect.
  Status Admit();
  // What makes every psql in ClientEnvironment() read the user's own psqlrc and name the source in its prompt.
  [[nodiscard]] Status WritePsqlrc(std::string_view source_name) const;
  // The environment of a client of this session: the caller's, less every libpq variable, with this database named.
  [[nodiscard]] io::Environment ClientEnvironment() const;
  [[nodiscard]] const instance::Installation& installation() const { return plan_.installation; }
  [[nodiscard]] const SessionDirectory& directory() const { return directory_; }
  [[nodiscard]] const std::vector<StepTime>& steps() const { return steps_.times(); }
  // Readable when the worker has died, and with it the database.
  [[nodiscard]] int worker_pidfd() { return worker_.process().pidfd(); }
  // What it is, and of which moment: "online backup of 2026-11-20 21:05:39 UTC".
  [[nodiscard]] std::string description() const;
  // The last words of the worker, for an error.
  [[nodiscard]] std::string WorkerLogTail() const;
  // Bytes that the changes take on disk.
  [[nodiscard]] uint64_t LayerBytes() const;

  // Ends the server and the worker and removes everything. Again: no effect.
  Status Close();

 private:
  Session() = default;
  Status Plan();
  Status MakeVolume();
  Status WriteServerFiles(const ServerPlan& plan);
  Status StartServer();
  [[nodiscard]] Error Explain(instance::StartError error) const;
  Status MakeReady();
  void FreeProcessors() const;
  void StartClientEarly();
  void TakeClientBack();

  OpenRequest request_;
  OpenEvents events_;
  ClusterPlan plan_;
  SessionDirectory directory_;
  Login first_login_;                    // as the files say it before recovery
  io::SharedProcessor start_processor_;  // where the worker and the server run until the server is ready
  fuse::StartedMount mount_;             // begun before there is a volume
  worker::Worker worker_;
  ClusterServer server_;
  StepTimes steps_;
  bool client_waits_ = false;  // it was told to start, and the server holds its connection
  bool closed_ = false;
};

}  // namespace pgstrata::branch
