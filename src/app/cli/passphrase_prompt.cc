#include "app/cli/passphrase_prompt.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include "app/cli/terminal_text.h"
#include "foundation/base/bytes.h"
#include "foundation/io/file.h"

namespace pgstrata::cli {
namespace {

// The terminal does not show what is typed for as long as this lives.
class EchoOff {
 public:
  explicit EchoOff(int terminal) : terminal_(terminal) {
    known_ = ::tcgetattr(terminal_, &before_) == 0;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    if (known_) ::tcsetattr(terminal_, TCSAFLUSH, &silent);
  }
  ~EchoOff() {
    if (known_) ::tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  const int terminal_;
  termios before_{};
  bool known_ = false;
};

void Say(int terminal, const std::string& text) {
  static_cast<void>(::write(terminal, text.data(), text.size()) < 0);  // who cannot read it types blindly
}

}  // namespace

Result<std::string> AskPassphrase(const std::string& prompt) {
  constexpr size_t kLongest = 4096;
  const auto terminal = io::File::Open("/dev/tty", O_RDWR | O_NOCTTY);
  if (!terminal) {
    return Fail(Error(ErrorCode::kPermission, "a passphrase is needed, and there is no terminal to ask for it")
                    .WithHint("set PGBACKREST_REPO1_CIPHER_PASS, or give a file with --cipher-pass-file"));
  }
  std::string typed;
  {
    const EchoOff silent(terminal->fd());  // before anybody is asked: what is typed earlier would be thrown away
    Say(terminal->fd(), EscapeForTerminal(prompt) + ": ");
    char c = 0;
    while (typed.size() < kLongest && ::read(terminal->fd(), &c, 1) == 1 && c != '\n') typed += c;
  }
  Say(terminal->fd(), "\n");
  if (typed.empty()) return Fail(ErrorCode::kCancelled, "no passphrase was given");
  return typed;
}

}  // namespace pgstrata::cli
