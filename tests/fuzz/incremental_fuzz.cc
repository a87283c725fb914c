// The input is the file of the newest backup; its second half serves as that of the one before.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "backup/image/buffer_file.h"
#include "catalog/incremental/block_map.h"
#include "catalog/incremental/incremental_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pgstrata;
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto file = image::MakeBufferView(bytes);
  const auto header = incremental::ReadIncrementalHeader(*file);
  const auto length = incremental::ReadBlockLength(*file);
  if (!header) return 0;
  if (!length || *length != header->BlockLength()) std::abort();
  incremental::BlockMapBuilder builder(*header, 2);
  if (const auto older = incremental::ParseIncrementalHeader(bytes.subspan(size / 2))) {
    builder.AddIncremental(*older, 1);
  }
  if (builder.WantsOlder()) builder.EndWithFull(0, size * 8192);
  const auto map = std::move(builder).Build();
  for (uint32_t block = 0; block < map.length();) {
    const auto run = map.Find(block);
    if (run.blocks == 0 || run.blocks > map.length() - block) std::abort();
    block += run.blocks;
  }
  return 0;
}
