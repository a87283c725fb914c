// A Unix socket in a directory, and the lines that go over it. Private to this room.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "foundation/base/error.h"
#include "foundation/codec/json.h"
#include "foundation/io/fd.h"

namespace pgstrata::worker {

inline constexpr int kControlVersion = 1;
inline constexpr size_t kLongestLine = 4096;       // of a request
inline constexpr size_t kLongestAnswer = 1 << 20;  // of an answer

// Paths may be longer than sockaddr_un. A file whose listener has died is replaced; kBusy where one lives.
Result<io::UniqueFd> ListenAt(const std::string& path);
// kNotFound where there is no socket, or nobody listens; kBusy where so many wait already that none is let in.
Result<io::UniqueFd> ConnectTo(const std::string& path);

// The lines of one connection. A line is at most `limit` bytes; a longer one is kInvalidArgument.
class LineReader {
 public:
  LineReader(int socket, size_t limit) : socket_(socket), limit_(limit) {}
  // Without its newline; nothing at the end of the connection. kBusy when `deadline` passes.
  Result<std::optional<std::string>> Next(std::optional<std::chrono::steady_clock::time_point> deadline);

 private:
  int socket_;
  size_t limit_;
  std::string pending_;
};

// One line; never raises SIGPIPE.
Status SendLine(int socket, const codec::Json& value);

// A member of an object; empty, false or 0 where it is absent or of another type.
std::string TextOf(const codec::Json& object, const char* name);
bool IsTrue(const codec::Json& object, const char* name);
uint64_t NumberOf(const codec::Json& object, const char* name);

// How errors stand in answers.
std::string_view ErrorCodeName(ErrorCode code);
// kInternal for a name that is not known here.
ErrorCode ErrorCodeByName(std::string_view name);

}  // namespace pgstrata::worker
