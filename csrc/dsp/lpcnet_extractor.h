// LpcnetExtractor: PCM in any chunk sizes -> LPCNet features (pre-emphasis and LpcnetAnalysis).
//
// PCM is 16 kHz mono float in -1..1; a 16-bit sample divided by 32768 gives exactly what the
// integer would. Any split of the same signal gives the same frames, bit for bit. Nothing is
// allocated after construction. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_LPCNET_EXTRACTOR_H_
#define PYVOC_DSP_LPCNET_EXTRACTOR_H_

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/realtime.h"
#include "base/span.h"
#include "dsp/lpcnet_analysis.h"

namespace pyvoc::dsp {

enum class Layout {
  kLpcnet36,  // latest
  kLpcnet20,  // latest without the LPC
  kLpcnet55,  // 2019
};

std::optional<Layout> find_layout(std::string_view name);
const char* layout_name(Layout layout);
constexpr const char* kLayoutNames = "lpcnet36, lpcnet20, lpcnet55";

class LpcnetExtractor {
 public:
  LpcnetExtractor(Layout layout, const kernels::KernelTable& table);

  Layout layout() const { return layout_; }
  std::size_t dims() const;
  // From the newest sample a frame needs back to the centre of its analysis window.
  std::size_t latency_samples() const;
  // Frames that pushing n more samples completes.
  std::size_t frames_after(std::size_t n) const PYVOC_RT;

  // out [frames_after(pcm.size()), dims()]; returns the frames written. The PCM is finite.
  std::size_t push(Span<const float> pcm, float* out) PYVOC_RT;
  // Ends the signal. An incomplete frame or (2019) superframe is dropped, as upstream does, so
  // there is nothing to write: returns 0.
  std::size_t flush(float* out) PYVOC_RT;
  void reset() PYVOC_RT;

 private:
  Layout layout_;
  LpcnetAnalysis analysis_;
  float frame_[kFrame];
  int filled_;
  float memory_;  // of the pre-emphasis
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_LPCNET_EXTRACTOR_H_
