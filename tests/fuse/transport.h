// Which transport the mounts of this program's tests have. Over io_uring where the kernel allows it, unless the program
// was started again to use the device.
#pragma once

#include <cstdlib>

#include "volume/fuse/session.h"

namespace pgstrata::fuse {

constexpr const char* kDeviceWanted = "PGSTRATA_TEST_OVER_DEVICE";

inline TransportChoice WantedTransport() {
  return std::getenv(kDeviceWanted) != nullptr ? TransportChoice::kDevice : TransportChoice::kFastest;
}

}  // namespace pgstrata::fuse
