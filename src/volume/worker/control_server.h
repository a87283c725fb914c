// Answers the connections of a control socket, each in a thread of its own. Private to this room.
#pragma once

#include <functional>
#include <list>
#include <mutex>
#include <thread>

#include "foundation/base/error.h"
#include "foundation/codec/json.h"
#include "foundation/io/fd.h"

namespace pgstrata::worker {

class ControlServer {
 public:
  // What a request is answered with. Called from several threads; `request` is an object of a version that is known.
  using Answer = std::function<Result<codec::Json>(const codec::Json& request)>;

  ControlServer(io::UniqueFd listener, Answer answer) : listener_(std::move(listener)), answer_(std::move(answer)) {}
  ~ControlServer() { Stop(); }
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

  Status Start();
  // Takes no further request, answers those that it has taken, and returns when all threads have ended. Repeatable.
  void Stop();

 private:
  struct Connection {
    io::UniqueFd socket;
    std::thread thread;
    bool finished = false;  // guarded by mutex_
  };

  void Accept();
  void Welcome(io::UniqueFd socket);
  void Converse(Connection& connection);
  Result<codec::Json> AnswerLine(std::string_view line) const;
  void JoinFinished();  // mutex_ held

  io::UniqueFd listener_;
  const Answer answer_;
  std::thread acceptor_;

  std::mutex mutex_;
  // Guarded by mutex_:
  std::list<Connection> connections_;
  bool stopped_ = false;
};

}  // namespace pgstrata::worker
