#include "postgres/client/connect_message.h"

#include <gtest/gtest.h>

namespace pgstrata::client {
namespace {

constexpr std::string_view kPreamble = "connection to server on socket \"/tmp/x/.s.PGSQL.5432\" failed: ";

ConnectError Classify(std::string_view text) {
  return ClassifyConnectMessage(std::string(kPreamble) + std::string(text));
}

TEST(ConnectMessage, StartingUpIsNotYetAndKeepsItsDetail) {
  const auto error = Classify(
      "FATAL:  57P03: the database system is not yet accepting connections\n"
      "DETAIL:  Consistent recovery state has not been yet reached.\n"
      "LOCATION:  ProcessStartupPacket, postmaster.c:2413\n");
  EXPECT_EQ(error.failure(), ConnectFailure::kNotYet);
  EXPECT_EQ(error.sqlstate(), "57P03");
  EXPECT_EQ(
      error.message(),
      "the database system is not yet accepting connections: Consistent recovery state has not been yet reached.");
}

TEST(ConnectMessage, AMessageWithColonsIsKeptWhole) {
  const auto error =
      Classify("FATAL:  58P01: could not access file \"a:  b\": No such file or directory\nLOCATION:  x\n");
  EXPECT_EQ(error.failure(), ConnectFailure::kFatal);
  EXPECT_EQ(error.message(), "could not access file \"a:  b\": No such file or directory");
}

TEST(ConnectMessage, SocketTroubleIsNotYet) {
  for (const char* text :
       {"Connection refused\n\tIs the server running locally and accepting connections on that socket?\n",
        "No such file or directory\n", "Resource temporarily unavailable\n",
        "server closed the connection unexpectedly\n\tThis probably means the server terminated\n"}) {
    EXPECT_EQ(Classify(text).failure(), ConnectFailure::kNotYet) << text;
  }
  EXPECT_EQ(Classify("Permission denied\n").failure(), ConnectFailure::kFatal);
  EXPECT_EQ(Classify("Permission denied\n").code(), ErrorCode::kPermission);
}

TEST(ConnectMessage, HintOfTheServerIsTheHint) {
  const auto error = Classify("FATAL:  53300: too many connections for role \"x\"\nHINT:  Wait.\nLOCATION:  y\n");
  EXPECT_EQ(error.failure(), ConnectFailure::kRoleOrDatabase);
  EXPECT_EQ(error.hint(), "Wait.");
}

TEST(ConnectMessage, StrangeTextIsFatalAndKept) {
  EXPECT_EQ(ClassifyConnectMessage("").failure(), ConnectFailure::kFatal);
  EXPECT_EQ(ClassifyConnectMessage("odd").message(), "odd");
  EXPECT_EQ(ClassifyConnectMessage("FATAL:  ").sqlstate(), "");
}

}  // namespace
}  // namespace pgstrata::client
