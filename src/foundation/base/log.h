// The log: the one global of the program. Commands write steps and errors to their own streams; this is for what a
// process without a terminal (a worker) has to say. Until ToFile or To is called it goes to standard error, warnings
// and errors only. Write and what calls it are safe from several threads.
#pragma once

#include <fmt/core.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "foundation/base/error.h"

namespace pgstrata::log {

enum class Level { kDebug, kInfo, kWarning, kError };

// Sends the log, from `lowest` on, to the end of the file at `path`, each line flushed. Call it before other threads
// log.
Status ToFile(const std::string& path, Level lowest = Level::kInfo);
// Hands each message to `sink` instead, one thread at a time.
void To(std::function<void(Level, std::string_view)> sink, Level lowest = Level::kInfo);
// "info".
std::string_view LevelName(Level level);
void Write(Level level, std::string_view message);

template <typename... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  Write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace pgstrata::log
