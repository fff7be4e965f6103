// Framer: a signal that comes in pieces, cut into overlapping frames with padding at its two ends.
//
// Frame i begins at sample i * hop - reach. What lies before the first sample and, once the signal
// has ended, behind the last is zero or the mirrored signal (the edge is not repeated; where the
// signal is shorter than the padding the reflection goes to and fro, as numpy.pad's does).
// Nothing is allocated after construction. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_FRAMER_H_
#define PYVOC_DSP_FRAMER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/realtime.h"
#include "base/span.h"

namespace pyvoc::dsp {

class Framer {
 public:
  // `mirror`: whether the padding is the mirrored signal. `keep`: how many of the newest samples a
  // frame asked for later may need, its reflection included; at least window.
  Framer(std::size_t window, std::size_t hop, std::int64_t reach, bool mirror, std::size_t keep);

  // Samples added so far.
  std::uint64_t size() const PYVOC_RT { return first_ + filled_; }

  // Frames that are complete when `samples` are there, whatever follows.
  std::uint64_t complete(std::uint64_t samples) const PYVOC_RT;

  // Takes as many samples as there is room for, at least one unless there are none; returns their
  // number. Frames that are complete then must be asked for before the next call.
  std::size_t add(Span<const float> pcm) PYVOC_RT;

  // The samples [window] of a frame; valid until the next call. The signal has a sample, and where
  // the frame reaches beyond its end, no more will come.
  const float* frame(std::uint64_t index) PYVOC_RT;

  void reset() PYVOC_RT;

 private:
  void make_room() PYVOC_RT;

  std::size_t window_, hop_, keep_;
  std::int64_t reach_;
  bool mirror_;
  std::vector<float> edge_;  // [window], a frame that holds padding
  std::vector<float> line_;  // [2 keep], the newest samples; line_[0] is sample first_
  std::size_t filled_ = 0;
  std::uint64_t first_ = 0;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_FRAMER_H_
