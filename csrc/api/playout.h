// Playout: the output callback's side of the ring between engine and loudspeaker.
//
// It waits until the ring holds a block and a margin, then plays. When the ring runs dry it fades
// out, counts an underrun, waits again with a larger margin, drops what came too late, and fades
// in: the delay returns to what it was, nothing clicks. When more lies in the ring than the margin
// asks for (a device lost time), it drops the surplus with a cross-fade.
// read() is the consumer's; everything else that is marked so may be asked by any thread.
#ifndef PYVOC_API_PLAYOUT_H_
#define PYVOC_API_PLAYOUT_H_

#include <atomic>
#include <cstdint>

#include "base/realtime.h"
#include "base/ring.h"
#include "base/span.h"

namespace pyvoc::api {

struct PlayoutSettings {
  double rate = 0.0;       // Hz
  std::size_t margin = 0;  // samples that the ring holds at least while all is well
  std::size_t ripple = 0;  // how far its level swings above that: bursts of the producer
  bool drifting = false;   // producer and consumer have clocks of their own: the swing shows slowly
  bool keep_all = false;   // the source waits: drop nothing, wait as long as it takes
  bool no_silence = false;  // the sink waits: give what there is
};

class Playout {
 public:
  Playout(Ring& ring, const PlayoutSettings& settings);

  // Fills `out`; how many samples of it came from the ring.
  std::size_t read(Span<float> out) PYVOC_RT;

  // Nothing follows what is in the ring. Any thread.
  void end() PYVOC_RT { ended_.store(true, std::memory_order_release); }
  // All of it was read. Any thread.
  bool done() const PYVOC_RT { return done_.load(std::memory_order_acquire); }

  // Counts so far. Any thread.
  std::uint64_t underruns() const PYVOC_RT { return get(underruns_); }
  std::uint64_t silence() const PYVOC_RT { return get(silence_); }  // samples in place of sound
  std::uint64_t dropped() const PYVOC_RT { return get(dropped_); }  // samples
  std::uint64_t jumps() const PYVOC_RT { return get(jumps_); }      // changes of the delay
  std::uint64_t played() const PYVOC_RT {
    return get(played_);
  }  // samples of the ring, dropped too
  // Samples left in the ring after a read: the least of the past half second or so.
  std::size_t slack() const PYVOC_RT { return slack_.load(std::memory_order_relaxed); }
  std::size_t margin() const PYVOC_RT { return margin_.load(std::memory_order_relaxed); }
  bool playing() const PYVOC_RT { return playing_.load(std::memory_order_relaxed); }

 private:
  using Counter = std::atomic<std::uint64_t>;
  static std::uint64_t get(const Counter& x) PYVOC_RT { return x.load(std::memory_order_relaxed); }
  static void add(Counter& x, std::uint64_t n) PYVOC_RT {  // one writer
    x.store(get(x) + n, std::memory_order_relaxed);
  }

  std::size_t run_dry(Span<float> out, std::size_t fill) PYVOC_RT;
  void drop(std::size_t n, Span<float> out) PYVOC_RT;  // what out begins with fades into what comes
  void watch(std::size_t left, std::size_t n) PYVOC_RT;

  Ring& ring_;
  PlayoutSettings settings_;
  std::size_t fade_, window_;
  std::size_t fade_in_ = 0;  // samples of the fade that are still to come
  std::size_t least_, watched_ = 0, surplus_ = 0;
  float last_ = 0.0f;
  std::atomic<bool> ended_{false}, done_{false}, playing_{false};
  std::atomic<std::size_t> slack_{0}, margin_;
  Counter underruns_{0}, silence_{0}, dropped_{0}, jumps_{0}, played_{0};
};

}  // namespace pyvoc::api
#endif  // PYVOC_API_PLAYOUT_H_
