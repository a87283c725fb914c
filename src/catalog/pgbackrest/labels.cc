#include "catalog/pgbackrest/labels.h"

namespace pgstrata::pgbackrest {
namespace {

constexpr size_t kMomentLength = 15;  // YYYYMMDD-HHMMSS
constexpr size_t kDateLength = 8;

bool IsMoment(std::string_view text) {
  if (text.size() != kMomentLength) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool fits = i == kDateLength ? text[i] == '-' : text[i] >= '0' && text[i] <= '9';
    if (!fits) return false;
  }
  return true;
}

}  // namespace

bool IsBackupLabel(std::string_view text) {
  if (!IsMoment(text.substr(0, kMomentLength)) || text.size() <= kMomentLength || text[kMomentLength] != 'F')
    return false;
  text.remove_prefix(kMomentLength + 1);
  if (text.empty()) return true;
  if (text.size() != kMomentLength + 2 || text.front() != '_') return false;
  return IsMoment(text.substr(1, kMomentLength)) && (text.back() == 'D' || text.back() == 'I');
}

std::string FullLabelOf(std::string_view label) { return std::string(label.substr(0, kMomentLength + 1)); }

}  // namespace pgstrata::pgbackrest
