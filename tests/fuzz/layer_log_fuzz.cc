// The input is tried twice: as a log just as it is, and as pieces (type, length of 2 bytes, body) that become frames
// with right checksums. What a state of a layer says, and only that, is read again when it is written anew.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "foundation/codec/xxh3.h"
#include "volume/layer/layer_state.h"
#include "volume/layer/restore.h"

namespace {

using namespace pgstrata;
using namespace pgstrata::layer;

void AppendFrameOf(std::string& log, const LogHeader& header, uint32_t type, std::string_view body) {
  const uint64_t position = log.size();
  const auto length = static_cast<uint32_t>(body.size());
  std::array<std::byte, 32> place;
  std::memcpy(place.data(), header.id.data(), header.id.size());
  std::memcpy(place.data() + 16, &position, sizeof position);
  std::memcpy(place.data() + 24, &length, sizeof length);
  std::memcpy(place.data() + 28, &type, sizeof type);
  const uint64_t checksum = codec::Xxh3(AsBytes(body), codec::Xxh3(place, header.generation));
  log.append(reinterpret_cast<const char*>(&length), sizeof length);
  log.append(reinterpret_cast<const char*>(&type), sizeof type);
  log.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  log.append(body);
  log.resize((log.size() + 7) / 8 * 8);
}

// Valid, but too much memory for a fuzzer.
bool IsHuge(const Record& record) {
  constexpr uint64_t kBlocks = 1 << 16;
  const auto* blocks = std::get_if<BlocksRecord>(&record);
  return blocks != nullptr && std::ranges::any_of(blocks->runs, [](const BlockRun& run) { return run.end > kBlocks; });
}

LayerState ReadLog(const std::string& log, const LogHeader& header) {
  LogReader reader(header, "log", [&log](uint64_t offset, MutableBytes out) {
    const size_t count = offset < log.size() ? std::min<size_t>(out.size(), log.size() - offset) : 0;
    if (count != 0) std::memcpy(out.data(), log.data() + offset, count);
    return Result<size_t>(count);
  });
  LayerState state;
  while (true) {
    auto record = reader.Next();
    if (!record || !*record) break;
    if (reader.position() > log.size()) __builtin_trap();
    if (!IsHuge(**record)) state.Apply(*std::move(*record));
  }
  return state;
}

std::string WriteLog(const LayerState& state, const LogHeader& header) {
  std::string log = EncodeLogHeader(header);
  state.ForEachRecord([&](const Record& record) { AppendFrame(log, header, log.size(), record); });
  return log;
}

void Try(const std::string& log, const LogHeader& header) {
  LayerState state = ReadLog(log, header);
  LayerState again = ReadLog(WriteLog(state, header), header);
  const SealRecord totals = state.Totals();
  const SealRecord totals_again = again.Totals();
  if (totals.bytes != totals_again.bytes || totals.nodes != totals_again.nodes) __builtin_trap();
  if (state.ended != again.ended || state.numbers != again.numbers) __builtin_trap();
  if (StackState({&state}).dead() != StackState({&again}).dead()) __builtin_trap();
  static_cast<void>(StackState({&state, &again}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  if (const auto header = ParseLogHeader(AsBytes(input), "log")) Try(input, *header);
  const LogHeader header{.generation = 1};
  std::string log = EncodeLogHeader(header);
  for (size_t at = 0; at + 3 <= size;) {
    const uint32_t type = data[at];
    const size_t length = std::min<size_t>(data[at + 1] | data[at + 2] << 8, size - at - 3);
    if (length != 0) AppendFrameOf(log, header, type, std::string_view(input).substr(at + 3, length));
    at += 3 + length;
  }
  Try(log, header);
  return 0;
}
