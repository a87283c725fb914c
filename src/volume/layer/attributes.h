// What every node has, whatever it is.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>

namespace pgstrata::layer {

struct Attributes {
  mode_t permissions = 0;  // 07777
  uint64_t link_count = 1;
  uid_t uid = 0;
  gid_t gid = 0;
  timespec accessed{};
  timespec modified{};
  timespec changed{};
};

}  // namespace pgstrata::layer
