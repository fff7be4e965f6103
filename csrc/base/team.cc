#include "base/team.h"

#include <algorithm>
#include <chrono>

#include "base/denormals.h"
#include "base/parts.h"
#include "base/process.h"

namespace pyvoc {
namespace {

constexpr int kSpins = 4000;    // polls before a helper naps: some tens of microseconds
constexpr int kPatience = 200;  // polls of the caller before it lets others run
constexpr std::chrono::microseconds kLate{1000};  // at least; and so many of the caller's pieces:
constexpr int kLatePieces = 4;
constexpr std::chrono::milliseconds kMostPenalty{500};
constexpr std::chrono::microseconds kShortNap{100}, kLongNap{5000};

void relax() {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
  __builtin_ia32_pause();
#elif defined(__aarch64__) && defined(__GNUC__)
  asm volatile("yield");
#endif
}

}  // namespace

Team::Team([[maybe_unused]] int threads) {
#if PYVOC_HAS_THREADS
  const int helpers = std::min(threads, kMost) - 1;
  helpers_.reserve(static_cast<std::size_t>(std::max(helpers, 0)));
#if PYVOC_HAS_EXCEPTIONS
  try {
    for (int i = 0; i < helpers; ++i) helpers_.emplace_back([this] { help(); });
  } catch (...) {
    stop_ = true;
    for (std::thread& helper : helpers_) helper.join();
    throw;
  }
#else
  for (int i = 0; i < helpers; ++i) helpers_.emplace_back([this] { help(); });
#endif
#endif
}

Team::~Team() {
  stop_ = true;
  for (std::thread& helper : helpers_) join_or_drop(helper, generation_);
}

// A piece is taken by lowering untaken_, so nobody reads a job's fields but while one of its pieces
// is open, and run_job writes them only when none is.
bool Team::take() PYVOC_RT {
  std::int32_t left = untaken_.load(std::memory_order_acquire);
  do {
    if (left <= 0) return false;
  } while (!untaken_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel,
                                           std::memory_order_acquire));
  call_(work_, left - 1);
  open_.fetch_sub(1, std::memory_order_acq_rel);
  return true;
}

void Team::run_job(int pieces, Call call, const void* work) PYVOC_RT {
  call_ = call;
  work_ = work;
  const Clock::time_point began = clock_now();
  open_.store(pieces, std::memory_order_relaxed);
  untaken_.store(pieces, std::memory_order_release);
  int own = 0;
  while (take()) ++own;
  wait(began, own);
}

// `own`: pieces that the caller did since `began`.
void Team::wait(Clock::time_point began, int own) PYVOC_RT {
  for (int polls = 0; polls < kPatience; ++polls) {
    if (open_.load(std::memory_order_acquire) == 0) return;
    relax();
  }
  const Clock::time_point since = clock_now();
  // The helper that has a piece may wait for this very core.
  while (open_.load(std::memory_order_acquire) > 0) PYVOC_RT_TRUST(std::this_thread::yield();)
  const Clock::time_point now = clock_now();
  const Clock::duration late = now - since;
  if (late < kLate || late < kLatePieces * (since - began) / std::max(own, 1)) return;
  const bool again = now - alone_until_ < 2 * penalty_;
  penalty_ = std::min<Clock::duration>(again ? 2 * penalty_ : 2 * late, kMostPenalty);
  alone_until_ = now + penalty_;
}

void Team::help() {
  const DenormalGuard guard;
  int polls = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    if (take()) {
      polls = 0;
      continue;
    }
    if (polls < 2 * kSpins) ++polls;
    if (polls < kSpins) {
      relax();
    } else {
      std::this_thread::sleep_for(polls < 2 * kSpins ? kShortNap : kLongNap);
    }
  }
}

}  // namespace pyvoc
