#include "volume/layer/layer_file.h"

#include <fmt/core.h>

#include <random>

#include "foundation/base/text.h"

namespace pgstrata::layer {
namespace {

std::string NewLogPath(const std::string& directory) { return directory + "/log.new"; }

// Writes frames one after the other, a piece at a time.
class LogWriter {
 public:
  LogWriter(StorageFile& file, const LogHeader& header) : file_(file), header_(header) {
    buffer_ = EncodeLogHeader(header);
  }
  void Add(const Record& record) {
    if (!status_) return;
    AppendFrame(buffer_, header_, written_ + buffer_.size(), record);
    if (buffer_.size() >= kMaxFrameBody) Flush();
  }
  // Everything is durable; returns the length.
  Result<uint64_t> Finish() {
    Flush();
    PGS_TRY(status_);
    PGS_TRY(file_.DataSync());
    return written_;
  }

 private:
  void Flush() {
    if (status_) status_ = file_.WriteAt(written_, AsBytes(buffer_));
    written_ += buffer_.size();
    buffer_.clear();
  }

  StorageFile& file_;
  const LogHeader header_;
  std::string buffer_;
  uint64_t written_ = 0;
  Status status_;
};

}  // namespace

std::string LogPath(const std::string& directory) { return directory + "/log"; }
std::string BlobsPath(const std::string& directory) { return directory + "/blobs"; }
std::string BlobPath(const std::string& directory, uint64_t node) {
  return fmt::format("{}/{:x}", BlobsPath(directory), node);
}
std::string LockPath(const std::string& directory) { return directory + "/lock"; }

Status MakeLayerDirectories(LayerStorage& storage, const std::string& directory) {
  PGS_TRY(storage.MakeDirectories(directory));
  PGS_ASSIGN(const auto names, storage.List(directory));
  if (!names.empty()) {
    return Fail(Error(ErrorCode::kAlreadyExists, "the layer's directory " + Quoted(directory) + " is not empty")
                    .WithHint("choose another directory, or remove what is in this one"));
  }
  return storage.MakeDirectories(BlobsPath(directory));
}

LayerId RandomLayerId() {
  std::random_device random;
  LayerId id{};
  for (std::byte& byte : id) byte = static_cast<std::byte>(random());
  return id;
}

Status SyncParentOf(LayerStorage& storage, const std::string& directory) {
  const size_t end = directory.find_last_not_of('/');
  const size_t slash = directory.find_last_of('/', end);
  if (slash == std::string::npos) return storage.SyncDirectory(".");
  return storage.SyncDirectory(slash == 0 ? "/" : directory.substr(0, slash));
}

Result<LayerFile> ReadLayerFile(LayerStorage& storage, const std::string& directory, OpenMode mode) {
  const std::string path = LogPath(directory);
  LayerFile file{.directory = directory};
  auto opened = storage.Open(path, mode);
  if (!opened && opened.error().code() == ErrorCode::kNotFound) {
    return Fail(ErrorCode::kNotFound, "there is no layer in " + Quoted(directory));
  }
  PGS_ASSIGN(file.log, std::move(opened));
  PGS_ASSIGN(file.size, file.log->Size());
  std::array<std::byte, kLogHeaderBytes> head{};
  PGS_ASSIGN(const size_t count, file.log->ReadAt(0, head));
  PGS_ASSIGN(file.header, ParseLogHeader(ByteView(head).first(count), path));
  LogReader reader(file.header, path, [&](uint64_t offset, MutableBytes out) { return file.log->ReadAt(offset, out); });
  while (true) {
    PGS_ASSIGN(auto record, reader.Next());
    if (!record) break;
    file.state.Apply(*std::move(record));
  }
  file.end = reader.position();
  if (file.header.sealed && (!file.state.seal || file.end != file.size)) {
    return Fail(ErrorCode::kCorrupt, Quoted(path) + " is damaged: it does not end as a sealed layer does");
  }
  return file;
}

Status SyncDataFiles(LayerStorage& storage, const LayerFile& file) {
  if (file.header.clean) return {};
  for (const auto& [node, content] : file.state.files) {
    if (content.map.data_blocks() == 0) continue;
    PGS_ASSIGN(const auto data, storage.Open(BlobPath(file.directory, node), OpenMode::kRead));
    PGS_TRY(data->DataSync());
  }
  return {};
}

Status RewriteLog(LayerStorage& storage, LayerFile& file, bool seal) {
  const std::string path = NewLogPath(file.directory);
  PGS_TRY(storage.Remove(path));
  PGS_ASSIGN(auto log, storage.Open(path, OpenMode::kCreate));
  LogHeader header = file.header;
  ++header.generation;
  header.sealed = header.clean = seal;
  LogWriter writer(*log, header);
  file.state.ForEachRecord([&](const Record& record) { writer.Add(record); });
  if (seal) writer.Add(file.state.Totals());
  PGS_ASSIGN(const uint64_t length, writer.Finish());
  PGS_TRY(storage.Rename(path, LogPath(file.directory)));
  PGS_TRY(storage.SyncDirectory(file.directory));
  file.log = std::move(log);
  file.header = header;
  file.end = file.size = length;
  return {};
}

uint64_t RewrittenBytes(const LayerFile& file) {
  uint64_t bytes = kLogHeaderBytes;
  std::string frame;
  file.state.ForEachRecord([&](const Record& record) {
    frame.clear();
    AppendFrame(frame, file.header, 0, record);
    bytes += frame.size();
  });
  return bytes;
}

}  // namespace pgstrata::layer
