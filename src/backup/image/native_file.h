// One file of the source as an ImageFile, watched for change.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backup/image/fingerprint.h"
#include "backup/image/image.h"

namespace pgstrata::image {

// A file that stays open with the fingerprint it has now. Its ReadAt is kCorrupt once the fingerprint is another.
class NativeFile : public ImageFile {
 public:
  [[nodiscard]] virtual const Fingerprint& fingerprint() const = 0;
};

// Whether it is a change when a file gets another hard link, or loses one: then its ctime is another.
enum class NewLinks : uint8_t { kAreAChange, kAreNone };

// `path` is a native path to a regular file; a link, or anything else than a file, is kCorrupt (it was a file when its
// directory was read).
Result<std::unique_ptr<NativeFile>> OpenNativeFile(const std::string& path, NewLinks links = NewLinks::kAreAChange);

}  // namespace pgstrata::image
