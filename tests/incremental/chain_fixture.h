// Chains of backups made of literals.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "catalog/incremental/chain.h"
#include "foundation/base/types.h"
#include "postgres/pgdata/page.h"
#include "tests/support/memory_image.h"

namespace pgstrata::incremental {

// A block whose every byte is `c`.
inline std::string Block(char c) { return std::string(pgdata::kPageSize, c); }
// One block a character.
inline std::string Blocks(std::string_view letters) {
  std::string bytes;
  for (const char c : letters) bytes += Block(c);
  return bytes;
}

struct NumberedBlock {
  uint32_t number;
  char letter;
};

// An INCREMENTAL file, as the server writes it.
inline std::string IncrementalBytes(uint32_t truncation_block_length, const std::vector<NumberedBlock>& blocks) {
  std::string bytes;
  const auto put = [&bytes](uint32_t value) { bytes.append(reinterpret_cast<const char*>(&value), sizeof value); };
  put(0xD3AE1F0D);
  put(static_cast<uint32_t>(blocks.size()));
  put(truncation_block_length);
  for (const auto& block : blocks) put(block.number);
  if (!blocks.empty()) bytes.resize((bytes.size() + pgdata::kPageSize - 1) / pgdata::kPageSize * pgdata::kPageSize);
  for (const auto& block : blocks) bytes += Block(block.letter);
  return bytes;
}

// A backup_label of a backup that starts at `start`, taken against one that starts at `base` (0: a full one).
inline std::string LabelText(uint32_t start, uint32_t base) {
  const Lsn lsn{uint64_t{start} << 24};
  std::string text = "START WAL LOCATION: " + lsn.ToString() + " (file 0000000100000000000000" + "0" +
                     std::to_string(start % 10) + ")\nCHECKPOINT LOCATION: " + lsn.ToString() +
                     "\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n" +
                     "START TIME: 2026-11-20 21:03:07 UTC\nLABEL: base backup\nSTART TIMELINE: 1\n";
  if (base != 0) {
    text += "INCREMENTAL FROM LSN: " + Lsn{uint64_t{base} << 24}.ToString() + "\nINCREMENTAL FROM TLI: 1\n";
  }
  return text;
}

// A chain in the making: the nth backup (from 1) starts at n and stands on the one before it.
class ChainFixture : public ::testing::Test {
 protected:
  // An image that holds a label and what a test adds.
  test::MemoryImage& AddBackup(const std::string& name) {
    images_.push_back(std::make_shared<test::MemoryImage>(name));
    const auto number = static_cast<uint32_t>(images_.size());
    images_.back()->AddFile("backup_label", LabelText(number, number - 1));
    images_.back()->AddFile("PG_VERSION", "17\n");
    return *images_.back();
  }

  [[nodiscard]] std::vector<ChainBackup> Chain() const {
    std::vector<ChainBackup> chain;
    for (const auto& image : images_) {
      BackupFacts facts{.label = {}, .system_identifier = 7, .major_version = 17};
      const auto text = image::ReadSmallFile(*image, pgdata::kBackupLabelPath);
      auto label = pgdata::ParseBackupLabel(*text);
      EXPECT_TRUE(label.has_value()) << label.error().message();
      if (label) facts.label = *std::move(label);
      chain.push_back({image, std::move(facts)});
    }
    return chain;
  }

  std::vector<std::shared_ptr<test::MemoryImage>> images_;
};

// The letter of each block, "0" for a block of zeros, "?" for one that is of several bytes.
inline std::string Letters(std::string_view bytes) {
  std::string letters;
  for (size_t at = 0; at < bytes.size(); at += pgdata::kPageSize) {
    const auto block = bytes.substr(at, pgdata::kPageSize);
    const bool even = block.find_first_not_of(block[0]) == std::string_view::npos;
    letters += !even ? '?' : block[0] == '\0' ? '0' : block[0];
  }
  return letters;
}

}  // namespace pgstrata::incremental
