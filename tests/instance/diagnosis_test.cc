#include "postgres/instance/diagnosis.h"

#include <gmock/gmock.h>

namespace pgstrata::instance {
namespace {

using testing::EndsWith;

StartError Of(const std::string& lines) { return Diagnose("the server ended with exit status 1", lines); }

TEST(Diagnosis, ShowsErrorsWithTheirDetailsAndWithoutRefusals) {
  const auto error =
      Of("2026-11-20 10:00:00.000 UTC [1] LOG:  starting PostgreSQL 15.20\n"
         "2026-11-20 10:00:00.000 UTC [2] FATAL:  the database system is starting up\n"
         "2026-11-20 10:00:00.000 UTC [3] FATAL:  WAL ends before end of online backup\n"
         "2026-11-20 10:00:00.000 UTC [3] HINT:  All WAL generated while online backup was taken must be available.\n"
         "2026-11-20 10:00:00.000 UTC [1] LOG:  aborting startup due to startup process failure\n"
         "2026-11-20 10:00:00.000 UTC [1] HINT:  belongs to the line above\n");
  EXPECT_EQ(error.message(),
            "the server ended with exit status 1:\n"
            "  FATAL: WAL ends before end of online backup\n"
            "  HINT: All WAL generated while online backup was taken must be available.");
}

TEST(Diagnosis, ShowsTheLastLinesOnly) {
  std::string log;
  for (int i = 0; i < 50; ++i) log += "x ERROR:  number " + std::to_string(i) + '\n';
  std::string shown = "the server ended with exit status 1:";
  for (int i = 38; i < 50; ++i) shown += "\n  ERROR: number " + std::to_string(i);
  EXPECT_EQ(Of(log).message(), shown);
}

TEST(Diagnosis, MessagesFromBeforeLoggingAndOfSeveralLinesAreKept) {
  EXPECT_THAT(
      Of("postgres: could not access the server configuration file \"x\"\np FATAL:  first\n\tsecond\n").message(),
      EndsWith(":\n  postgres: could not access the server configuration file \"x\"\n  FATAL: first second"));
}

TEST(Diagnosis, AMessageThatQuotesASeverityKeepsItsOwn) {
  EXPECT_THAT(Of("p ERROR:  relation \"FATAL:  x\" does not exist\n").message(),
              EndsWith(":\n  ERROR: relation \"FATAL:  x\" does not exist"));
}

TEST(Diagnosis, SilentServerIsSaidToBeSilent) {
  EXPECT_EQ(Of("").message(), "the server ended with exit status 1, without a word in its log");
  EXPECT_EQ(Of("").problem(), StartProblem::kUnknown);
}

TEST(Diagnosis, MissingLibraryIsNamedAsInTheSetting) {
  EXPECT_EQ(Of("p FATAL:  could not access file \"$libdir/plugins/pg_cron\": No such file or directory\n").object(),
            "pg_cron");
  const auto error = Of("p FATAL:  could not load library \"/usr/lib/postgresql/15/lib/timescaledb.so\": undefined\n");
  EXPECT_EQ(error.problem(), StartProblem::kMissingLibrary);
  EXPECT_EQ(error.hint(), "install the library, or start without it: --without-preload timescaledb");
}

TEST(Diagnosis, MissingLocaleIsNamedWhereverItIsMissed) {
  const auto database =
      Of("p FATAL:  database locale is incompatible with operating system\n"
         "p DETAIL:  The database was initialized with LC_COLLATE \"de_XX.utf8\",  which is not recognized by "
         "setlocale().\n");
  EXPECT_EQ(database.problem(), StartProblem::kMissingLocale);
  EXPECT_EQ(database.object(), "de_XX.utf8");
  const auto setting = Of("p FATAL:  invalid value for parameter \"lc_messages\": \"de_XX\"\n");
  EXPECT_EQ(setting.problem(), StartProblem::kMissingLocale);
  EXPECT_EQ(setting.object(), "de_XX");
}

TEST(Diagnosis, MissingSegmentIsNamed) {
  const auto error =
      Of("p FATAL:  could not open file \"pg_wal/000000010000000000000002\": No such file or directory\n"
         "p PANIC:  could not locate a valid checkpoint record at 0/2000028\n");
  EXPECT_EQ(error.problem(), StartProblem::kMissingWal);
  EXPECT_EQ(error.object(), "000000010000000000000002");
}

struct Recognised {
  std::string text;
  StartProblem problem;
  ErrorCode code;
};

class RecognisedCause : public testing::TestWithParam<Recognised> {};

TEST_P(RecognisedCause, HasItsOwnProblemAndCode) {
  const auto error = Of("p FATAL:  " + GetParam().text + '\n');
  EXPECT_EQ(error.problem(), GetParam().problem) << GetParam().text;
  EXPECT_EQ(error.code(), GetParam().code) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    Postgres, RecognisedCause,
    testing::Values(
        Recognised{"recovery ended before configured recovery target was reached", StartProblem::kTargetNotReached,
                   ErrorCode::kMissingWal},
        Recognised{"requested recovery stop point is before consistent recovery point", StartProblem::kTargetTooEarly,
                   ErrorCode::kInvalidArgument},
        Recognised{"WAL was generated with wal_level=minimal, cannot continue recovering",
                   StartProblem::kWalLevelMinimal, ErrorCode::kUnsupported},
        Recognised{"could not write to file \"base/1/2\": No space left on device", StartProblem::kNoSpace,
                   ErrorCode::kNoSpace},
        Recognised{"could not resize shared memory segment \"/PostgreSQL.1\" to 1 bytes: No space left on device",
                   StartProblem::kSharedMemory, ErrorCode::kUnavailable},
        Recognised{"could not map anonymous shared memory: Cannot allocate memory", StartProblem::kSharedMemory,
                   ErrorCode::kUnavailable},
        Recognised{"data directory \"/x\" has wrong ownership", StartProblem::kPermission, ErrorCode::kPermission},
        Recognised{"could not open file \"global/pg_control\": Permission denied", StartProblem::kPermission,
                   ErrorCode::kPermission},
        Recognised{"database files are incompatible with server", StartProblem::kIncompatible, ErrorCode::kUnsupported},
        Recognised{"unexpected directory entry \"16384\" found in pg_tblspc/", StartProblem::kInPlaceTablespace,
                   ErrorCode::kUnsupported},
        Recognised{"lock file \"postmaster.pid\" already exists", StartProblem::kBusy, ErrorCode::kBusy},
        Recognised{"could not write lock file \"postmaster.pid\": No space left on device", StartProblem::kNoSpace,
                   ErrorCode::kNoSpace},
        Recognised{"could not create lock file \"/x/.s.PGSQL.5432.lock\": Permission denied", StartProblem::kPermission,
                   ErrorCode::kPermission},
        Recognised{"could not create symbolic link \"pg_tblspc/16384\": Operation not permitted",
                   StartProblem::kInPlaceTablespace, ErrorCode::kUnsupported},
        Recognised{"incorrect checksum in control file", StartProblem::kCorrupt, ErrorCode::kCorrupt},
        Recognised{"maximum number of prepared transactions reached", StartProblem::kTooLowSetting,
                   ErrorCode::kInvalidArgument},
        Recognised{"could not read block 3 in file \"base/1/2\": Input/output error", StartProblem::kUnknown,
                   ErrorCode::kIo}));

}  // namespace
}  // namespace pgstrata::instance
