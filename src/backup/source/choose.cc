#include "backup/source/choose.h"

#include <utility>

#include "foundation/base/text.h"

namespace pgstrata::source {

Result<size_t> ChooseBackup(const std::string& place, const std::vector<std::string>& choices,
                            const SourceRequest& request) {
  if (choices.size() == 1) return 0;
  const std::string question = std::to_string(choices.size()) + " backups lie in " + Quoted(place);
  if (request.choose) return request.choose(question, choices);
  std::string hint = "name one of them:";
  for (const auto& line : choices) hint += "\n  " + line;
  return Fail(Error(ErrorCode::kInvalidArgument, question).WithHint(std::move(hint)));
}

}  // namespace pgstrata::source
