// What is always true here:
//   - the native path of a Directory is absolute and holds no link, so it is the parent of what is joined to it;
//   - Directory::graft_root is a prefix of Directory::native: a shown link is judged against it and never leaves it;
//   - what a Directory remembers of a file is written once and never replaced.
#include "backup/image/directory_image.h"

#include <sys/stat.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "backup/image/native_file.h"
#include "foundation/base/text.h"
#include "foundation/io/directory.h"

namespace pgstrata::image {
namespace {

constexpr std::string_view kTablespaceDirectory = "pg_tblspc";
constexpr std::string_view kWalDirectory = "pg_wal";

// Whether `path` is `directory` or lies below it. Both are native, absolute, without links.
bool IsSameOrBelow(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

// Whether the link with this text, in the native directory `holder`, can be shown as it is: relative, and on its way
// never above `graft_root`. A ".." after a name that is itself a link means different things here and in a mount: not
// shown.
bool CanBeShown(std::string_view target, const std::string& holder, std::string_view graft_root) {
  if (target.empty() || target.front() == '/') return false;
  std::string at = holder;
  for (const std::string_view part : Split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      at = JoinPath(at, part);
      continue;
    }
    if (at == graft_root) return false;
    const auto popped = io::StatLink(at);
    if (!popped || !S_ISDIR(popped->st_mode)) return false;
    at.resize(at.find_last_of('/'));
  }
  return true;
}

Error WithAccessHint(Error error) {
  if (error.code() != ErrorCode::kPermission) return error;
  return std::move(error).WithHint("run pgstrata as the owner of the backup or as root");
}

bool IsProperName(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('\0') == std::string_view::npos;
}

}  // namespace

struct DirectoryImage::Directory {
  std::string native;
  std::string graft_root;
  // The native directories that hold the links on the way here: a graft above one of them would never end.
  std::vector<std::string> came_through;
  bool is_root = false;  // PGDATA
  bool holds_tablespaces = false;
  dev_t device = 0;
  ino_t inode = 0;

  // kIo when the directory went away, or another one lies at its path.
  [[nodiscard]] Status StillThere() const {
    const auto now = io::StatLink(native);
    if (now && now->st_dev == device && now->st_ino == inode) return {};
    return Fail(Error(ErrorCode::kIo, Quoted(native) + " disappeared while it was open")
                    .WithHint("it was removed, moved or unmounted: a backup must stay as it is while it is open"));
  }

  std::mutex mutex;
  // Guarded by mutex: the digest of each file's first fingerprint, by name.
  std::unordered_map<std::string, uint64_t> seen;

  // False when the file is not the one that was seen first.
  bool SameAsFirstSeen(const std::string& name, const Fingerprint& fingerprint) {
    const std::lock_guard lock(mutex);
    const uint64_t digest = fingerprint.Digest();
    return seen.try_emplace(name, digest).first->second == digest;
  }
  void Reserve(size_t files) {
    const std::lock_guard lock(mutex);
    seen.reserve(files);
  }
  // Whether a link of this name is grafted wherever it leads.
  [[nodiscard]] bool AlwaysGrafts(std::string_view name) const {
    return holds_tablespaces || (is_root && (name == kTablespaceDirectory || name == kWalDirectory));
  }
  bool WasSeen(const std::string& name) {
    const std::lock_guard lock(mutex);
    return seen.contains(name);
  }
};

// What a name in a directory stands for. `status` is of the file or directory itself, behind a graft.
struct DirectoryImage::Found {
  std::shared_ptr<Directory> holder;
  std::string name;
  EntryKind kind = EntryKind::kFile;
  struct stat status{};
  std::string native;
  std::string link_target;  // kLink only
  bool grafted = false;
  std::optional<Error> unreadable;  // why it is not known what this link leads to; `status` is the link's own then

  // Looks `name` up; nothing where the image shows nothing: a dangling link, a socket, a pipe, a device.
  static Result<std::optional<Found>> Look(const std::shared_ptr<Directory>& holder, const std::string& name);
  // The same where lstat(2) of the name has answered already.
  static Result<std::optional<Found>> Interpret(const std::shared_ptr<Directory>& holder, const std::string& name,
                                                const struct stat& status);
  [[nodiscard]] Entry ToEntry() const;

 private:
  // Follows a link that cannot be shown, or finds it unreadable. False where it leads nowhere.
  Result<bool> Graft();
};

Result<bool> DirectoryImage::Found::Graft() {
  const std::string link = native;
  auto target = io::ResolvePath(link);
  if (!target) {
    const int error = target.error().system_errno();
    if (error == ENOENT || error == ENOTDIR || error == ELOOP) return false;
    auto why = WithAccessHint(std::move(target).error());
    if (holder->AlwaysGrafts(name)) return Fail(std::move(why));
    unreadable = std::move(why);
    return true;
  }
  PGS_ASSIGN(status, io::StatLink(*target));
  native = *std::move(target);
  grafted = true;
  if (!S_ISDIR(status.st_mode)) return true;
  bool loop = IsSameOrBelow(holder->native, native);
  for (const auto& passed : holder->came_through) loop = loop || IsSameOrBelow(passed, native);
  if (!loop) return true;
  return Fail(Error(ErrorCode::kUnsupported,
                    "the link " + Quoted(link) + " leads back to " + Quoted(native) + ", a directory that holds it")
                  .WithHint("remove the link, or open a copy of the backup without it"));
}

Result<std::optional<DirectoryImage::Found>> DirectoryImage::Found::Look(const std::shared_ptr<Directory>& holder,
                                                                         const std::string& name) {
  auto status = io::StatLink(JoinPath(holder->native, name));
  if (status) return Interpret(holder, name, *status);
  if (status.error().code() != ErrorCode::kNotFound) return Fail(WithAccessHint(std::move(status).error()));
  PGS_TRY(holder->StillThere());
  return std::nullopt;
}

Result<std::optional<DirectoryImage::Found>> DirectoryImage::Found::Interpret(const std::shared_ptr<Directory>& holder,
                                                                              const std::string& name,
                                                                              const struct stat& status) {
  Found found;
  found.holder = holder;
  found.name = name;
  found.native = JoinPath(holder->native, name);
  found.status = status;
  if (S_ISLNK(found.status.st_mode)) {
    PGS_ASSIGN(found.link_target, io::ReadLink(found.native));
    if (!holder->AlwaysGrafts(name) && CanBeShown(found.link_target, holder->native, holder->graft_root)) {
      found.kind = EntryKind::kLink;
      return found;
    }
    found.link_target.clear();
    PGS_ASSIGN(const bool leads_somewhere, found.Graft());
    if (!leads_somewhere) return std::nullopt;
  }
  if (S_ISDIR(found.status.st_mode)) {
    found.kind = EntryKind::kDirectory;
  } else if (S_ISREG(found.status.st_mode) || found.unreadable) {
    holder->SameAsFirstSeen(name, Fingerprint::Of(found.status));
  } else {
    return std::nullopt;
  }
  return found;
}

Entry DirectoryImage::Found::ToEntry() const {
  constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;
  Entry entry;
  entry.name = name;
  entry.kind = kind;
  entry.mode = unreadable ? 0 : status.st_mode & 07777U;
  entry.uid = status.st_uid;
  entry.gid = status.st_gid;
  if (kind == EntryKind::kFile) entry.size = static_cast<uint64_t>(status.st_size);
  if (kind == EntryKind::kLink) entry.size = link_target.size();
  entry.modified.unix_ns = status.st_mtim.tv_sec * kNanosecondsPerSecond + status.st_mtim.tv_nsec;
  entry.link_target = link_target;
  if (grafted) entry.grafted_from = native;
  return entry;
}

DirectoryImage::DirectoryImage(std::string root, const struct stat& status, std::string name)
    : root_(std::move(root)), name_(std::move(name)) {
  auto top = std::make_shared<Directory>();
  top->device = status.st_dev;
  top->inode = status.st_ino;
  top->native = root_;
  top->graft_root = root_;
  top->is_root = true;
  directories_.emplace("", std::move(top));
}

DirectoryImage::~DirectoryImage() = default;

Result<std::shared_ptr<DirectoryImage::Directory>> DirectoryImage::Enter(std::string_view path) const {
  {
    const std::shared_lock lock(mutex_);
    const auto known = directories_.find(std::string(path));
    if (known != directories_.end()) return known->second;
  }
  PGS_ASSIGN(Found found, Find(path));
  if (found.kind != EntryKind::kDirectory) {
    return Fail(ErrorCode::kNotFound, Quoted(path) + " of " + Quoted(name_) + " is not a directory");
  }
  auto directory = std::make_shared<Directory>();
  directory->graft_root = found.grafted ? found.native : found.holder->graft_root;
  directory->came_through = found.holder->came_through;
  if (found.grafted) directory->came_through.push_back(found.holder->native);
  directory->native = std::move(found.native);
  directory->device = found.status.st_dev;
  directory->inode = found.status.st_ino;
  directory->holds_tablespaces = path == kTablespaceDirectory;
  const std::unique_lock lock(mutex_);
  return directories_.try_emplace(std::string(path), std::move(directory)).first->second;
}

Result<DirectoryImage::Found> DirectoryImage::Find(std::string_view path) const {
  const auto [parent, name] = SplitLast(path);
  if (!IsProperName(name)) {
    return Fail(ErrorCode::kNotFound, Quoted(path) + " is not a path inside a backup");
  }
  const auto absent = [&] {
    return Fail(ErrorCode::kNotFound, "there is no " + Quoted(path) + " in " + Quoted(name_));
  };
  const auto entered = Enter(parent);
  if (!entered && entered.error().code() == ErrorCode::kNotFound) return absent();
  PGS_TRY(entered);
  const auto& holder = *entered;
  PGS_ASSIGN(auto found, Found::Look(holder, std::string(name)));
  if (found) return *std::move(found);
  if (holder->WasSeen(std::string(name))) {
    return Fail(Error(ErrorCode::kCorrupt, Quoted(JoinPath(holder->native, name)) + " was removed while it was open")
                    .WithHint("a backup must stay as it is while it is open; find out what removes its files"));
  }
  return absent();
}

Result<Entry> DirectoryImage::Stat(std::string_view path) const {
  if (!path.empty()) {
    PGS_ASSIGN(const Found found, Find(path));
    return found.ToEntry();
  }
  PGS_ASSIGN(const auto root, Enter(""));
  PGS_TRY(root->StillThere());
  Found top;
  top.kind = EntryKind::kDirectory;
  PGS_ASSIGN(top.status, io::StatLink(root_));
  return top.ToEntry();
}

Result<std::vector<DirectoryImage::Found>> DirectoryImage::FindAll(std::string_view directory) const {
  PGS_ASSIGN(const auto holder, Enter(directory));
  auto listed = io::ListDirectoryWithStatus(holder->native);
  PGS_TRY(holder->StillThere());
  if (!listed) return Fail(WithAccessHint(std::move(listed).error()));
  holder->Reserve(listed->size());
  std::vector<Found> all;
  all.reserve(listed->size());
  for (const auto& [name, status] : *listed) {
    PGS_ASSIGN(auto found, Found::Interpret(holder, name, status));
    if (found) all.push_back(*std::move(found));
  }
  return all;
}

Result<std::vector<Entry>> DirectoryImage::List(std::string_view directory) const {
  PGS_ASSIGN(const auto all, FindAll(directory));
  std::vector<Entry> entries;
  entries.reserve(all.size());
  for (const auto& found : all) entries.push_back(found.ToEntry());
  return entries;
}

Status DirectoryImage::VisitParts(const PartVisitor& visit) const {
  std::vector<std::string> left = {""};
  while (!left.empty()) {
    const std::string directory = std::move(left.back());
    left.pop_back();
    PGS_ASSIGN(const auto all, FindAll(directory));
    for (const auto& found : all) {
      std::string path = JoinPath(directory, found.name);
      if (found.kind == EntryKind::kFile) {
        const Fingerprint fingerprint = Fingerprint::Of(found.status);
        PGS_TRY(visit({.name = path, .file = &fingerprint}));
      }
      if (found.kind == EntryKind::kDirectory) left.push_back(std::move(path));
    }
  }
  return {};
}

Result<std::unique_ptr<ImageFile>> DirectoryImage::Open(std::string_view path) const {
  if (path.empty()) return Fail(ErrorCode::kInvalidArgument, Quoted(name_) + " is a directory, not a file");
  PGS_ASSIGN(const Found found, Find(path));
  if (found.kind != EntryKind::kFile) {
    return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " of " + Quoted(name_) + " is not a regular file");
  }
  if (found.unreadable) return Fail(*found.unreadable);
  auto file = OpenNativeFile(found.native);
  if (!file) return Fail(WithAccessHint(std::move(file).error()));
  if (!found.holder->SameAsFirstSeen(found.name, (*file)->fingerprint())) {
    return Fail(
        Error(ErrorCode::kCorrupt, Quoted(found.native) + " changed while it was open")
            .WithHint("a backup must stay as it is while it is open; find out what writes to it, then open it again"));
  }
  return *std::move(file);
}

Result<std::vector<MissingTablespace>> DirectoryImage::MissingTablespaces() const {
  std::vector<MissingTablespace> missing;
  auto holder = Enter(kTablespaceDirectory);
  if (!holder) {
    if (holder.error().code() == ErrorCode::kNotFound) return missing;
    return Fail(std::move(holder).error());
  }
  PGS_ASSIGN(const auto names, io::ListDirectory((*holder)->native));
  for (const auto& name : names) {
    const auto target = io::ReadLink(JoinPath((*holder)->native, name));
    if (!target) continue;  // not a link
    PGS_ASSIGN(const auto found, Found::Look(*holder, name));
    if (!found) missing.push_back({.oid = name, .location = *target});
  }
  return missing;
}

Result<std::unique_ptr<DirectoryImage>> OpenDirectory(const std::string& path) {
  auto root = io::ResolvePath(path);
  if (!root) {
    if (root.error().code() == ErrorCode::kNotFound)
      return Fail(ErrorCode::kNotFound, "there is no directory " + Quoted(path));
    return Fail(WithAccessHint(std::move(root).error()));
  }
  PGS_ASSIGN(const struct stat status, io::StatTarget(*root));
  if (!S_ISDIR(status.st_mode)) return Fail(ErrorCode::kInvalidArgument, Quoted(path) + " is not a directory");
  return std::make_unique<DirectoryImage>(*std::move(root), status, path);
}

}  // namespace pgstrata::image
