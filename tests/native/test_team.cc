// Teams: every piece once, whatever the number of threads, pieces and jobs, also after pauses.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "base/team.h"

#ifndef _WIN32
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace pyvoc {
namespace {

TEST(Team, DoesEveryPieceOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    Team team(threads);
    EXPECT_EQ(team.threads(), threads);
    for (int job = 0; job < 3000; ++job) {
      const int pieces = job % 9;
      std::vector<std::atomic<int>> done(9);
      team.run(pieces, [&](int i) { done[static_cast<std::size_t>(i)].fetch_add(1); });
      for (int i = 0; i < 9; ++i) {
        ASSERT_EQ(done[static_cast<std::size_t>(i)].load(), i < pieces ? 1 : 0)
            << "piece " << i << " of " << pieces << ", " << threads << " threads";
      }
    }
  }
}

#ifndef _WIN32
// The child has no helpers: it must not wait for them.
TEST(Team, IsDestroyedInAForkedChild) {
  auto team = std::make_unique<Team>(3);
  EXPECT_FALSE(team->orphaned());
  const pid_t child = fork();
  if (child == 0) {
    const bool orphaned = team->orphaned();
    team.reset();
    Team own(2);
    own.run(4, [](int) {});
    _exit(orphaned && !own.orphaned() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}
#endif

TEST(Team, JobsSeeWhatEarlierJobsWrote) {
  Team team(4);
  std::vector<long> values(64, 1);
  for (int job = 0; job < 2000; ++job) {
    team.run(16, [&](int i) {
      // Every piece reads what another piece of the job before wrote.
      const std::size_t at = static_cast<std::size_t>(i);
      values[16 + at] = values[(at + 5) % 16] + 1;
    });
    team.run(16, [&](int i) {
      const std::size_t at = static_cast<std::size_t>(i);
      values[at] = values[16 + (at + 3) % 16];
    });
  }
  for (int i = 0; i < 16; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], 2001);
}

TEST(Team, HelpersTakePartAndNapsDoNotStopThem) {
  Team team(2);
  const std::thread::id caller = std::this_thread::get_id();
  std::atomic<int> helped{0};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (int round = 0; round < 2; ++round) {
    helped = 0;
    while (helped.load() == 0 && std::chrono::steady_clock::now() < deadline) {
      team.run(8, [&](int) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(1);
        while (std::chrono::steady_clock::now() < until) {
        }
        if (std::this_thread::get_id() != caller) helped.fetch_add(1);
      });
    }
    EXPECT_GT(helped.load(), 0);
    std::this_thread::sleep_for(std::chrono::milliseconds(900));  // into the long naps
  }
}

}  // namespace
}  // namespace pyvoc
