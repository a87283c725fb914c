// The structure is read at the offsets that every 64-bit little-endian platform gives it; a control file of any other
// machine is recognised as such before a field is believed: its version number is byte-swapped, or its checksum stands
// where another alignment puts it.
#include "postgres/pgdata/control_file.h"

#include <fmt/format.h>

#include <array>
#include <bit>

#include "postgres/pgdata/crc32c.h"
#include "postgres/pgdata/page.h"
#include "postgres/pgdata/pg_time.h"
#include "postgres/pgdata/pg_version.h"
#include "postgres/pgdata/wal_reader.h"

namespace pgstrata::pgdata {
namespace {

constexpr size_t kCheckpointSize = 88;
constexpr size_t kChecksumSize = 4;

// struct ControlFileData.
namespace offset {
constexpr size_t kSystemIdentifier = 0;
constexpr size_t kControlVersion = 8;
constexpr size_t kCatalogVersion = 12;
constexpr size_t kState = 16;
constexpr size_t kTime = 24;
constexpr size_t kCheckpointLsn = 32;
constexpr size_t kCheckpoint = 40;
constexpr size_t kUnloggedLsn = 128;
constexpr size_t kMinRecoveryPoint = 136;
constexpr size_t kMinRecoveryPointTimeline = 144;
constexpr size_t kBackupStartPoint = 152;
constexpr size_t kBackupEndPoint = 160;
constexpr size_t kBackupEndRequired = 168;
constexpr size_t kWalLevel = 172;
constexpr size_t kWalLogHints = 176;
constexpr size_t kMaxConnections = 180;
constexpr size_t kMaxWorkerProcesses = 184;
constexpr size_t kMaxWalSenders = 188;
constexpr size_t kMaxPreparedTransactions = 192;
constexpr size_t kMaxLocksPerTransaction = 196;
constexpr size_t kTrackCommitTimestamp = 200;
constexpr size_t kMaxAlign = 204;
constexpr size_t kFloatFormat = 208;
constexpr size_t kBlockSize = 216;
constexpr size_t kBlocksPerSegment = 220;
constexpr size_t kWalBlockSize = 224;
constexpr size_t kWalSegmentSize = 228;
constexpr size_t kNameDataLength = 232;
constexpr size_t kIndexMaxKeys = 236;
constexpr size_t kToastMaxChunkSize = 240;
constexpr size_t kLargeObjectBlockSize = 244;
constexpr size_t kFloat8ByValue = 248;
constexpr size_t kDataChecksumVersion = 252;
constexpr size_t kDefaultCharSigned = 256;  // 1800 and later
}  // namespace offset

struct Layout {
  uint32_t control_version;
  size_t checksum;  // where it stands: behind the nonce of mock authentication
};
constexpr std::array kLayouts = {Layout{1300, 288}, Layout{1700, 288}, Layout{1800, 292}};
constexpr size_t kSmallestSize = 288 + kChecksumSize;

struct Release {
  int major_version;
  uint32_t control_version;
  uint32_t catalog_version;
};
constexpr std::array kReleases = {Release{14, 1300, 202107181}, Release{15, 1300, 202209061},
                                  Release{16, 1300, 202307071}, Release{17, 1700, 202406281},
                                  Release{18, 1800, 202506291}};

std::unexpected<Error> DamagedControlFile(std::string why) {
  return Fail(ErrorCode::kCorrupt, fmt::format("\"{}\" is damaged: {}", kControlFilePath, why));
}

std::unexpected<Error> Unsupported(std::string what, std::string hint) {
  return Fail(
      Error(ErrorCode::kUnsupported, fmt::format("\"{}\": {}", kControlFilePath, what)).WithHint(std::move(hint)));
}

bool ChecksumStandsAt(ByteView bytes, size_t position) {
  return position + kChecksumSize <= bytes.size() && Crc32c(bytes.first(position)) == LoadLe<uint32_t>(bytes, position);
}

// A sound checksum at any other place says that the file is whole, only not ours to read.
bool ChecksumStandsElsewhere(ByteView bytes) {
  for (size_t position = 200; position < 512; position += kChecksumSize) {
    if (ChecksumStandsAt(bytes, position)) return true;
  }
  return false;
}

std::unexpected<Error> FailVersion(ByteView bytes, uint32_t version) {
  constexpr uint32_t kPlausible = 100'000;
  if (std::byteswap(version) > 0 && std::byteswap(version) < kPlausible && version > kPlausible) {
    return Unsupported("the cluster has the other byte order", "open it on a machine of its own architecture");
  }
  if (!ChecksumStandsElsewhere(bytes)) return DamagedControlFile("neither its version nor its checksum is right");
  return Unsupported(fmt::format("the cluster is of an unsupported version (pg_control_version {})", version),
                     fmt::format("PostgreSQL {} to {} are supported", kOldestMajorVersion, kNewestMajorVersion));
}

// Everything before a field is believed.
Status Verify(ByteView bytes) {
  if (bytes.size() < kSmallestSize) return DamagedControlFile(fmt::format("it has only {} bytes", bytes.size()));
  const auto version = LoadLe<uint32_t>(bytes, offset::kControlVersion);
  for (const Layout& layout : kLayouts) {
    if (layout.control_version != version) continue;
    if (ChecksumStandsAt(bytes, layout.checksum)) return {};
    if (ChecksumStandsElsewhere(bytes)) {
      return Unsupported("the cluster was made on another architecture (other alignment)",
                         "open it on a machine of its own architecture");
    }
    return DamagedControlFile("its checksum does not match");
  }
  return FailVersion(bytes, version);
}

Status CheckConstant(std::string_view name, uint64_t found, uint64_t expected) {
  if (found == expected) return {};
  return Unsupported(fmt::format("the cluster has {} {}", name, found),
                     fmt::format("only clusters with {} {} are supported", name, expected));
}

Status CheckConstants(ByteView bytes, const ControlFile& control) {
  constexpr double kFloatFormat = 1234567.0;
  constexpr uint32_t kMaxAlign = 8;
  constexpr uint32_t kBlocksPerSegment = 131072;
  if (std::bit_cast<double>(LoadLe<uint64_t>(bytes, offset::kFloatFormat)) != kFloatFormat) {
    return Unsupported("the cluster was made on another architecture (other floating point format)",
                       "open it on a machine of its own architecture");
  }
  PGS_TRY(CheckConstant("maximum data alignment", control.max_align, kMaxAlign));
  PGS_TRY(CheckConstant("block size", control.block_size, kPageSize));
  PGS_TRY(CheckConstant("blocks per segment of a relation", control.blocks_per_segment, kBlocksPerSegment));
  return CheckConstant("WAL block size", control.wal_block_size, kWalPageSize);
}

bool LoadBool(ByteView bytes, size_t position) { return bytes[position] != std::byte{0}; }

void ReadIdentity(ByteView bytes, ControlFile& control) {
  control.system_identifier = LoadLe<uint64_t>(bytes, offset::kSystemIdentifier);
  control.control_version = LoadLe<uint32_t>(bytes, offset::kControlVersion);
  control.catalog_version = LoadLe<uint32_t>(bytes, offset::kCatalogVersion);
  control.time = FromPgTime(LoadLe<int64_t>(bytes, offset::kTime));
  control.checkpoint_lsn = {LoadLe<uint64_t>(bytes, offset::kCheckpointLsn)};
}

void ReadRecovery(ByteView bytes, ControlFile& control) {
  control.unlogged_lsn = {LoadLe<uint64_t>(bytes, offset::kUnloggedLsn)};
  control.min_recovery_point = {LoadLe<uint64_t>(bytes, offset::kMinRecoveryPoint)};
  control.min_recovery_point_timeline = {LoadLe<uint32_t>(bytes, offset::kMinRecoveryPointTimeline)};
  control.backup_start_point = {LoadLe<uint64_t>(bytes, offset::kBackupStartPoint)};
  control.backup_end_point = {LoadLe<uint64_t>(bytes, offset::kBackupEndPoint)};
  control.backup_end_required = LoadBool(bytes, offset::kBackupEndRequired);
}

void ReadSettings(ByteView bytes, ControlFile& control) {
  control.wal_log_hints = LoadBool(bytes, offset::kWalLogHints);
  control.max_connections = LoadLe<uint32_t>(bytes, offset::kMaxConnections);
  control.max_worker_processes = LoadLe<uint32_t>(bytes, offset::kMaxWorkerProcesses);
  control.max_wal_senders = LoadLe<uint32_t>(bytes, offset::kMaxWalSenders);
  control.max_prepared_transactions = LoadLe<uint32_t>(bytes, offset::kMaxPreparedTransactions);
  control.max_locks_per_transaction = LoadLe<uint32_t>(bytes, offset::kMaxLocksPerTransaction);
  control.track_commit_timestamp = LoadBool(bytes, offset::kTrackCommitTimestamp);
}

void ReadConstants(ByteView bytes, ControlFile& control) {
  control.max_align = LoadLe<uint32_t>(bytes, offset::kMaxAlign);
  control.block_size = LoadLe<uint32_t>(bytes, offset::kBlockSize);
  control.blocks_per_segment = LoadLe<uint32_t>(bytes, offset::kBlocksPerSegment);
  control.wal_block_size = LoadLe<uint32_t>(bytes, offset::kWalBlockSize);
  control.name_data_length = LoadLe<uint32_t>(bytes, offset::kNameDataLength);
  control.index_max_keys = LoadLe<uint32_t>(bytes, offset::kIndexMaxKeys);
  control.toast_max_chunk_size = LoadLe<uint32_t>(bytes, offset::kToastMaxChunkSize);
  control.large_object_block_size = LoadLe<uint32_t>(bytes, offset::kLargeObjectBlockSize);
  control.float8_by_value = LoadBool(bytes, offset::kFloat8ByValue);
  control.data_checksum_version = LoadLe<uint32_t>(bytes, offset::kDataChecksumVersion);
  if (control.control_version >= 1800) control.default_char_signed = LoadBool(bytes, offset::kDefaultCharSigned);
}

}  // namespace

std::string_view ClusterStateName(ClusterState state) {
  switch (state) {
    case ClusterState::kStartingUp:
      return "starting up";
    case ClusterState::kShutDown:
      return "shut down";
    case ClusterState::kShutDownInRecovery:
      return "shut down in recovery";
    case ClusterState::kShuttingDown:
      return "shutting down";
    case ClusterState::kInCrashRecovery:
      return "in crash recovery";
    case ClusterState::kInArchiveRecovery:
      return "in archive recovery";
    case ClusterState::kInProduction:
      return "in production";
  }
  return "unknown";
}

std::string_view WalLevelName(WalLevel level) {
  switch (level) {
    case WalLevel::kMinimal:
      return "minimal";
    case WalLevel::kReplica:
      return "replica";
    case WalLevel::kLogical:
      return "logical";
  }
  return "unknown";
}

Result<int> ControlFile::MajorVersion() const {
  for (const Release& release : kReleases) {
    if (release.control_version == control_version && release.catalog_version == catalog_version) {
      return release.major_version;
    }
  }
  return Unsupported(fmt::format("no release of PostgreSQL has pg_control_version {} with catalog version {}",
                                 control_version, catalog_version),
                     "beta versions and forks with catalogs of their own are not supported");
}

Status ControlFile::CheckAgainst(int pg_version) const {
  PGS_ASSIGN(const int major_version, MajorVersion());
  if (major_version == pg_version) return {};
  return Fail(ErrorCode::kCorrupt, fmt::format("\"PG_VERSION\" says PostgreSQL {}, but \"{}\" is of PostgreSQL {}",
                                               pg_version, kControlFilePath, major_version));
}

Result<ControlFile> ParseControlFile(ByteView bytes) {
  PGS_TRY(Verify(bytes));
  ControlFile control;
  ReadIdentity(bytes, control);
  ReadRecovery(bytes, control);
  ReadSettings(bytes, control);
  ReadConstants(bytes, control);
  PGS_TRY(CheckConstants(bytes, control));
  PGS_ASSIGN(control.checkpoint, ParseCheckpoint(bytes.subspan(offset::kCheckpoint, kCheckpointSize)));

  const auto segment_size = LoadLe<uint32_t>(bytes, offset::kWalSegmentSize);
  const auto valid_size = WalSegmentSize::FromBytes(segment_size);
  if (!valid_size) {
    return Unsupported(fmt::format("the cluster has WAL segments of {} bytes", segment_size),
                       "a power of two from 1 MB to 1 GB is supported");
  }
  control.wal_segment_size = *valid_size;
  const auto state = LoadLe<uint32_t>(bytes, offset::kState);
  if (state > static_cast<uint32_t>(ClusterState::kInProduction)) {
    return DamagedControlFile(fmt::format("{} is no state of a cluster", state));
  }
  control.state = static_cast<ClusterState>(state);
  const auto wal_level = LoadLe<uint32_t>(bytes, offset::kWalLevel);
  if (wal_level > static_cast<uint32_t>(WalLevel::kLogical))
    return DamagedControlFile(fmt::format("{} is no wal_level", wal_level));
  control.wal_level = static_cast<WalLevel>(wal_level);
  return control;
}

Result<Checkpoint> ParseCheckpoint(ByteView main_data) {
  ByteReader reader(main_data);
  Checkpoint checkpoint;
  checkpoint.redo = {reader.Read<uint64_t>()};
  checkpoint.timeline = {reader.Read<uint32_t>()};
  checkpoint.previous_timeline = {reader.Read<uint32_t>()};
  checkpoint.full_page_writes = reader.Read<uint8_t>() != 0;
  reader.Skip(7);  // padding; 17 and later keep wal_level in its second half
  checkpoint.next_full_xid = reader.Read<uint64_t>();
  checkpoint.next_oid = {reader.Read<uint32_t>()};
  checkpoint.next_multixact = reader.Read<uint32_t>();
  checkpoint.next_multixact_offset = reader.Read<uint32_t>();
  checkpoint.oldest_xid = reader.Read<uint32_t>();
  checkpoint.oldest_xid_database = {reader.Read<uint32_t>()};
  checkpoint.oldest_multixact = reader.Read<uint32_t>();
  checkpoint.oldest_multixact_database = {reader.Read<uint32_t>()};
  reader.Skip(4);
  checkpoint.time = FromPgTime(reader.Read<int64_t>());
  checkpoint.oldest_commit_timestamp_xid = reader.Read<uint32_t>();
  checkpoint.newest_commit_timestamp_xid = reader.Read<uint32_t>();
  checkpoint.oldest_active_xid = reader.Read<uint32_t>();
  if (!reader.ok()) return Fail(ErrorCode::kCorrupt, "a checkpoint record is too short");
  return checkpoint;
}

}  // namespace pgstrata::pgdata
