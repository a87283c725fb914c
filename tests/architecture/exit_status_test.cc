#include "app/cli/exit_status.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/architecture/source_tree.h"

namespace pgstrata::cli {
namespace {

using architecture::MatchAll;
using architecture::ReadSource;

// The names of the enumeration, read from its header, so that none can be forgotten here.
std::vector<std::string> ErrorCodeNames() {
  const auto header = ReadSource("src/foundation/base/error.h");
  const auto begin = header.find("enum class ErrorCode {");
  const auto body = header.substr(begin, header.find("};", begin) - begin);
  std::vector<std::string> names;
  for (const auto& match : MatchAll(body, R"(\n\s*(k[A-Za-z]+))")) names.push_back(match[1]);
  return names;
}

// Status by error code, from the rows "| 65 | meaning | `kCorrupt` `kInvalidArgument` |".
std::map<std::string, int> DocumentedStatuses() {
  std::map<std::string, int> statuses;
  for (const auto& row : MatchAll(ReadSource("docs/exit-status.md"), R"(\n\| (\d+) \|[^|\n]*\|([^|\n]*)\|)")) {
    for (const auto& code : MatchAll(row[2], "`(k[A-Za-z]+)`")) {
      EXPECT_TRUE(statuses.emplace(code[1], std::stoi(row[1])).second) << code[1] << " stands in two rows";
    }
  }
  return statuses;
}

TEST(ExitStatus, AgreesWithItsPage) {
  const auto documented = DocumentedStatuses();
  const auto names = ErrorCodeNames();
  ASSERT_GE(names.size(), 13U);
  for (std::size_t value = 0; value < names.size(); ++value) {
    ASSERT_TRUE(documented.contains(names[value])) << names[value] << " is not in docs/exit-status.md";
    EXPECT_EQ(ExitStatusOf(static_cast<ErrorCode>(value)), documented.at(names[value])) << names[value];
  }
  EXPECT_EQ(documented.size(), names.size()) << "docs/exit-status.md names a code that is not there";
}

}  // namespace
}  // namespace pgstrata::cli
