// systemd's journal, by its native protocol: one datagram a message (systemd.io/JOURNAL_NATIVE_PROTOCOL).
#pragma once

#include <string>
#include <string_view>

#include "foundation/base/error.h"
#include "foundation/io/fd.h"

namespace pgstrata::io {

inline constexpr const char* kJournalSocket = "/run/systemd/journal/socket";

// Safe from several threads.
class Journal {
 public:
  // kUnavailable where no journal listens. `identifier` is shown as the program's name.
  static Result<Journal> Open(std::string identifier, const std::string& socket = kJournalSocket);
  // `priority` as syslog(3) has it: 3 error, 4 warning, 6 information, 7 debugging. A journal that does not take the
  // message within a moment loses it: nobody waits for a log.
  void Write(int priority, std::string_view message) const;

 private:
  Journal(UniqueFd socket, std::string identifier) : socket_(std::move(socket)), identifier_(std::move(identifier)) {}

  UniqueFd socket_;
  std::string identifier_;
};

}  // namespace pgstrata::io
