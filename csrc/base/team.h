// A team: the caller and a few helper threads that share the pieces of one job after another. Made
// for jobs of some microseconds, many in a row. run() makes no system call and takes no lock: idle
// helpers poll, first busily, then in naps that grow, so a job that comes after a pause may begin
// without them. The caller takes pieces too and waits for none that a helper has not begun. A piece
// that stays away long means that the machine has other work for the helper's core: the caller then
// does the jobs of twice that time alone, and of twice as long each time that it happens again.
#ifndef PYVOC_BASE_TEAM_H_
#define PYVOC_BASE_TEAM_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/process.h"
#include "base/realtime.h"

namespace pyvoc {

class Team {
 public:
  // `threads` - 1 helpers, at most kMost - 1; none where the build has no threads
  // (PYVOC_HAS_THREADS=0). May throw std::system_error.
  explicit Team(int threads);
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  static constexpr int kMost = 64;

  // A piece's share of `total` things.
  struct Range {
    int first, count;
    static Range of(int total, int piece, int pieces) PYVOC_RT {
      const int first = static_cast<int>(std::int64_t{total} * piece / pieces);
      return {first, static_cast<int>(std::int64_t{total} * (piece + 1) / pieces) - first};
    }
  };

  // Pieces that a job should have at most: two for each thread, so that one that comes late leaves
  // the other.
  static int pieces(int threads) PYVOC_RT { return threads == 1 ? 1 : 2 * threads; }

  // The same for a job of so many multiply-adds: pieces that are worth handing out.
  int pieces_of(std::int64_t work) const PYVOC_RT {
    constexpr std::int64_t kWorth = 300000;  // some microseconds
    const std::int64_t worth = work / kWorth > 1 ? work / kWorth : 1;
    const int most = pieces(threads());
    return worth < most ? static_cast<int>(worth) : most;
  }

  // Whether the helpers are those of a process that this one was forked from.
  bool orphaned() const PYVOC_RT {
    return !helpers_.empty() && generation_ != process_generation();
  }

  int threads() const PYVOC_RT { return static_cast<int>(helpers_.size()) + 1; }

  // Calls work(0) ... work(pieces - 1), each once, in any order, on any thread of the team.
  template <typename Work>
  void run(int pieces, const Work& work) PYVOC_RT {
    if (helpers_.empty() || pieces < 2 || clock_now() < alone_until_) {
      for (int i = 0; i < pieces; ++i) work(i);
      return;
    }
    run_job(
        pieces, [](const void* w, int i) PYVOC_RT { (*static_cast<const Work*>(w))(i); }, &work);
  }

 private:
  using Call = void (*)(const void* work, int piece) PYVOC_RT;

  void run_job(int pieces, Call call, const void* work) PYVOC_RT;
  void wait(Clock::time_point began, int own) PYVOC_RT;
  // Takes one piece, if one is left, and does it.
  bool take() PYVOC_RT;
  void help();

  const std::uint32_t generation_ = process_generation();
  std::vector<std::thread> helpers_;
  alignas(64) std::atomic<std::int32_t> untaken_{0};  // pieces
  alignas(64) std::atomic<std::int32_t> open_{0};     // pieces that are not done
  Call call_ = nullptr;                               // of the job, fixed while pieces are open
  const void* work_ = nullptr;
  Clock::time_point alone_until_{};  // the caller asks no helpers before
  Clock::duration penalty_{};        // how long that was the last time
  std::atomic<bool> stop_{false};
};

}  // namespace pyvoc
#endif  // PYVOC_BASE_TEAM_H_
