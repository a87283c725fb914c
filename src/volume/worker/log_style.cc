#include "volume/worker/log_style.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <memory>
#include <string_view>
#include <utility>

#include "foundation/base/log.h"
#include "foundation/codec/json.h"
#include "foundation/io/file.h"
#include "foundation/io/journal.h"

namespace pgstrata::worker {
namespace {

constexpr const char* kIdentifier = "pgstrata-worker";

int PriorityOf(log::Level level) {
  switch (level) {
    case log::Level::kDebug:
      return 7;
    case log::Level::kInfo:
      return 6;
    case log::Level::kWarning:
      return 4;
    case log::Level::kError:
      break;
  }
  return 3;
}

// "2026-11-20T21:05:39.123Z".
std::string Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  std::tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1'000'000);
}

std::string JsonLine(log::Level level, std::string_view message) {
  codec::Json line;
  line["time"] = Now();
  line["level"] = log::LevelName(level);
  line["pid"] = ::getpid();
  line["message"] = message;
  return codec::FormatJson(line);
}

Status ToJsonFile(const std::string& path, log::Level lowest) {
  PGS_ASSIGN(auto opened, io::File::Open(path, O_WRONLY | O_CREAT | O_APPEND, 0644));
  const auto file = std::make_shared<io::File>(std::move(opened));
  log::To(
      [file](log::Level level, std::string_view message) {
        const std::string line = JsonLine(level, message) + '\n';
        static_cast<void>(!::write(file->fd(), line.data(), line.size()));
      },
      lowest);
  return {};
}

Status ToJournal(LogStyle::Format format, log::Level lowest) {
  PGS_ASSIGN(auto opened, io::Journal::Open(kIdentifier));
  const auto journal = std::make_shared<io::Journal>(std::move(opened));
  log::To(
      [journal, format](log::Level level, std::string_view message) {
        const bool json = format == LogStyle::Format::kJson;
        journal->Write(PriorityOf(level), json ? JsonLine(level, message) : std::string(message));
      },
      lowest);
  return {};
}

}  // namespace

Status SendLogTo(const std::string& file, const LogStyle& style) {
  const log::Level lowest = style.debug ? log::Level::kDebug : log::Level::kInfo;
  if (style.sink == LogStyle::Sink::kJournal) return ToJournal(style.format, lowest);
  if (file.empty()) return {};
  if (style.format == LogStyle::Format::kJson) return ToJsonFile(file, lowest);
  return log::ToFile(file, lowest);
}

}  // namespace pgstrata::worker
