// A Volume as what a kept worker serves.
#include "volume/layer/volume.h"
#include "volume/worker/kept_worker.h"

namespace pgstrata::worker {
namespace {

ServedVolume::Facts FactsOf(const layer::Volume& volume) {
  const layer::VolumeStatistics statistics = volume.Statistics();
  ServedVolume::Facts facts{
      .image_bytes_read = statistics.base_bytes_read, .layer_bytes_read = statistics.layer_bytes_read, .layers = {}};
  for (const auto& layer : statistics.layers) {
    facts.layers.push_back({.directory = layer.directory, .bytes = layer.bytes});
  }
  return facts;
}

Result<Frozen> Freeze(layer::Volume& volume, const std::string& new_layer) {
  PGS_ASSIGN(auto report, volume.Freeze(new_layer));
  return Frozen{.held = report.held, .sealed = std::move(report.sealed)};
}

}  // namespace

ServedVolume Serve(layer::Volume& volume) {
  return {.file_system = &volume,
          .enter = [&volume] { volume.image().BeginReading(); },
          .leave = [&volume] { volume.image().EndReading(); },
          .flush = [&volume] { return volume.Flush(); },
          .close = [&volume] { return volume.Close(); },
          .tend = [&volume] { return volume.Tend(); },
          .freeze = [&volume](const std::string& layer) { return Freeze(volume, layer); },
          .facts = [&volume] { return FactsOf(volume); },
          .limit = [&volume](uint64_t max_bytes) { volume.Limit(max_bytes); }};
}

Result<KeptWorker> StartKeptWorker(layer::Volume& volume, const KeptWorkerOptions& options) {
  return StartKeptWorker(Serve(volume), options);
}

}  // namespace pgstrata::worker
