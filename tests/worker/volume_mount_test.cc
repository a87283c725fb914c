// The real volume behind a real mount. The model is a file on the native file system that has the same done to it.
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include <random>

#include "backup/image/directory_image.h"
#include "foundation/io/file.h"
#include "foundation/io/process.h"
#include "tests/support/scratch_directory.h"
#include "volume/layer/volume.h"
#include "volume/worker/worker.h"

namespace pgstrata::worker {
namespace {

class VolumeMountTest : public testing::Test {
 protected:
  VolumeMountTest() {
    for (const std::string& path : {image_, mountpoint_}) EXPECT_TRUE(io::MakeDirectories(path).has_value());
  }

  void Mount() {
    auto image = image::OpenDirectory(image_);
    ASSERT_TRUE(image.has_value()) << image.error().message();
    auto volume = layer::Volume::Create({.image = *std::move(image),
                                         .directory = directory_.path() + "/layer",
                                         .owner = {.uid = ::getuid(), .gid = ::getgid()}});
    ASSERT_TRUE(volume.has_value()) << volume.error().message();
    volume_ = *std::move(volume);
    auto mount = fuse::StartedMount::Begin({.mountpoint = mountpoint_});
    ASSERT_TRUE(mount.has_value()) << mount.error().message();
    auto worker = StartWorker(*volume_, *mount, {});
    ASSERT_TRUE(worker.has_value()) << worker.error().message();
    worker_ = *std::move(worker);
  }
  [[nodiscard]] std::string mounted(const std::string& name) const { return mountpoint_ + '/' + name; }

  test::ScratchDirectory directory_;
  const std::string image_ = directory_.path() + "/image";
  const std::string mountpoint_ = directory_.path() + "/mnt";
  std::unique_ptr<layer::Volume> volume_;
  Worker worker_;
};

std::string RandomText(std::mt19937& random, size_t size) {
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>('a' + random() % 26);
  return text;
}

TEST_F(VolumeMountTest, AWholeTreeReadsAsItsImageAndTheImageStaysAsItWas) {
  std::mt19937 random(7);
  for (int i = 0; i < 300; ++i) {
    const std::string directory = image_ + "/base/" + std::to_string(i % 7);
    ASSERT_TRUE(io::MakeDirectories(directory).has_value());
    ASSERT_TRUE(io::WriteWholeFile(directory + '/' + std::to_string(i), RandomText(random, random() % 40'000)));
  }
  Mount();
  const auto same = [&] { return io::RunAndCapture({.argv = {"diff", "-r", image_, mountpoint_}})->status.AsShell(); };
  EXPECT_EQ(same(), 0);
  ASSERT_TRUE(io::WriteWholeFile(mounted("base/1/1"), "changed").has_value());
  ASSERT_EQ(::unlink(mounted("base/2/2").c_str()), 0);
  EXPECT_EQ(same(), 1);
  EXPECT_NE(io::ReadWholeFile(image_ + "/base/1/1").value(), "changed");
  EXPECT_TRUE(io::Exists(image_ + "/base/2/2"));
}

// Does the same to the file in the mount and to the model.
class Twins {
 public:
  Twins(const std::string& file, const std::string& model, unsigned seed)
      : random_(seed),
        file_(*io::File::Open(file, O_RDWR | O_CREAT)),
        model_(*io::File::Open(model, O_RDWR | O_CREAT)) {}

  void Step() {
    const auto offset = static_cast<off_t>(random_() % kSize);
    const auto length = static_cast<off_t>(1 + random_() % (random_() % 8 == 0 ? 300'000 : 12'000));
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2:
        return WriteBoth(offset, length);
      case 3:
        return WriteMapped(offset);
      case 4:
        return Both([&](int fd) { return ::ftruncate(fd, offset); });
      case 5:
        return Both(
            [&](int fd) { return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length); });
      case 6:
        return Both([&](int fd) { return ::fallocate(fd, 0, offset, length); });
      case 7:
        return Both([&](int fd) { return ::fsync(fd); });
      case 8:
        ::fsync(file_.fd());
        ::posix_fadvise(file_.fd(), 0, 0, POSIX_FADV_DONTNEED);
        return;
      default:
        return Compare(offset, length);
    }
  }
  void Compare(off_t offset, off_t length) {
    std::string from_file(static_cast<size_t>(length), '?');
    std::string from_model(static_cast<size_t>(length), '?');
    const ssize_t read = ::pread(file_.fd(), from_file.data(), from_file.size(), offset);
    ASSERT_EQ(read, ::pread(model_.fd(), from_model.data(), from_model.size(), offset));
    ASSERT_TRUE(from_file == from_model) << "at " << offset << ", " << length << " bytes";
  }
  void CompareAll() {
    ASSERT_EQ(Size(file_), Size(model_));
    Compare(0, kSize * 2);
  }

 private:
  static constexpr off_t kSize = 1 << 20;

  static off_t Size(const io::File& file) { return file.Stat()->st_size; }
  void Both(const auto& operation) {
    ASSERT_EQ(operation(file_.fd()), 0) << strerror(errno);
    ASSERT_EQ(operation(model_.fd()), 0) << strerror(errno);
  }
  void WriteBoth(off_t offset, off_t length) {
    const std::string text = RandomText(random_, static_cast<size_t>(length));
    ASSERT_EQ(::pwrite(file_.fd(), text.data(), text.size(), offset), length);
    ASSERT_EQ(::pwrite(model_.fd(), text.data(), text.size(), offset), length);
  }
  void WriteMapped(off_t offset) {
    const off_t size = Size(file_);
    if (size == 0) return;
    offset %= size;
    const std::string text = RandomText(random_, static_cast<size_t>(std::min<off_t>(size - offset, 9000)));
    for (const io::File* file : {&file_, &model_}) {
      auto* memory = static_cast<char*>(
          ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, file->fd(), 0));
      ASSERT_NE(memory, MAP_FAILED);
      text.copy(memory + offset, text.size());
      ASSERT_EQ(::munmap(memory, static_cast<size_t>(size)), 0);
    }
  }

  std::mt19937 random_;
  io::File file_;
  io::File model_;
};

TEST_F(VolumeMountTest, RandomOperationsOnAFileOfTheImageMatchANativeFile) {
  const unsigned first_seed = std::random_device{}();
  std::mt19937 random(first_seed);
  for (int i = 0; i < 4; ++i) {
    const std::string name = "file" + std::to_string(i);
    const std::string content = RandomText(random, random() % 900'000);
    ASSERT_TRUE(io::WriteWholeFile(image_ + '/' + name, content).has_value());
    ASSERT_TRUE(io::WriteWholeFile(directory_.path() + '/' + name, content).has_value());
  }
  Mount();
  for (unsigned i = 0; i < 4; ++i) {
    SCOPED_TRACE("seed " + std::to_string(first_seed) + " + " + std::to_string(i));
    const std::string name = "file" + std::to_string(i);
    Twins twins(mounted(name), directory_.path() + '/' + name, first_seed + i);
    for (int step = 0; step < 250 && !HasFatalFailure(); ++step) twins.Step();
    twins.CompareAll();
  }
}

}  // namespace
}  // namespace pgstrata::worker
