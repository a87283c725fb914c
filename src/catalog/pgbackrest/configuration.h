// pgbackrest.conf, as far as it says where repositories are and how they are encrypted. Pure: text in, facts out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "foundation/base/error.h"

namespace pgstrata::pgbackrest {

struct ConfiguredRepository {
  uint32_t number = 1;                       // of repoN-
  std::string path = "/var/lib/pgbackrest";  // repoN-path
  std::string type = "posix";                // repoN-type
  std::string host;                          // repoN-host: the repository is another machine's
  std::string passphrase;                    // repoN-cipher-pass
};

// The repositories of a stanza, sorted by number: its own section goes before [global]. kNotFound where the text has no
// section of that stanza and `must_be_named` is set. Texts of several files (conf.d) may stand one after another.
// kCorrupt where a line is neither section, KEY=VALUE nor comment; the message does not repeat the line.
Result<std::vector<ConfiguredRepository>> ParseConfiguration(std::string_view text, std::string_view stanza,
                                                             bool must_be_named);

}  // namespace pgstrata::pgbackrest
