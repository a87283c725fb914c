// JSON as values and errors: nothing here throws.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "foundation/base/error.h"

namespace pgstrata::codec {

// Keeps the order in which members were added or read.
using Json = nlohmann::ordered_json;

// kCorrupt with the byte where it stopped.
Result<Json> ParseJson(std::string_view text);
// One line, or `indent` blanks a level. Bytes that are not UTF-8 become U+FFFD.
std::string FormatJson(const Json& value, int indent = -1);

}  // namespace pgstrata::codec
