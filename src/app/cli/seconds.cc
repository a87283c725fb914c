#include "app/cli/seconds.h"

#include "foundation/base/text.h"

namespace pgstrata::cli {

Result<std::chrono::seconds> ParseSeconds(const std::string& option, const std::string& text) {
  constexpr uint64_t kDay = 86'400;
  const auto number = ParseDecimal(text);
  if (number && *number <= kDay) return std::chrono::seconds(*number);
  return Fail(ErrorCode::kUsage,
              option + " wants a number of seconds up to " + std::to_string(kDay) + ", not " + Quoted(text));
}

}  // namespace pgstrata::cli
