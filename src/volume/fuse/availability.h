#pragma once

#include <string>

namespace pgstrata::fuse {

// Whether this process can mount with FUSE, as far as can be told without mounting.
struct Availability {
  bool usable = false;
  std::string problem;  // what is missing; empty when usable
  std::string hint;     // what to do about it
  // Without root, allow_other needs user_allow_other in /etc/fuse.conf.
  bool allow_other = false;
};
Availability CheckFuse();

// Whether requests could come over io_uring (Transport in session.h), as far as can be told without mounting.
enum class RingSupport {
  kUsable,
  kSwitchedOff,     // by the parameter enable_uring of the kernel's module
  kForbidden,       // io_uring is, to this process
  kManyProcessors,  // more than are worth a thread each
  kAbsent,          // the kernel does not know it
};
RingSupport CheckRings();

}  // namespace pgstrata::fuse
