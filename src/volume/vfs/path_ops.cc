#include "volume/vfs/path_ops.h"

#include <algorithm>
#include <utility>

namespace pgstrata::vfs {
namespace {

constexpr int kMaxLinks = 40;
constexpr size_t kPiece = size_t{1} << 20;

// A reference to an inode, given back at the end. The root needs none.
class Held {
 public:
  explicit Held(FileSystem& fs) : fs_(&fs) {}
  Held(FileSystem& fs, const Attributes& attributes) : fs_(&fs), inode_(attributes.inode), type_(attributes.mode) {}
  Held(Held&& other) noexcept : fs_(other.fs_), inode_(std::exchange(other.inode_, kRootInode)), type_(other.type_) {}
  Held& operator=(Held&& other) noexcept {
    std::swap(fs_, other.fs_);
    std::swap(inode_, other.inode_);
    std::swap(type_, other.type_);
    return *this;
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() {
    if (inode_ != kRootInode) fs_->Forget(inode_, 1);
  }

  [[nodiscard]] Inode inode() const { return inode_; }
  [[nodiscard]] bool is_directory() const { return S_ISDIR(type_); }
  [[nodiscard]] bool is_link() const { return S_ISLNK(type_); }
  [[nodiscard]] bool is_file() const { return S_ISREG(type_); }

 private:
  FileSystem* fs_;
  Inode inode_ = kRootInode;
  mode_t type_ = S_IFDIR;
};

enum class LastLink { kFollow, kKeep };

std::string Quoted(std::string_view path) { return path.empty() ? "the root" : '"' + std::string(path) + '"'; }
Error Failed(Errno error, std::string_view what, std::string_view path) {
  return Error::FromErrno(error.value, std::string(what) + ' ' + Quoted(path));
}

// The components of `path` that are still to be walked, last one first.
void Push(std::vector<std::string>& rest, std::string_view path) {
  const size_t first = rest.size();
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    if (const auto part = path.substr(begin, end - begin); !part.empty() && part != ".") rest.emplace_back(part);
    begin = end + 1;
  }
  std::reverse(rest.begin() + static_cast<std::ptrdiff_t>(first), rest.end());
}

// One walk from the root along a path, following links.
class Walker {
 public:
  Walker(FileSystem& fs, std::string_view path) : fs_(fs), path_(path) { Push(rest_, path); }

  // Walks until at most `keep` components are left.
  Status WalkTo(size_t keep, LastLink last) {
    while (rest_.size() > keep) PGS_TRY(Step(last));
    return {};
  }
  [[nodiscard]] const Held& at() const { return way_.empty() ? root_ : way_.back(); }
  // The next component; there is one left.
  [[nodiscard]] const std::string& next() const { return rest_.back(); }
  [[nodiscard]] bool done() const { return rest_.empty(); }
  // Whether `next` is a link; then it is taken up into what is left to walk.
  Result<bool> ExpandNext() {
    const auto found = fs_.Lookup(at().inode(), next());
    if (!found) {
      if (found.error().value == ENOENT) return false;
      return Fail(Failed(found.error(), "could not look up", path_));
    }
    const Held held(fs_, *found);
    if (!held.is_link()) return false;
    rest_.pop_back();
    PGS_TRY(Expand(held));
    return true;
  }

 private:
  Status Step(LastLink last) {
    const std::string name = std::move(rest_.back());
    rest_.pop_back();
    if (name == "..") return Up();
    const auto found = fs_.Lookup(at().inode(), name);
    if (!found) return Fail(Failed(found.error(), "could not look up", path_));
    Held held(fs_, *found);
    if (held.is_link() && (last == LastLink::kFollow || !rest_.empty())) return Expand(held);
    way_.push_back(std::move(held));
    return {};
  }
  Status Up() {
    if (way_.empty()) return Fail(ErrorCode::kInvalidArgument, Quoted(path_) + " leads out of the file system");
    way_.pop_back();
    return {};
  }
  Status Expand(const Held& link) {
    if (++links_ > kMaxLinks) return Fail(ErrorCode::kInvalidArgument, Quoted(path_) + " leads round in a circle");
    const auto target = fs_.ReadLink(link.inode());
    if (!target) return Fail(Failed(target.error(), "could not read the link", path_));
    if (target->starts_with('/')) {
      return Fail(ErrorCode::kInvalidArgument, Quoted(path_) + " leads out of the file system, to " + Quoted(*target));
    }
    Push(rest_, *target);
    return {};
  }

  FileSystem& fs_;
  const std::string_view path_;
  const Held root_{fs_};
  std::vector<Held> way_;  // what was walked, below the root
  std::vector<std::string> rest_;
  int links_ = 0;
};

// Stands in the directory of the path's last component, which is no link and may be missing.
Status WalkToParent(Walker& walker, std::string_view path) {
  while (true) {
    PGS_TRY(walker.WalkTo(1, LastLink::kFollow));
    if (walker.done() || walker.next() == "..") {
      return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " is a directory, not a file");
    }
    PGS_ASSIGN(const bool was_link, walker.ExpandNext());
    if (!was_link) return {};
  }
}

Status WriteAll(FileSystem& fs, Inode inode, ByteView bytes, std::string_view path) {
  for (size_t done = 0; done < bytes.size();) {
    const ByteView piece = bytes.subspan(done, std::min(kPiece, bytes.size() - done));
    if (const auto written = fs.Write(inode, done, piece); !written) {
      return Fail(Failed(written.error(), "could not write", path));
    }
    done += piece.size();
  }
  return {};
}

// The names and whether each is a directory.
using Children = std::vector<std::pair<std::string, bool>>;
Result<Children> ChildrenOf(FileSystem& fs, Inode directory, std::string_view path) {
  Children children;
  const auto status = fs.ReadDirectory(directory, 0, [&](const DirectoryEntry& entry) {
    children.emplace_back(entry.name, S_ISDIR(entry.type));
    return true;
  });
  if (!status) return Fail(Failed(status.error(), "could not list", path));
  std::ranges::sort(children);
  return children;
}

Status RemoveChild(FileSystem& fs, Inode parent, const std::string& name, bool is_directory, const std::string& path) {
  if (is_directory) {
    const auto found = fs.Lookup(parent, name);
    if (!found) return Fail(Failed(found.error(), "could not look up", path));
    const Held held(fs, *found);
    PGS_ASSIGN(const Children children, ChildrenOf(fs, held.inode(), path));
    for (const auto& [child, below] : children) {
      PGS_TRY(RemoveChild(fs, held.inode(), child, below, path + '/' + child));
    }
  }
  const auto status = is_directory ? fs.RemoveDirectory(parent, name) : fs.Unlink(parent, name);
  if (!status) return Fail(Failed(status.error(), "could not remove", path));
  return {};
}

}  // namespace

Result<std::string> ReadFileAt(FileSystem& fs, std::string_view path, uint64_t limit) {
  Walker walker(fs, path);
  PGS_TRY(walker.WalkTo(0, LastLink::kFollow));
  if (!walker.at().is_file()) return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " is not a regular file");
  const Inode inode = walker.at().inode();
  const auto attributes = fs.GetAttributes(inode);
  if (!attributes) return Fail(Failed(attributes.error(), "could not stat", path));
  if (attributes->size > limit) {
    return Fail(ErrorCode::kUnsupported, Quoted(path) + " is larger than " + std::to_string(limit) + " bytes");
  }
  std::string content(attributes->size, '\0');
  const MutableBytes out = std::as_writable_bytes(std::span(content));
  size_t done = 0;
  while (done < out.size()) {
    const auto count = fs.Read(inode, done, out.subspan(done, std::min(kPiece, out.size() - done)));
    if (!count) return Fail(Failed(count.error(), "could not read", path));
    if (*count == 0) break;
    done += *count;
  }
  content.resize(done);
  return content;
}

Status WriteFileAt(FileSystem& fs, std::string_view path, ByteView bytes, mode_t mode, Owner owner) {
  Walker walker(fs, path);
  PGS_TRY(WalkToParent(walker, path));
  auto made = fs.CreateFile(walker.at().inode(), walker.next(), mode, owner);
  if (made) {
    const Held file(fs, *made);
    return WriteAll(fs, file.inode(), bytes, path);
  }
  if (made.error().value != EEXIST) return Fail(Failed(made.error(), "could not create", path));
  const auto found = fs.Lookup(walker.at().inode(), walker.next());
  if (!found) return Fail(Failed(found.error(), "could not look up", path));
  const Held file(fs, *found);
  if (!file.is_file()) return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " is not a regular file");
  const AttributeChange change{.mode = mode, .uid = owner.uid, .gid = owner.gid, .size = 0};
  const auto changed = fs.SetAttributes(file.inode(), change);
  if (!changed) return Fail(Failed(changed.error(), "could not truncate", path));
  return WriteAll(fs, file.inode(), bytes, path);
}

Status RemoveAt(FileSystem& fs, std::string_view path) {
  Walker walker(fs, path);
  if (const auto walked = walker.WalkTo(1, LastLink::kFollow); !walked) {
    if (walked.error().code() == ErrorCode::kNotFound) return {};
    return walked;
  }
  if (walker.done()) return Fail(ErrorCode::kInvalidArgument, "the root cannot be removed");
  const auto found = fs.Lookup(walker.at().inode(), walker.next());
  if (!found) {
    if (found.error().value == ENOENT || found.error().value == ENOTDIR) return {};
    return Fail(Failed(found.error(), "could not look up", path));
  }
  const Held held(fs, *found);
  return RemoveChild(fs, walker.at().inode(), walker.next(), held.is_directory(), std::string(path));
}

Status MakeDirectoryAt(FileSystem& fs, std::string_view path, mode_t mode, Owner owner) {
  Walker walker(fs, path);
  PGS_TRY(walker.WalkTo(1, LastLink::kFollow));
  if (walker.done()) return {};
  const auto made = fs.MakeDirectory(walker.at().inode(), walker.next(), mode, owner);
  if (made) {
    const Held held(fs, *made);
    return {};
  }
  if (made.error().value != EEXIST) return Fail(Failed(made.error(), "could not make the directory", path));
  PGS_TRY(walker.WalkTo(0, LastLink::kFollow));
  if (walker.at().is_directory()) return {};
  return Fail(ErrorCode::kAlreadyExists, Quoted(path) + " is there already and is not a directory");
}

bool ExistsAt(FileSystem& fs, std::string_view path) { return Walker(fs, path).WalkTo(0, LastLink::kKeep).has_value(); }

Result<std::vector<std::string>> ListAt(FileSystem& fs, std::string_view path) {
  Walker walker(fs, path);
  PGS_TRY(walker.WalkTo(0, LastLink::kFollow));
  if (!walker.at().is_directory()) return Fail(ErrorCode::kNotFound, Quoted(path) + " is not a directory");
  PGS_ASSIGN(Children children, ChildrenOf(fs, walker.at().inode(), path));
  std::vector<std::string> names;
  names.reserve(children.size());
  for (auto& [name, is_directory] : children) names.push_back(std::move(name));
  return names;
}

}  // namespace pgstrata::vfs
