#include "catalog/probackup/catalog.h"

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "foundation/io/directory.h"
#include "tests/probackup/chain_fixture.h"

namespace pgstrata::probackup {
namespace {

using test::BuiltBackup;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CatalogTest : public ChainTest {
 protected:
  CatalogTest() {
    full_.files = {{.path = "PG_VERSION", .content = "15\n"}};
    delta_.files = {{.path = "PG_VERSION", .unchanged = true, .full_size = 3}};
    delta_.parent = full_.Id();
    full_directory_ = catalog().Add(full_);
    delta_directory_ = catalog().Add(delta_);
  }
  [[nodiscard]] std::string Readers(const std::string& backup) const { return Content(backup + "/backup_ro.pid"); }

  BuiltBackup full_{.start_time = kTestTime};
  BuiltBackup delta_{.start_time = kTestTime + 1, .mode = "DELTA"};
  std::string full_directory_;
  std::string delta_directory_;
};

TEST_F(CatalogTest, BackupsAreFoundByNameAndByPath) {
  const std::string root = catalog().root();
  for (const std::string& name : {root + "/main/" + full_.Id(), root + "/main/" + full_.Id() + '/', full_directory_,
                                  full_directory_ + "/database"}) {
    const auto place = FindBackup(name);
    ASSERT_TRUE(place.has_value()) << name << ": " << place.error().message();
    EXPECT_EQ(place->directory, full_directory_);
    EXPECT_EQ(place->external, 0U);
  }
  ASSERT_TRUE(io::MakeDirectories(full_directory_ + "/external_directories/externaldir2").has_value());
  const auto external = FindBackup(root + "/main/" + full_.Id() + "/external_directories/externaldir2");
  ASSERT_TRUE(external.has_value());
  EXPECT_EQ(external->external, 2U);
  EXPECT_EQ(WalDirectoryOf(full_directory_), root + "/wal/main");
  const auto hint = [](const std::string& name) {
    const auto place = FindBackup(name);
    return place ? "no error" : place.error().message() + " / " + place.error().hint();
  };
  EXPECT_THAT(hint(root + "/main/NONE"), HasSubstr("the backups of main are: TOTK0V, TOTK0W"));
  EXPECT_THAT(hint(root + "/other/NONE"), HasSubstr("its instances are: main"));
  EXPECT_THAT(hint(root + "/main"), HasSubstr("the backups of main are"));
  EXPECT_THAT(hint(root), HasSubstr("its instances are: main"));
  EXPECT_THAT(hint("/nowhere"), HasSubstr("CATALOG/INSTANCE/ID"));
  EXPECT_FALSE(FindBackupAt(root).has_value());
  EXPECT_TRUE(IsCatalog(root));
  EXPECT_FALSE(IsCatalog(full_directory_));
}

TEST_F(CatalogTest, ListingSaysWhichBackupsOpen) {
  BuiltBackup running{.start_time = kTestTime + 2, .status = "RUNNING"};
  BuiltBackup child{.start_time = kTestTime + 3, .mode = "PAGE", .parent = running.Id()};
  BuiltBackup orphan{.start_time = kTestTime + 4, .mode = "DELTA", .parent = "AAAAAA"};
  for (const auto& backup : {running, child, orphan}) catalog().Add(backup);
  ASSERT_TRUE(io::MakeDirectories(catalog().root() + "/backups/main/ZZZZZZ").has_value());
  const auto listed = ListCatalog(catalog().root());
  ASSERT_TRUE(listed.has_value()) << listed.error().message();
  ASSERT_EQ(listed->size(), 1U);
  EXPECT_EQ(listed->front().name, "main");
  EXPECT_EQ(listed->front().wal_directory, catalog().root() + "/wal/main");
  const auto& backups = listed->front().backups;
  ASSERT_EQ(backups.size(), 6U);
  EXPECT_EQ(backups[0].id, full_.Id());
  EXPECT_FALSE(backups[0].problem.has_value());
  EXPECT_THAT(backups[1].chain, ElementsAre(full_.Id()));
  EXPECT_FALSE(backups[1].problem.has_value());
  EXPECT_THAT(backups[2].problem->message(), HasSubstr("RUNNING"));
  EXPECT_THAT(backups[3].problem->message(), HasSubstr("cannot be used"));
  EXPECT_THAT(backups[4].problem->message(), HasSubstr("AAAAAA, on which it stands, is missing"));
  EXPECT_FALSE(backups[5].control.has_value());
  EXPECT_TRUE(backups[5].problem.has_value());
  EXPECT_FALSE(ListCatalog(full_directory_).has_value());
}

TEST_F(CatalogTest, ArchiveOfTheInstanceIsAtHand) {
  Write(catalog().root() + "/wal/main/000000010000000000000002", "segment");
  const auto archive = Open(delta_directory_)->OpenWalArchive();
  ASSERT_TRUE(archive.has_value());
  ASSERT_NE(*archive, nullptr);
  EXPECT_EQ((*archive)->List()->size(), 1U);
  ASSERT_TRUE(io::RemoveTree(catalog().root() + "/wal/main").has_value());
  EXPECT_EQ(*Open(delta_directory_)->OpenWalArchive(), nullptr);
}

TEST_F(CatalogTest, ReadersAreRegisteredWithEveryBackupOfTheChain) {
  const std::string own = std::to_string(::getpid()) + '\n';
  auto backup = Open(delta_directory_);
  EXPECT_EQ(Readers(full_directory_), own);
  EXPECT_EQ(Readers(delta_directory_), own);
  EXPECT_FALSE(io::Exists(full_directory_ + "/backup.pid"));
  auto image = backup->MakeImage();
  backup.reset();
  EXPECT_EQ(Readers(full_directory_), own) << "an image is a reader";
  auto second = Open(full_directory_);
  EXPECT_EQ(Readers(full_directory_), own + own);
  image.reset();
  EXPECT_EQ(Readers(full_directory_), own);
  second.reset();
  EXPECT_FALSE(io::Exists(full_directory_ + "/backup_ro.pid"));
  EXPECT_FALSE(io::Exists(delta_directory_ + "/backup_ro.pid"));
}

TEST_F(CatalogTest, OtherReadersStayAndDeadOnesGo) {
  const pid_t ended = ::fork();
  if (ended == 0) ::_exit(0);
  ::waitpid(ended, nullptr, 0);
  Write(full_directory_ + "/backup_ro.pid", "1\n" + std::to_string(ended) + "\njunk\n");
  auto backup = Open(full_directory_);
  EXPECT_EQ(Readers(full_directory_), "1\n" + std::to_string(::getpid()) + '\n');
  backup.reset();
  EXPECT_EQ(Readers(full_directory_), "1\n");
}

TEST_F(CatalogTest, ForkedProcessRegistersItself) {
  auto backup = Open(full_directory_);
  const auto image = backup->MakeImage();
  const pid_t child = ::fork();
  if (child == 0) {
    const bool read = image->Stat("PG_VERSION").has_value();
    const bool registered = Content(full_directory_ + "/backup_ro.pid").contains(std::to_string(::getpid()));
    ::_exit(read && registered ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(CatalogTest, AForkedReaderIsRegisteredFromTheBeginningToItsEnd) {
  const std::string readers = full_directory_ + "/backup_ro.pid";
  auto backup = Open(full_directory_);
  const auto image = backup->MakeImage();
  const pid_t child = ::fork();
  if (child == 0) {
    image->BeginReading();
    const bool registered = Content(readers).contains(std::to_string(::getpid()));
    image->EndReading();
    const bool gone = !Content(readers).contains(std::to_string(::getpid()));
    static_cast<void>(image->Stat("PG_VERSION"));  // a read that is late
    ::_exit(registered && gone && !Content(readers).contains(std::to_string(::getpid())) ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Content(readers), std::to_string(::getpid()) + '\n');
  image->EndReading();
  EXPECT_FALSE(io::Exists(readers));
}

TEST_F(CatalogTest, AReaderThatWasKilledIsForgottenByTheNext) {
  const std::string readers = full_directory_ + "/backup_ro.pid";
  const pid_t child = ::fork();
  if (child == 0) {
    const auto backup = Backup::Open({.directory = full_directory_, .name = "catalog"});
    ::_exit(backup ? 0 : 1);  // as SIGKILL would: nothing is destroyed
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(Content(readers), std::to_string(child) + '\n');
  {
    const auto backup = Open(full_directory_);
  }
  EXPECT_FALSE(io::Exists(readers));
}

// A process with this name that lives until the object goes.
class NamedProcess {
 public:
  explicit NamedProcess(const char* name) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_NAME, name);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (true) ::pause();
  }
  NamedProcess(const NamedProcess&) = delete;
  NamedProcess& operator=(const NamedProcess&) = delete;
  ~NamedProcess() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  const pid_t pid_;
};

TEST_F(CatalogTest, ExclusiveLockOfALivingPgProbackupIsRespected) {
  {
    const NamedProcess merging("pg_probackup-15");
    Write(full_directory_ + "/backup.pid", std::to_string(merging.pid()) + '\n');
    while (!io::ReadWholeFile("/proc/" + std::to_string(merging.pid()) + "/comm")->starts_with("pg_probackup"))
      ::usleep(1000);
    EXPECT_THAT(ErrorOf(delta_directory_),
                HasSubstr("process " + std::to_string(merging.pid()) + " changes the backup"));
    EXPECT_FALSE(io::Exists(delta_directory_ + "/backup_ro.pid")) << "taken back";
  }
  EXPECT_EQ(ErrorOf(delta_directory_), "no error") << "its holder is gone";
  const NamedProcess another("another");
  Write(full_directory_ + "/backup.pid", std::to_string(another.pid()) + '\n');
  while (!io::ReadWholeFile("/proc/" + std::to_string(another.pid()) + "/comm")->starts_with("another")) ::usleep(1000);
  EXPECT_EQ(ErrorOf(delta_directory_), "no error") << "the number is used again";
}

}  // namespace
}  // namespace pgstrata::probackup
