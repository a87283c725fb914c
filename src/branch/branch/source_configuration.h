// What the cluster's own configuration says: postgresql.conf with what it includes, then postgresql.auto.conf.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "backup/image/image.h"
#include "foundation/base/error.h"

namespace pgstrata::branch {

struct SourceConfiguration {
  std::map<std::string, std::string> settings;  // names in lower case; the last one won
  std::vector<std::string> notes;               // files that could not be read, and why
};

// Files outside the image (Debian keeps postgresql.conf in /etc) are not read: they belong to another machine, or to
// another moment. Never fails: what cannot be read is a note.
SourceConfiguration ReadSourceConfiguration(const image::Image& image);

}  // namespace pgstrata::branch
