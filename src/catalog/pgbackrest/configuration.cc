#include "catalog/pgbackrest/configuration.h"

#include <map>
#include <optional>
#include <utility>

#include "foundation/base/text.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr std::string_view kGlobal = "global";
constexpr uint64_t kMostRepositories = 256;

// "repo2-cipher-pass" is 2 and "cipher-pass"; "repo-path", as old versions wrote it, is of the first.
std::optional<std::pair<uint32_t, std::string_view>> TakeApart(std::string_view key) {
  constexpr std::string_view kPrefix = "repo";
  if (!key.starts_with(kPrefix)) return std::nullopt;
  key.remove_prefix(kPrefix.size());
  const size_t dash = key.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto number = dash == 0 ? std::optional<uint64_t>(1) : ParseDecimal(key.substr(0, dash));
  if (!number || *number == 0 || *number > kMostRepositories) return std::nullopt;
  return std::pair(static_cast<uint32_t>(*number), key.substr(dash + 1));
}

void Set(ConfiguredRepository& repository, std::string_view option, std::string_view value) {
  if (option == "path") repository.path = value;
  if (option == "type") repository.type = value;
  if (option == "host") repository.host = value;
  if (option == "cipher-pass") repository.passphrase = value;
}

// The section without what it says of single commands: "global:restore" is global's.
std::string_view SectionOf(std::string_view line) { return line.substr(0, line.find(':')); }

}  // namespace

Result<std::vector<ConfiguredRepository>> ParseConfiguration(std::string_view text, std::string_view stanza,
                                                             bool must_be_named) {
  using Options = std::map<std::pair<uint32_t, std::string_view>, std::string_view>;
  Options global;
  Options own;
  std::string_view section;
  bool is_named = false;
  size_t number = 0;
  for (const auto whole_line : SplitLines(text)) {
    ++number;
    const std::string_view line = TrimWhitespace(whole_line);
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = SectionOf(line.substr(1, line.size() - 2));
      is_named = is_named || section == stanza;
      continue;
    }
    const size_t equal = line.find('=');
    if (equal == std::string_view::npos || section.empty()) {
      return Fail(ErrorCode::kCorrupt, "line " + std::to_string(number) + " is not KEY=VALUE of a section");
    }
    const auto key = TakeApart(TrimWhitespace(line.substr(0, equal)));
    const std::string_view value = TrimWhitespace(line.substr(equal + 1));
    if (key && section == kGlobal) global.try_emplace(*key, value);
    if (key && section == stanza) own.try_emplace(*key, value);
  }
  if (must_be_named && !is_named)
    return Fail(ErrorCode::kNotFound, "there is no section [" + std::string(stanza) + "]");
  own.merge(global);
  std::map<uint32_t, ConfiguredRepository> repositories;
  if (own.empty()) repositories[1].number = 1;  // where it is when nobody says
  for (const auto& [key, value] : own) {
    auto& repository = repositories[key.first];
    repository.number = key.first;
    Set(repository, key.second, value);
  }
  std::vector<ConfiguredRepository> sorted;
  sorted.reserve(repositories.size());
  for (auto& [key, repository] : repositories) sorted.push_back(std::move(repository));
  return sorted;
}

}  // namespace pgstrata::pgbackrest
