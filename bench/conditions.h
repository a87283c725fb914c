// What a number was measured on, and what keeps it from being warm.
#pragma once

#include <string>
#include <vector>

namespace pgstrata::bench {

// Lines "machine: ...", "kernel: ...", "PostgreSQL: ...", "file system: ..." for what is below `directory`.
std::vector<std::string> Conditions(const std::string& directory);
// The load of the last minute.
std::string LoadAverage();
// Writes out what is dirty and empties the kernel's caches. Needs root.
void DropCaches();

}  // namespace pgstrata::bench
