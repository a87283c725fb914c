// Format, ended by closing the pipe: 'M' and the device number (8 bytes, native), or 'E', the error's code (1 byte),
// its message, a zero byte, and its hint.
#include "volume/worker/report.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "foundation/base/bytes.h"

namespace pgstrata::worker {
namespace {

bool SendAll(int pipe, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(pipe, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

// False when `deadline` passed.
bool WaitReadable(int pipe, Deadline deadline) {
  while (deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - std::chrono::steady_clock::now());
    pollfd polled{pipe, POLLIN, 0};
    const int ready = ::poll(&polled, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (ready == 0) return false;
    if (ready > 0 || errno != EINTR) break;
  }
  return true;
}

Result<std::string> ReceiveAll(int pipe, Deadline deadline) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    if (!WaitReadable(pipe, deadline))
      return Fail(ErrorCode::kBusy, "the process that serves the volume did not start in time");
    const ssize_t count = ::read(pipe, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno("could not read a worker's report");
    if (count == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
}

}  // namespace

bool SendMounted(int pipe, uint64_t device) {
  std::string text("M");
  text.append(reinterpret_cast<const char*>(&device), sizeof device);
  return SendAll(pipe, text);
}

bool SendError(int pipe, const Error& error) {
  std::string text("E");
  text += static_cast<char>(error.code());
  text += error.message();
  text += '\0';
  text += error.hint();
  return SendAll(pipe, text);
}

Result<uint64_t> ReceiveReport(int pipe, Deadline deadline) {
  PGS_ASSIGN(const std::string text, ReceiveAll(pipe, deadline));
  if (text.size() == 1 + sizeof(uint64_t) && text[0] == 'M') return LoadLe<uint64_t>(AsBytes(text), 1);
  const size_t message_end = text.find('\0', 2);
  if (text.size() < 3 || text[0] != 'E' || message_end == std::string::npos) {
    return Fail(ErrorCode::kInternal, "the process that serves the volume died while it started");
  }
  return Fail(
      Error(static_cast<ErrorCode>(text[1]), text.substr(2, message_end - 2)).WithHint(text.substr(message_end + 1)));
}

}  // namespace pgstrata::worker
