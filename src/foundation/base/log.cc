#include "foundation/base/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

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

Level FromSpdlog(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
    case spdlog::level::debug:
      return Level::kDebug;
    case spdlog::level::info:
      return Level::kInfo;
    case spdlog::level::warn:
      return Level::kWarning;
    default:
      return Level::kError;
  }
}

// Messages as they are, one at a time.
class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FunctionSink(std::function<void(Level, std::string_view)> sink) : sink_(std::move(sink)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    sink_(FromSpdlog(message.level), std::string_view(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}

  const std::function<void(Level, std::string_view)> sink_;
};

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

Status ToFile(const std::string& path, Level lowest) {
  try {
    Logger() = MakeLogger(std::make_shared<spdlog::sinks::basic_file_sink_mt>(path), lowest);
  } catch (const spdlog::spdlog_ex& problem) {
    return Fail(ErrorCode::kIo, std::string("could not open the log: ") + problem.what());
  }
  return {};
}

void To(std::function<void(Level, std::string_view)> sink, Level lowest) {
  Logger() = MakeLogger(std::make_shared<FunctionSink>(std::move(sink)), lowest);
}

std::string_view LevelName(Level level) {
  const auto name = spdlog::level::to_string_view(ToSpdlog(level));
  return {name.data(), name.size()};
}

void Write(Level level, std::string_view message) { Logger()->log(ToSpdlog(level), message); }

}  // namespace pgstrata::log
