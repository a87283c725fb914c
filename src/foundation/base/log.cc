#include "foundation/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace pgstrata::log {
namespace {

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> MakeLogger(std::shared_ptr<spdlog::sinks::sink> sink, Level level) {
  auto logger = std::make_shared<spdlog::logger>("pgstrata", std::move(sink));
  logger->set_level(ToSpdlog(level));
  logger->flush_on(spdlog::level::trace);
  logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %P %l: %v");
  return logger;
}

std::shared_ptr<spdlog::logger>& Logger() {
  static auto logger = MakeLogger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), Level::kWarning);
  return logger;
}

}  // namespace

Status ToFile(const std::string& path) {
  try {
    Logger() = MakeLogger(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path), Level::kInfo);
  } catch (const spdlog::spdlog_ex& problem) {
    return Fail(ErrorCode::kIo, std::string("could not open the log: ") + problem.what());
  }
  return {};
}

void Write(Level level, std::string_view message) { Logger()->log(ToSpdlog(level), message); }

}  // namespace pgstrata::log
