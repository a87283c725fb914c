// Names of files are any bytes: what a backup holds must not be able to move the cursor or end a line of our output.
#pragma once

#include <string>
#include <string_view>

namespace pgstrata::cli {

// `text` on one line: control characters, bytes that are not UTF-8, and the characters that turn the direction of
// writing become octal escapes (\033) or \n, \r, \t; a backslash is doubled, so that nothing is ambiguous.
std::string EscapeForTerminal(std::string_view text);

// Whether `text` is UTF-8 (JSON can hold nothing else).
bool IsUtf8(std::string_view text);

}  // namespace pgstrata::cli
