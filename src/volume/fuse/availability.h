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

}  // namespace pgstrata::fuse
