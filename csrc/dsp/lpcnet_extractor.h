// LpcnetExtractor: PCM in any chunk sizes -> LPCNet features (pre-emphasis and LpcnetAnalysis).
//
// PCM is 16 kHz mono float in -1..1; a 16-bit sample divided by 32768 gives exactly what the
// integer would. Any split of the same signal gives the same frames, bit for bit. Nothing is
// allocated after construction. One thread at a time; real-time safe.
#ifndef PYVOC_DSP_LPCNET_EXTRACTOR_H_
#define PYVOC_DSP_LPCNET_EXTRACTOR_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "base/realtime.h"
#include "base/span.h"
#include "dsp/feature_extractor.h"
#include "dsp/lpcnet_analysis.h"

namespace pyvoc::dsp {

enum class Layout {
  kLpcnet36,  // latest
  kLpcnet20,  // latest without the LPC
  kLpcnet55,  // 2019
  kOpus20,    // latest without the LPC, the pitch in octaves as Opus has it
};

// What Opus calls the pitch of a period of T samples is log2(256 / T) - 1.5, of 32 to 256 samples.
constexpr float kLeastOctave = -1.5f, kMostOctave = 1.5f;

std::optional<Layout> find_layout(std::string_view name);
const char* layout_name(Layout layout);
constexpr const char* kLayoutNames = "lpcnet36, lpcnet20, lpcnet55, opus20";

class LpcnetExtractor final : public FeatureExtractor {
 public:
  LpcnetExtractor(Layout layout, const kernels::KernelTable& table);
  // Layout opus20 with the pitch of a network, where the other constructor's has that of the search
  // in LPCNet's.
  LpcnetExtractor(std::shared_ptr<const PitchNetwork> network, const kernels::KernelTable& table);

  Layout layout() const { return layout_; }
  std::size_t sample_rate() const override { return kSampleRate; }
  std::size_t hop_length() const PYVOC_RT override { return kFrame; }
  std::size_t dims() const PYVOC_RT override;
  std::size_t latency_samples() const PYVOC_RT override;
  std::size_t frames_after(std::size_t n) const PYVOC_RT override;
  std::size_t push(Span<const float> pcm, float* out) PYVOC_RT override;
  // An incomplete frame or (2019) superframe is dropped, as upstream does, so there is nothing to
  // write: returns 0.
  std::size_t flush(float* out) PYVOC_RT override;
  void reset() PYVOC_RT override;

 private:
  Layout layout_;
  std::shared_ptr<const PitchNetwork> network_;  // or null
  LpcnetAnalysis analysis_;
  float frame_[kFrame];
  int filled_;
  float memory_;  // of the pre-emphasis
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_LPCNET_EXTRACTOR_H_
