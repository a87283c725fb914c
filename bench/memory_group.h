// A bound on the memory of processes, their page cache included. Needs root, and cgroups of version 1 or 2.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace pgstrata::bench {

class MemoryGroup {
 public:
  // Throws std::runtime_error where the machine has no memory controller for us.
  MemoryGroup(const std::string& name, uint64_t bytes);
  ~MemoryGroup();
  MemoryGroup(const MemoryGroup&) = delete;
  MemoryGroup& operator=(const MemoryGroup&) = delete;

  // The process and all its children of now; those that they start later belong to it anyway.
  void Add(pid_t process) const;

 private:
  std::string path_;
};

}  // namespace pgstrata::bench
