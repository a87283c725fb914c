#include "tests/e2e/kept_branches.h"

#include <fcntl.h>

#include "foundation/base/text.h"
#include "foundation/codec/json.h"
#include "foundation/io/directory.h"
#include "foundation/io/file.h"
#include "tests/support/postgres_cluster.h"

namespace pgstrata::test {
namespace {

constexpr int kUnavailable = 69;

io::Environment Variables(const PgstrataProgram& program) {
  return {{"PGSTRATA_HOME", program.home()}, {"PG_BIN", PostgresBin()}};
}

}  // namespace

KeptBranches::~KeptBranches() = default;

void KeptBranches::TearDown() {
  const auto listed = codec::ParseJson(Branch({"list", "--json"}).standard_output);
  ASSERT_TRUE(listed.has_value());
  for (const auto& branch : *listed) Do({"drop", branch["name"].get<std::string>(), "--force"});
  EXPECT_EQ(program_.Leftovers(), "");
  for (const char* directory : {"/branches", "/layers", "/clusters"}) {
    const auto names = io::ListDirectory(program_.home() + directory);
    EXPECT_TRUE(!names || names->empty()) << directory << " holds " << names->front();
  }
}

io::Captured KeptBranches::Pgstrata(std::vector<std::string> arguments) const {
  if (!without_root()) return program_.Run(arguments);
  arguments.insert(arguments.begin(), PgstrataProgram::Path());
  return TryRun(std::move(arguments), Variables(program_));
}

io::Captured KeptBranches::Branch(const std::vector<std::string>& arguments) const {
  std::vector<std::string> all = {"branch"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Pgstrata(std::move(all));
}

std::string KeptBranches::Do(const std::vector<std::string>& arguments) const {
  const auto run = Branch(arguments);
  EXPECT_EQ(run.status.AsShell(), 0) << arguments[0] << ": " << run.standard_error;
  return run.standard_output;
}

std::string KeptBranches::Refused(int status, const std::vector<std::string>& arguments) const {
  const auto run = Branch(arguments);
  EXPECT_EQ(run.status.AsShell(), status) << arguments[0] << ": " << run.standard_error;
  return run.standard_error;
}

io::Process KeptBranches::StartBranch(const std::vector<std::string>& arguments, const std::string& output) const {
  std::vector<std::string> all = {"branch"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return StartPgstrata(all, output);
}

io::Process KeptBranches::StartPgstrata(const std::vector<std::string>& arguments, const std::string& output) const {
  std::vector<std::string> argv = {PgstrataProgram::Path()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  if (without_root()) return RunInBackground(argv, output, Variables(program_));
  const auto file = io::File::Open(output, O_WRONLY | O_CREAT | O_TRUNC);
  auto process = io::Process::Spawn({.argv = argv,
                                     .environment = program_.Environment(),
                                     .standard_input = -1,
                                     .standard_output = file->fd(),
                                     .standard_error = file->fd()});
  EXPECT_TRUE(process.has_value());
  return *std::move(process);
}

std::string KeptBranches::Sql(const std::string& name, const std::string& sql) const {
  const auto run = Branch({"psql", name, "--", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql});
  EXPECT_EQ(run.status.AsShell(), 0) << sql << ": " << run.standard_error;
  return std::string(TrimWhitespace(run.standard_output));
}

std::string KeptBranches::Shown(const std::string& name, const std::string& member) const {
  const auto shown = codec::ParseJson(Do({"show", name, "--json"}));
  if (!shown || (*shown)[member].is_null()) return "";
  const auto& value = (*shown)[member];
  return value.is_string() ? value.get<std::string>() : codec::FormatJson(value);
}

std::string KeptBranches::Directory(const std::string& name) const {
  return program_.home() + "/branches/" + Shown(name, "id");
}

pid_t KeptBranches::Worker(const std::string& name) const {
  return static_cast<pid_t>(ParseDecimal(Shown(name, "worker_pid")).value_or(0));
}

std::string KeptBranches::LeftBehind() const {
  const auto found = codec::ParseJson(Pgstrata({"doctor", "--json"}).standard_output);
  std::string text;
  for (const auto& finding : *found) {
    if (finding["subject"] == "left behind" && finding["verdict"] == "problem") {
      text += finding["text"].get<std::string>() + '\n';
    }
  }
  return text;
}

const std::string& KeptBranches::Source() {
  static const std::string source =
      StoppedClusterWith("create table t as select i, 'row ' || i as text from generate_series(1, 1000) i");
  return source;
}

}  // namespace pgstrata::test
