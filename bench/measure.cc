#include "bench/measure.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "foundation/base/clock.h"
#include "foundation/base/text.h"

namespace pgstrata::bench {
namespace {

double Quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const double position = part * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (position - static_cast<double>(below)) * (values[above] - values[below]);
}

std::vector<double> Values(const std::vector<Sample>& samples, double Sample::* member) {
  std::vector<double> values;
  values.reserve(samples.size());
  for (const auto& sample : samples) values.push_back(sample.*member);
  return values;
}

double Milliseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1000 + static_cast<double>(time.tv_usec) / 1000;
}

std::string WholeContent(int fd) {
  std::string text(static_cast<size_t>(std::max<off_t>(::lseek(fd, 0, SEEK_END), 0)), '\0');
  const ssize_t count = ::pread(fd, text.data(), text.size(), 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

}  // namespace

void Must(Status status) {
  if (!status) throw std::runtime_error(status.error().message());
}

double Series::WallMs() const { return Quantile(Values(samples_, &Sample::wall_ms), 0.5); }
double Series::CpuMs() const { return Quantile(Values(samples_, &Sample::cpu_ms), 0.5); }
double Series::SpreadMs() const {
  const auto values = Values(samples_, &Sample::wall_ms);
  return (Quantile(values, 0.75) - Quantile(values, 0.25)) / 2;
}

std::vector<Series> Alternate(int rounds, const std::vector<Side>& sides) {
  std::vector<Series> series(sides.size());
  for (int round = 0; round <= rounds; ++round) {
    for (size_t i = 0; i < sides.size(); ++i) {
      const size_t turn = (i + static_cast<size_t>(round)) % sides.size();
      const Sample sample = sides[turn]();
      if (round > 0) series[turn].Add(sample);
    }
  }
  return series;
}

double ChildrenCpuMs() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  return Milliseconds(usage.ru_utime) + Milliseconds(usage.ru_stime);
}

ProgramRun RunProgram(io::SpawnOptions options) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("could not make a pipe");
  const io::UniqueFd read_end(ends[0]);
  io::UniqueFd write_end(ends[1]);
  const io::UniqueFd messages(::memfd_create("messages", MFD_CLOEXEC));
  options.standard_input = -1;
  options.standard_output = write_end.get();
  options.standard_error = messages.get();
  ProgramRun run;
  const double cpu_before = ChildrenCpuMs();
  const Stopwatch watch;
  io::Process process = Must(io::Process::Spawn(options));
  write_end.Reset();
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = ::read(read_end.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    if (run.output.empty()) run.first_output_ms = watch.milliseconds();
    run.output.append(buffer.data(), static_cast<size_t>(count));
  }
  const auto ended = Must(process.Wait());
  run.whole = {.wall_ms = watch.milliseconds(), .cpu_ms = ChildrenCpuMs() - cpu_before};
  if (ended->AsShell() != 0) {
    throw std::runtime_error(options.argv[0] + " ended with status " + std::to_string(ended->AsShell()) + ": " +
                             std::string(TrimWhitespace(WholeContent(messages.get()))));
  }
  return run;
}

}  // namespace pgstrata::bench
