// The input as a control file, as a file list, and as the lists of a chain of two: a chain's tree must hold together
// whatever they say.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "catalog/probackup/backup_control.h"
#include "catalog/probackup/content_list.h"
#include "catalog/probackup/file_tree.h"
#include "foundation/base/text.h"

namespace {

using namespace pgstrata;
using namespace pgstrata::probackup;

void CheckNode(const FileTree& tree, uint32_t number, const std::string& path) {
  if (tree.Find(path) != number) __builtin_trap();
  const FileNode& node = tree.node(number);
  if (node.kind == image::EntryKind::kFile) {
    if (!node.has_pages && !node.length) __builtin_trap();
    if (node.length == 0 && !node.copies.empty() && node.has_pages && node.blocks.value_or(1) != 0) __builtin_trap();
    return;
  }
  for (const uint32_t child : node.children) CheckNode(tree, child, JoinPath(path, tree.node(child).name));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto control = ParseBackupControl(text)) {
    (void)CheckUsable(*control, true);
    if (!IsBackupId(control->id)) __builtin_trap();
  }
  FileTree tree;
  (void)ParseContentList(text, [&](ContentEntry&& entry) -> Status {
    tree.AddNewest(entry, entry.segment % 2 == 0 ? BackupMode::kDelta : BackupMode::kPage);
    return {};
  });
  (void)ParseContentList(text, [&](ContentEntry&& entry) -> Status {
    entry.size = entry.crc;
    tree.AddOlder(entry, 1, BackupMode::kFull);
    return {};
  });
  tree.Finish(kNewestVersion);
  CheckNode(tree, FileTree::kRoot, "");
  return 0;
}
