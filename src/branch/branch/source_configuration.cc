#include "branch/branch/source_configuration.h"

#include "foundation/base/text.h"
#include "postgres/pgdata/config_file.h"

namespace pgstrata::branch {
namespace {

using pgdata::ConfigEntry;

// PostgreSQL's own limit (CONF_FILE_MAX_DEPTH).
constexpr int kDeepestInclude = 10;

class ConfigurationReader {
 public:
  ConfigurationReader(const image::Image& image, SourceConfiguration& configuration)
      : image_(image), configuration_(configuration) {}

  void ReadFile(const std::string& path, bool required, int depth) {
    if (depth > kDeepestInclude) return Note(path, "nested too deeply");
    const auto text = image::ReadSmallFile(image_, path);
    if (!text) {
      if (required) Note(path, text.error().message());
      return;
    }
    const auto entries = pgdata::ParseConfigFile(*text);
    if (!entries) return Note(path, entries.error().message());
    for (const auto& entry : *entries) Apply(entry, path, depth);
  }

 private:
  void Apply(const ConfigEntry& entry, const std::string& file, int depth) {
    if (entry.kind == ConfigEntry::Kind::kSetting) {
      configuration_.settings[entry.name] = entry.value;
      return;
    }
    if (entry.value.starts_with('/') || entry.value.contains("..")) {
      if (entry.kind != ConfigEntry::Kind::kIncludeIfExists) Note(entry.value, "lies outside the backup");
      return;
    }
    const size_t slash = file.find_last_of('/');
    const std::string path = JoinPath(slash == std::string::npos ? "" : file.substr(0, slash), entry.value);
    if (entry.kind == ConfigEntry::Kind::kIncludeDirectory) return ReadDirectory(path, depth);
    ReadFile(path, entry.kind == ConfigEntry::Kind::kInclude, depth + 1);
  }

  void ReadDirectory(const std::string& path, int depth) {
    const auto entries = image_.List(path);
    if (!entries) return Note(path, entries.error().message());
    for (const auto& entry : *entries) {
      if (entry.name.ends_with(".conf") && !entry.name.starts_with('.')) {
        ReadFile(JoinPath(path, entry.name), true, depth + 1);
      }
    }
  }

  void Note(const std::string& path, std::string_view why) {
    configuration_.notes.push_back("configuration file \"" + path + "\" was not used: " + std::string(why));
  }

  const image::Image& image_;
  SourceConfiguration& configuration_;
};

}  // namespace

SourceConfiguration ReadSourceConfiguration(const image::Image& image) {
  SourceConfiguration configuration;
  ConfigurationReader reader(image, configuration);
  reader.ReadFile("postgresql.conf", false, 0);
  reader.ReadFile("postgresql.auto.conf", false, 0);
  return configuration;
}

}  // namespace pgstrata::branch
