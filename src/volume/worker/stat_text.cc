#include "volume/worker/stat_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "foundation/base/text.h"
#include "foundation/base/types.h"
#include "volume/worker/control_socket.h"

namespace pgstrata::worker {
namespace {

using codec::Json;

// A worker's answers are checked like any other input: the name of its socket comes from a mount.
double Real(const Json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_number() ? member->get<double>() : 0;
}
const Json& Member(const Json& object, const char* name) {
  static const Json kNothing = Json::object();
  const auto member = object.find(name);
  return member != object.end() ? *member : kNothing;
}

std::string FormatTime(double microseconds) {
  if (microseconds < 1000) return fmt::format("{:.0f} us", microseconds);
  if (microseconds < 1'000'000) return fmt::format("{:.1f} ms", microseconds / 1000);
  return fmt::format("{:.1f} s", microseconds / 1'000'000);
}

void PrintLayers(const Json& stat, std::string& out) {
  for (const Json& layer : Member(stat, "layers")) {
    fmt::format_to(std::back_inserter(out), "layer     {} in {}\n", FormatBytes(NumberOf(layer, "bytes")),
                   TextOf(layer, "directory"));
  }
}

void PrintRequests(const Json& requests, std::string& out) {
  if (requests.empty()) return;
  fmt::format_to(std::back_inserter(out), "\n{:<16}{:>10}{:>12}{:>10}{:>10}{:>10}{:>10}\n", "request", "count", "bytes",
                 "p50", "p90", "p99", "max");
  for (const auto& [kind, one] : requests.items()) {
    const uint64_t bytes = NumberOf(one, "bytes");
    fmt::format_to(std::back_inserter(out), "{:<16}{:>10}{:>12}{:>10}{:>10}{:>10}{:>10}\n", kind,
                   NumberOf(one, "count"), bytes == 0 ? "" : FormatBytes(bytes), FormatTime(Real(one, "p50_us")),
                   FormatTime(Real(one, "p90_us")), FormatTime(Real(one, "p99_us")), FormatTime(Real(one, "max_us")));
  }
}

}  // namespace

std::string StatText(const codec::Json& stat) {
  std::string out;
  const Timestamp started{static_cast<int64_t>(NumberOf(stat, "started")) * 1'000'000'000};
  fmt::format_to(std::back_inserter(out), "mounted   {}{}, process {}, since {}\n", TextOf(stat, "mountpoint"),
                 IsTrue(stat, "read_only") ? " (read-only)" : "", NumberOf(stat, "pid"), started.ToString());
  fmt::format_to(std::back_inserter(out), "source    {}\n", TextOf(stat, "source"));
  PrintLayers(stat, out);
  const uint64_t from_image = NumberOf(stat, "image_bytes_read");
  const uint64_t from_layers = NumberOf(stat, "layer_bytes_read");
  fmt::format_to(std::back_inserter(out), "read      {} of the source, {} of layers; {} of that came from storage\n",
                 FormatBytes(from_image), FormatBytes(from_layers),
                 FormatBytes(std::min(NumberOf(stat, "storage_bytes_read"), from_image + from_layers)));
  fmt::format_to(std::back_inserter(out), "process   {} of memory, {} files open{}\n",
                 FormatBytes(NumberOf(stat, "memory_bytes")), NumberOf(stat, "files_open"),
                 TextOf(stat, "transport") == "io_uring" ? ", requests over io_uring" : "");
  PrintRequests(Member(stat, "requests"), out);
  return out;
}

std::string UnservedStatText(const codec::Json& stat) {
  const std::string dead = TextOf(stat, "mountpoint");
  const std::string where =
      dead.empty() ? "nowhere" : dead + ", but its process has died: pgstrata unmount --force " + dead;
  std::string out = fmt::format("mounted   {}\nsource    {}\n", where, TextOf(stat, "source"));
  PrintLayers(stat, out);
  return out;
}

}  // namespace pgstrata::worker
