// The feature extraction part of the C ABI.
#include <atomic>
#include <cmath>
#include <string>

#include "api/error.h"
#include "api/guard.h"
#include "api/lease.h"
#include "dsp/lpcnet_extractor.h"
#include "kernels/resolve.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::api::fail;
using pyvoc::api::Lease;

namespace {

// Full scale is 1; a resampler may overshoot, a signal on the s16 scale is a mistake.
constexpr float kMaxAmplitude = 16.0f;

}  // namespace

struct pyvoc_extractor {
  pyvoc_extractor(pyvoc::dsp::Layout layout, const pyvoc::kernels::KernelTable& table)
      : extractor(layout, table) {}

  pyvoc::dsp::LpcnetExtractor extractor;
  pyvoc::api::BusyFlag busy;
  std::atomic<bool> ended{false};
};

namespace {

pyvoc_status busy() noexcept {
  return fail(Code::kBusy, "the extractor is in use by another thread");
}

}  // namespace

extern "C" {

pyvoc_status pyvoc_extractor_open(const char* layout, pyvoc_extractor** extractor) {
  if (layout == nullptr || extractor == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_open: a pointer is null");
  }
  return pyvoc::api::guarded([&]() -> pyvoc_status {
    const auto found = pyvoc::dsp::find_layout(layout);
    if (!found) {
      return fail(pyvoc::Status(Code::kArgument, "unknown feature layout '" + std::string(layout) +
                                                     "'; expected one of " +
                                                     pyvoc::dsp::kLayoutNames));
    }
    const auto table = pyvoc::kernels::active_table();
    if (!table.ok()) return fail(table.status());
    *extractor = new pyvoc_extractor(*found, *table.value());
    return PYVOC_OK;
  });
}

void pyvoc_extractor_close(pyvoc_extractor* extractor) { delete extractor; }

pyvoc_status pyvoc_extractor_get_info(const pyvoc_extractor* extractor,
                                      pyvoc_extractor_info* info) {
  if (extractor == nullptr || info == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_get_info: a pointer is null");
  }
  pyvoc_extractor_info full{};
  full.struct_size = info->struct_size;
  full.sample_rate = pyvoc::dsp::kSampleRate;
  full.hop_length = pyvoc::dsp::kFrame;
  full.feature_dims = static_cast<std::uint32_t>(extractor->extractor.dims());
  full.latency_samples = static_cast<std::uint32_t>(extractor->extractor.latency_samples());
  return pyvoc::api::copy_struct(full, info, info->struct_size);
}

size_t pyvoc_extractor_frames_after(const pyvoc_extractor* extractor, size_t n_samples) {
  return extractor == nullptr ? 0 : extractor->extractor.frames_after(n_samples);
}

pyvoc_status pyvoc_extractor_push(pyvoc_extractor* extractor, const float* pcm, size_t n_samples,
                                  float* frames, size_t capacity_frames, size_t* written) {
  if (extractor == nullptr || written == nullptr || (pcm == nullptr && n_samples > 0)) {
    return fail(Code::kArgument, "pyvoc_extractor_push: a pointer is null");
  }
  const Lease lease(extractor->busy);
  if (!lease.held()) return busy();
  if (extractor->ended) {
    return fail(Code::kState, "pyvoc_extractor_push after flush: reset the extractor first");
  }
  const size_t due = extractor->extractor.frames_after(n_samples);
  if (due > capacity_frames || (due > 0 && frames == nullptr)) {
    return fail(Code::kArgument, "pyvoc_extractor_push: no room for the frames that are due");
  }
  for (size_t i = 0; i < n_samples; ++i) {
    if (std::fabs(pcm[i]) <= kMaxAmplitude) continue;  // false for NaN
    return fail(Code::kAudio, std::isfinite(pcm[i])
                                  ? "the PCM exceeds +-16; expected floats in -1..1"
                                  : "the PCM has NaN or infinite samples");
  }
  *written = extractor->extractor.push({pcm, n_samples}, frames);
  return PYVOC_OK;
}

pyvoc_status pyvoc_extractor_flush(pyvoc_extractor* extractor, float* frames,
                                   size_t capacity_frames, size_t* written) {
  static_cast<void>(capacity_frames);  // nothing is held back
  if (extractor == nullptr || written == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_flush: a pointer is null");
  }
  const Lease lease(extractor->busy);
  if (!lease.held()) return busy();
  if (extractor->ended) {
    return fail(Code::kState, "pyvoc_extractor_flush after flush: reset the extractor first");
  }
  extractor->ended = true;
  *written = extractor->extractor.flush(frames);
  return PYVOC_OK;
}

pyvoc_status pyvoc_extractor_reset(pyvoc_extractor* extractor) {
  if (extractor == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_reset: a pointer is null");
  }
  const Lease lease(extractor->busy);
  if (!lease.held()) return busy();
  extractor->ended = false;
  extractor->extractor.reset();
  return PYVOC_OK;
}

}  // extern "C"
