#include "foundation/io/shared_processor.h"

#include <unistd.h>

#include <string>
#include <vector>

#include "foundation/base/text.h"
#include "foundation/io/file.h"
#include "foundation/io/proc.h"

namespace pgstrata::io {
namespace {

// The kernel's own list: it may miss one while another ends, which another look finds, and costs one file where looking
// through all of /proc costs milliseconds. An error where the kernel was built without it.
Result<std::vector<pid_t>> ListedChildren(pid_t process, pid_t thread) {
  PGS_ASSIGN(const auto text, ReadWholeFile(ProcPath(process, "task/" + std::to_string(thread) + "/children")));
  std::vector<pid_t> children;
  for (const auto word : Split(text, ' ')) {
    if (const auto pid = ParseDecimal(word)) children.push_back(static_cast<pid_t>(*pid));
  }
  return children;
}

// Whether it found a thread to free, here or below.
bool FreeOnce(pid_t process, const cpu_set_t& from, const cpu_set_t& to) {
  bool freed = false;
  const auto threads = ListThreads(process);
  for (const pid_t thread : threads) {
    cpu_set_t now{};
    if (::sched_getaffinity(thread, sizeof now, &now) != 0 || CPU_EQUAL(&now, &from) == 0) continue;
    freed = ::sched_setaffinity(thread, sizeof to, &to) == 0 || freed;
  }
  for (const pid_t thread : threads) {
    const auto children = ListedChildren(process, thread);
    if (!children) continue;
    for (const pid_t child : *children) freed = FreeOnce(child, from, to) || freed;
  }
  return freed;
}

}  // namespace

SharedProcessor SharedProcessor::Enter() {
  SharedProcessor shared;
  const int here = ::sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE) return shared;
  if (::sched_getaffinity(0, sizeof shared.all_, &shared.all_) != 0) return shared;
  CPU_SET(here, &shared.one_);
  if (CPU_COUNT(&shared.all_) < 2 || !ListedChildren(::getpid(), ::gettid())) return shared;
  shared.entered_ = shared.confines_ = ::sched_setaffinity(0, sizeof shared.one_, &shared.one_) == 0;
  return shared;
}

SharedProcessor& SharedProcessor::operator=(SharedProcessor&& other) noexcept {
  if (this == &other) return *this;
  Leave();
  all_ = other.all_;
  one_ = other.one_;
  confines_ = std::exchange(other.confines_, false);
  entered_ = std::exchange(other.entered_, false);
  return *this;
}

void SharedProcessor::Leave() {
  if (std::exchange(entered_, false)) ::sched_setaffinity(0, sizeof all_, &all_);
}

// What is started while this looks inherits from whoever is not freed yet: another look finds it.
void SharedProcessor::Free(pid_t process) const {
  constexpr int kLooks = 10;
  if (!confines_) return;
  for (int look = 0; look < kLooks && FreeOnce(process, one_, all_); ++look) {
  }
}

}  // namespace pgstrata::io
