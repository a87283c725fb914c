#include "foundation/codec/json.h"

namespace pgstrata::codec {

Result<Json> ParseJson(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& problem) {
    return Fail(ErrorCode::kCorrupt, "not JSON: it stops making sense at byte " + std::to_string(problem.byte));
  } catch (const nlohmann::json::exception& problem) {
    return Fail(ErrorCode::kCorrupt, std::string("not JSON: ") + problem.what());
  }
}

std::string FormatJson(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace pgstrata::codec
