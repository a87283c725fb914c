// An inode of the Nth graft is its own number with N in the highest byte; those of main are as they are.
#include "volume/vfs/grafted_file_system.h"

namespace pgstrata::vfs {
namespace {

constexpr unsigned kNumberShift = 56;
constexpr uint64_t kInnerMask = (uint64_t{1} << kNumberShift) - 1;

Inode Outer(Inode inner, uint64_t number) { return Inode{inner.value | (number << kNumberShift)}; }

// A graft's st_ino are its inodes, so that no two files of the whole have the same.
FsResult<Attributes> Shown(FsResult<Attributes> attributes, uint64_t number) {
  if (!attributes || number == 0) return attributes;
  attributes->inode = Outer(attributes->inode, number);
  attributes->shown_inode = attributes->inode.value;
  return attributes;
}

}  // namespace

GraftedFileSystem::Place GraftedFileSystem::PlaceOf(Inode inode) const {
  const uint64_t number = inode.value >> kNumberShift;
  if (number == 0 || number > grafts_.size()) return {.file_system = &main_, .inode = inode, .number = 0};
  return {.file_system = grafts_[number - 1].file_system, .inode = Inode{inode.value & kInnerMask}, .number = number};
}

uint64_t GraftedFileSystem::GraftAt(Inode parent, std::string_view name) const {
  if (parent != kRootInode) return 0;
  for (size_t i = 0; i < grafts_.size(); ++i) {
    if (grafts_[i].name == name) return i + 1;
  }
  return 0;
}

FsResult<Attributes> GraftedFileSystem::Lookup(Inode parent, std::string_view name) {
  if (const uint64_t graft = GraftAt(parent, name); graft != 0) return GetAttributes(Outer(kRootInode, graft));
  const Place place = PlaceOf(parent);
  return Shown(place.file_system->Lookup(place.inode, name), place.number);
}

// A graft's root has no reference of its own: it is there for as long as this.
void GraftedFileSystem::Forget(Inode inode, uint64_t references) {
  const Place place = PlaceOf(inode);
  if (place.inode != kRootInode) place.file_system->Forget(place.inode, references);
}

FsResult<Attributes> GraftedFileSystem::GetAttributes(Inode inode) {
  const Place place = PlaceOf(inode);
  return Shown(place.file_system->GetAttributes(place.inode), place.number);
}

FsResult<Attributes> GraftedFileSystem::SetAttributes(Inode inode, const AttributeChange& change) {
  const Place place = PlaceOf(inode);
  return Shown(place.file_system->SetAttributes(place.inode, change), place.number);
}

FsResult<std::string> GraftedFileSystem::ReadLink(Inode inode) {
  const Place place = PlaceOf(inode);
  return place.file_system->ReadLink(place.inode);
}

template <typename Make>
FsResult<Attributes> GraftedFileSystem::Insert(Inode parent, std::string_view name, const Make& make) {
  if (GraftAt(parent, name) != 0) return FsError(EEXIST);
  const Place place = PlaceOf(parent);
  return Shown(make(*place.file_system, place.inode), place.number);
}

FsResult<Attributes> GraftedFileSystem::CreateFile(Inode parent, std::string_view name, mode_t mode, Owner owner) {
  return Insert(parent, name, [&](FileSystem& in, Inode inode) { return in.CreateFile(inode, name, mode, owner); });
}

FsResult<Attributes> GraftedFileSystem::MakeDirectory(Inode parent, std::string_view name, mode_t mode, Owner owner) {
  return Insert(parent, name, [&](FileSystem& in, Inode inode) { return in.MakeDirectory(inode, name, mode, owner); });
}

FsResult<Attributes> GraftedFileSystem::MakeSpecial(Inode parent, std::string_view name, mode_t mode, dev_t device,
                                                    Owner owner) {
  return Insert(parent, name,
                [&](FileSystem& in, Inode inode) { return in.MakeSpecial(inode, name, mode, device, owner); });
}

FsResult<Attributes> GraftedFileSystem::MakeLink(Inode parent, std::string_view name, std::string_view target,
                                                 Owner owner) {
  return Insert(parent, name, [&](FileSystem& in, Inode inode) { return in.MakeLink(inode, name, target, owner); });
}

FsResult<Attributes> GraftedFileSystem::Link(Inode inode, Inode parent, std::string_view name) {
  const Place from = PlaceOf(inode);
  if (from.number != PlaceOf(parent).number) return FsError(EXDEV);
  return Insert(parent, name, [&](FileSystem& in, Inode to) { return in.Link(from.inode, to, name); });
}

FsStatus GraftedFileSystem::Unlink(Inode parent, std::string_view name) {
  if (GraftAt(parent, name) != 0) return FsError(EISDIR);
  const Place place = PlaceOf(parent);
  return place.file_system->Unlink(place.inode, name);
}

FsStatus GraftedFileSystem::RemoveDirectory(Inode parent, std::string_view name) {
  if (GraftAt(parent, name) != 0) return FsError(EBUSY);
  const Place place = PlaceOf(parent);
  return place.file_system->RemoveDirectory(place.inode, name);
}

FsStatus GraftedFileSystem::Rename(Inode parent, std::string_view name, Inode new_parent, std::string_view new_name,
                                   RenameMode mode) {
  if (GraftAt(parent, name) != 0 || GraftAt(new_parent, new_name) != 0) return FsError(EBUSY);
  const Place from = PlaceOf(parent);
  const Place to = PlaceOf(new_parent);
  if (from.number != to.number) return FsError(EXDEV);
  return from.file_system->Rename(from.inode, name, to.inode, new_name, mode);
}

FsResult<size_t> GraftedFileSystem::Read(Inode inode, uint64_t offset, MutableBytes out) {
  const Place place = PlaceOf(inode);
  return place.file_system->Read(place.inode, offset, out);
}

FsStatus GraftedFileSystem::Write(Inode inode, uint64_t offset, ByteView bytes) {
  const Place place = PlaceOf(inode);
  return place.file_system->Write(place.inode, offset, bytes);
}

FsStatus GraftedFileSystem::Allocate(Inode inode, AllocationMode mode, uint64_t offset, uint64_t length) {
  const Place place = PlaceOf(inode);
  return place.file_system->Allocate(place.inode, mode, offset, length);
}

FsResult<uint64_t> GraftedFileSystem::Seek(Inode inode, uint64_t offset, SeekTarget target) {
  const Place place = PlaceOf(inode);
  return place.file_system->Seek(place.inode, offset, target);
}

FsResult<uint64_t> GraftedFileSystem::CopyRange(Inode from, uint64_t from_offset, Inode to, uint64_t to_offset,
                                                uint64_t length) {
  const Place source = PlaceOf(from);
  const Place target = PlaceOf(to);
  if (source.number != target.number) return FsError(EXDEV);
  return source.file_system->CopyRange(source.inode, from_offset, target.inode, to_offset, length);
}

FsStatus GraftedFileSystem::Sync(Inode inode, bool data_only) {
  const Place place = PlaceOf(inode);
  return place.file_system->Sync(place.inode, data_only);
}

FsStatus GraftedFileSystem::ReadRoot(uint64_t cookie, const DirectoryVisitor& visit) {
  return main_.ReadDirectory(kRootInode, cookie, [&](const DirectoryEntry& entry) {
    const uint64_t graft = GraftAt(kRootInode, entry.name);
    if (graft == 0) return visit(entry);
    if (!grafts_[graft - 1].listed) return true;
    DirectoryEntry shown = entry;
    shown.inode = Outer(kRootInode, graft);
    shown.shown_inode = shown.inode.value;
    shown.type = S_IFDIR;
    return visit(shown);
  });
}

FsStatus GraftedFileSystem::ReadDirectory(Inode inode, uint64_t cookie, const DirectoryVisitor& visit) {
  if (inode == kRootInode) return ReadRoot(cookie, visit);
  const Place place = PlaceOf(inode);
  if (place.number == 0) return main_.ReadDirectory(inode, cookie, visit);
  return place.file_system->ReadDirectory(place.inode, cookie, [&](const DirectoryEntry& entry) {
    DirectoryEntry shown = entry;
    shown.inode = Outer(entry.inode, place.number);
    shown.shown_inode = shown.inode.value;
    return visit(shown);
  });
}

FsStatus GraftedFileSystem::SyncDirectory(Inode inode) {
  const Place place = PlaceOf(inode);
  return place.file_system->SyncDirectory(place.inode);
}

FsResult<Inode> GraftedFileSystem::ParentOf(Inode directory) {
  const Place place = PlaceOf(directory);
  if (place.number != 0 && place.inode == kRootInode) return kRootInode;
  auto parent = place.file_system->ParentOf(place.inode);
  if (parent) parent = Outer(*parent, place.number);
  return parent;
}

}  // namespace pgstrata::vfs
