#include "dsp/lpcnet_extractor.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pyvoc::dsp {
namespace {

constexpr float kPcmScale = 32768.0f;
constexpr std::size_t kPlainDims = 20;
constexpr std::size_t kPitch = 18;

// Of LPCNet's pitch feature, 0.02 T - 2.
float octaves_of(float pitch) PYVOC_RT {
  const float period = 50.0f * (pitch + 2.0f);
  return std::clamp(std::log2(256.0f / std::max(period, 1.0f)) - 1.5f, kLeastOctave, kMostOctave);
}

}  // namespace

std::optional<Layout> find_layout(std::string_view name) {
  for (Layout layout : {Layout::kLpcnet36, Layout::kLpcnet20, Layout::kLpcnet55, Layout::kOpus20}) {
    if (name == layout_name(layout)) return layout;
  }
  return std::nullopt;
}

const char* layout_name(Layout layout) {
  switch (layout) {
    case Layout::kLpcnet36:
      return "lpcnet36";
    case Layout::kLpcnet20:
      return "lpcnet20";
    case Layout::kOpus20:
      return "opus20";
    case Layout::kLpcnet55:
      break;
  }
  return "lpcnet55";
}

LpcnetExtractor::LpcnetExtractor(Layout layout, const kernels::KernelTable& table)
    : layout_(layout),
      analysis_(layout == Layout::kLpcnet55 ? Recipe::k2019 : Recipe::kLatest, table) {
  reset();
}

LpcnetExtractor::LpcnetExtractor(std::shared_ptr<const PitchNetwork> network,
                                 const kernels::KernelTable& table)
    : layout_(Layout::kOpus20), network_(std::move(network)), analysis_(*network_, table) {
  reset();
}

std::size_t LpcnetExtractor::dims() const PYVOC_RT {
  const bool plain = layout_ == Layout::kLpcnet20 || layout_ == Layout::kOpus20;
  return plain ? kPlainDims : static_cast<std::size_t>(analysis_.row_size());
}

std::size_t LpcnetExtractor::latency_samples() const PYVOC_RT {
  return static_cast<std::size_t>(analysis_.frames_per_decision()) * kFrame;
}

std::size_t LpcnetExtractor::frames_after(std::size_t n) const PYVOC_RT {
  const std::size_t frames = n / kFrame + (n % kFrame + static_cast<std::size_t>(filled_)) / kFrame;
  const std::size_t group = static_cast<std::size_t>(analysis_.frames_per_decision());
  return (frames + static_cast<std::size_t>(analysis_.waiting())) / group * group;
}

std::size_t LpcnetExtractor::push(Span<const float> pcm, float* out) PYVOC_RT {
  const std::size_t row = static_cast<std::size_t>(analysis_.row_size());
  const std::size_t width = dims();
  std::size_t written = 0;
  std::size_t at = 0;
  while (at < pcm.size()) {
    const int take = static_cast<int>(
        std::min<std::size_t>(pcm.size() - at, static_cast<std::size_t>(kFrame - filled_)));
    float memory = memory_;
    for (int i = 0; i < take; ++i) {
      const float x = pcm.data()[at + static_cast<std::size_t>(i)] * kPcmScale;
      frame_[filled_ + i] = x + memory;
      memory = -kPreemphasis * x;
    }
    memory_ = memory;
    filled_ += take;
    at += static_cast<std::size_t>(take);
    if (filled_ < kFrame) break;
    filled_ = 0;
    const int rows = analysis_.frame(frame_);
    for (int k = 0; k < rows; ++k) {
      const float* source = analysis_.rows() + static_cast<std::size_t>(k) * row;
      float* to = out + written++ * width;
      std::copy(source, source + width, to);
      if (layout_ == Layout::kOpus20 && !network_) to[kPitch] = octaves_of(to[kPitch]);
    }
  }
  return written;
}

std::size_t LpcnetExtractor::flush(float* out) PYVOC_RT {
  static_cast<void>(out);
  filled_ = 0;
  return 0;
}

void LpcnetExtractor::reset() PYVOC_RT {
  analysis_.reset();
  filled_ = 0;
  memory_ = 0.0f;
}

}  // namespace pyvoc::dsp
