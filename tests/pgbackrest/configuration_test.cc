#include "catalog/pgbackrest/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/pgbackrest/labels.h"

namespace pgstrata::pgbackrest {
namespace {

using ::testing::HasSubstr;

constexpr const char* kText =
    "# a comment\n[global]\nrepo1-path=/backups/one\nrepo1-cipher-pass = with = signs \nrepo2-path=/backups/two\n"
    "repo2-type=s3\nprocess-max=2\n\n[global:restore]\nrepo3-host=elsewhere\n\n[main]\npg1-path=/data\nrepo1-path=/"
    "backups/main\n";

TEST(ConfigurationTest, TheSectionOfTheStanzaGoesBeforeGlobal) {
  const auto repositories = ParseConfiguration(kText, "main", true);
  ASSERT_TRUE(repositories.has_value()) << repositories.error().message();
  ASSERT_EQ(repositories->size(), 3U);
  EXPECT_EQ(repositories->at(0).path, "/backups/main");
  EXPECT_EQ(repositories->at(0).passphrase, "with = signs");
  EXPECT_EQ(repositories->at(1).path, "/backups/two");
  EXPECT_EQ(repositories->at(1).type, "s3");
  EXPECT_EQ(repositories->at(2).host, "elsewhere");
}

TEST(ConfigurationTest, AStanzaThatIsNotNamedIsNotFoundWhereItMustBe) {
  EXPECT_EQ(ParseConfiguration(kText, "other", true).error().code(), ErrorCode::kNotFound);
  EXPECT_EQ(ParseConfiguration(kText, "other", false).value().at(0).path, "/backups/one");
  EXPECT_EQ(ParseConfiguration("[main]\npg1-path=/data\n", "main", true).value().at(0).path, "/var/lib/pgbackrest");
}

TEST(ConfigurationTest, OnlyRepositoriesThatAreNamedAreThere) {
  const auto repositories = ParseConfiguration("[main]\nrepo2-path=/backups/two\n", "main", true).value();
  ASSERT_EQ(repositories.size(), 1U);
  EXPECT_EQ(repositories[0].number, 2U);
}

TEST(ConfigurationTest, WhatDoesNotFitIsNamedByItsLineAndNotRepeated) {
  const auto parsed = ParseConfiguration("[global]\nrepo1-cipher-pass secret\n", "main", false);
  ASSERT_FALSE(parsed.has_value());
  EXPECT_THAT(parsed.error().message(), HasSubstr("line 2"));
  EXPECT_THAT(parsed.error().message(), Not(HasSubstr("secret")));
}

TEST(LabelsTest, OnlyTheNamesOfBackupsAreLabels) {
  for (const char* label :
       {"20261120-210437F", "20261120-210437F_20261120-210440D", "20261120-210437F_20261120-210443I"}) {
    EXPECT_TRUE(IsBackupLabel(label)) << label;
    EXPECT_EQ(FullLabelOf(label), "20261120-210437F");
  }
  for (const char* text : {"", "latest", "20261120-210437", "20261120-210437D", "20261120-210437F_",
                           "20261120-210437F/..", "20261120-210437F_20261120-210440F", "20261120 210437F"}) {
    EXPECT_FALSE(IsBackupLabel(text)) << text;
  }
}

}  // namespace
}  // namespace pgstrata::pgbackrest
