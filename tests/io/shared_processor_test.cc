#include "foundation/io/shared_processor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>

#include "foundation/io/file.h"
#include "foundation/io/process.h"

namespace pgstrata::io {
namespace {

using namespace std::chrono_literals;

cpu_set_t ProcessorsOf(pid_t thread) {
  cpu_set_t set{};
  EXPECT_EQ(::sched_getaffinity(thread, sizeof set, &set), 0) << thread;
  return set;
}

int CountOf(pid_t thread) {
  const cpu_set_t set = ProcessorsOf(thread);
  return CPU_COUNT(&set);
}

bool Same(const cpu_set_t& one, const cpu_set_t& other) { return CPU_EQUAL(&one, &other) != 0; }

// A shell that waits, and the program that it waits for.
class Family {
 public:
  Family() {
    auto shell = Process::Spawn({.argv = {"/bin/sh", "-c", "sleep 1000 & wait"}, .standard_input = -1});
    EXPECT_TRUE(shell.has_value());
    shell_ = *std::move(shell);
    const std::string list =
        "/proc/" + std::to_string(shell_.pid()) + "/task/" + std::to_string(shell_.pid()) + "/children";
    for (int i = 0; i < 5000 && child_ == 0; ++i) {
      const auto text = ReadWholeFile(list);
      if (text && !text->empty()) child_ = std::stoi(*text);
      std::this_thread::sleep_for(1ms);
    }
    EXPECT_NE(child_, 0) << "no child in " << list;
  }
  ~Family() {
    if (child_ != 0) ::kill(child_, SIGKILL);
    EXPECT_TRUE(shell_.End(SIGKILL, 5s).has_value());
  }
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;
  [[nodiscard]] pid_t shell() const { return shell_.pid(); }
  [[nodiscard]] pid_t child() const { return child_; }

 private:
  Process shell_;
  pid_t child_ = 0;
};

TEST(SharedProcessor, WhatIsStartedStaysOnOneProcessorUntilItIsFreed) {
  const cpu_set_t before = ProcessorsOf(0);
  SharedProcessor shared = SharedProcessor::Enter();
  EXPECT_EQ(CountOf(0), 1);
  const Family family;
  shared.Leave();
  EXPECT_TRUE(Same(ProcessorsOf(0), before));
  EXPECT_EQ(CountOf(family.shell()), 1);
  EXPECT_EQ(CountOf(family.child()), 1);
  shared.Free(family.shell());
  EXPECT_TRUE(Same(ProcessorsOf(family.shell()), before));
  EXPECT_TRUE(Same(ProcessorsOf(family.child()), before));
}

TEST(SharedProcessor, FreesEveryThread) {
  const cpu_set_t before = ProcessorsOf(0);
  SharedProcessor shared = SharedProcessor::Enter();
  cpu_set_t inside{};
  cpu_set_t after{};
  std::atomic<bool> entered = false;
  std::atomic<bool> freed = false;
  std::thread thread([&] {
    inside = ProcessorsOf(0);
    entered = true;
    while (!freed) std::this_thread::sleep_for(1ms);
    after = ProcessorsOf(0);
  });
  while (!entered) std::this_thread::sleep_for(1ms);
  shared.Free(::getpid());
  freed = true;
  thread.join();
  EXPECT_EQ(CPU_COUNT(&inside), 1);
  EXPECT_TRUE(Same(after, before));
  EXPECT_TRUE(Same(ProcessorsOf(0), before));
}

TEST(SharedProcessor, LeavesWhenItIsDestroyed) {
  const cpu_set_t before = ProcessorsOf(0);
  {
    const SharedProcessor shared = SharedProcessor::Enter();
  }
  EXPECT_TRUE(Same(ProcessorsOf(0), before));
}

TEST(SharedProcessor, AProcessThatGoesAwayIsNoError) {
  SharedProcessor shared = SharedProcessor::Enter();
  auto process = Process::Spawn({.argv = {"/bin/true"}});
  ASSERT_TRUE(process.has_value());
  ASSERT_TRUE(process->Wait().has_value());
  shared.Free(process->pid());
}

// On one processor there is nothing to confine, and what somebody chose himself is not undone.
TEST(SharedProcessor, KeepsAChoiceThatIsNotItsOwn) {
  const cpu_set_t before = ProcessorsOf(0);
  SharedProcessor outer = SharedProcessor::Enter();
  const cpu_set_t one = ProcessorsOf(0);
  SharedProcessor inner = SharedProcessor::Enter();
  inner.Leave();
  inner.Free(::getpid());
  EXPECT_TRUE(Same(ProcessorsOf(0), one));
  outer.Leave();
  EXPECT_TRUE(Same(ProcessorsOf(0), before));
}

}  // namespace
}  // namespace pgstrata::io
