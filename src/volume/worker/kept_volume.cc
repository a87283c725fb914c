// A Volume as what a kept worker serves.
#include "volume/layer/volume.h"
#include "volume/worker/kept_worker.h"

namespace pgstrata::worker {
namespace {

template <typename V>
ServedVolume Serve(V& volume) {
  ServedVolume served;
  served.file_system = &volume;
  served.flush = [&volume]() -> Status {
    if constexpr (requires { volume.Flush(); }) return volume.Flush();
    return {};
  };
  served.tend = [&volume]() -> Status {
    if constexpr (requires { volume.Tend(); }) return volume.Tend();
    return {};
  };
  served.freeze = [&volume](const std::string& directory) -> Result<std::chrono::microseconds> {
    if constexpr (requires { volume.Freeze(directory); }) {
      PGS_ASSIGN(auto report, volume.Freeze(directory));
      PGS_TRY(report.sealed);
      return report.held;
    }
    return Fail(ErrorCode::kUnsupported, "this volume cannot be frozen");
  };
  served.facts = [&volume] {
    const auto statistics = volume.Statistics();
    return ServedVolume::Facts{
        .image_bytes_read = statistics.base_bytes_read, .layer_bytes_read = statistics.layer_bytes_read, .layers = {}};
  };
  return served;
}

}  // namespace

Result<KeptWorker> StartKeptWorker(layer::Volume& volume, const KeptWorkerOptions& options) {
  return StartKeptWorker(Serve(volume), options);
}

}  // namespace pgstrata::worker
