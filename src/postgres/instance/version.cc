#include "postgres/instance/version.h"

#include <cctype>

#include "foundation/base/text.h"

namespace pgstrata::instance {

std::string ServerVersion::ToString() const {
  return minor ? std::to_string(major) + '.' + std::to_string(*minor) : std::to_string(major);
}

std::optional<ServerVersion> ParseVersionOutput(std::string_view output) {
  constexpr std::string_view kBefore = "(PostgreSQL) ";
  const size_t at = output.find(kBefore);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = output.substr(at + kBefore.size());
  const auto take_number = [&rest]() -> std::optional<int> {
    constexpr size_t kMostDigits = 6;
    size_t digits = 0;
    while (digits < rest.size() && std::isdigit(static_cast<unsigned char>(rest[digits])) != 0) ++digits;
    if (digits == 0 || digits > kMostDigits) return std::nullopt;
    const auto value = ParseDecimal(rest.substr(0, digits));
    rest.remove_prefix(digits);
    return static_cast<int>(*value);
  };
  const auto major = take_number();
  if (!major) return std::nullopt;
  if (!rest.starts_with('.')) return ServerVersion{*major, 0};  // "18beta1", "19devel"
  rest.remove_prefix(1);
  return ServerVersion{*major, take_number().value_or(0)};
}

}  // namespace pgstrata::instance
