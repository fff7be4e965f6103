// The denoiser's part of the C ABI.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "api/error.h"
#include "api/guard.h"
#include "api/lease.h"
#include "api/pcm.h"
#include "base/denormals.h"
#include "dsp/denoiser.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::DenormalGuard;
using pyvoc::Status;
using pyvoc::api::check_sound;
using pyvoc::api::fail;
using pyvoc::api::guarded;
using pyvoc::api::Lease;
using pyvoc::dsp::Denoiser;
using pyvoc::dsp::DenoiserSettings;

struct pyvoc_denoiser {
  pyvoc_denoiser(const DenoiserSettings& settings, pyvoc::Span<const float> bias)
      : denoiser(settings, bias) {}

  Denoiser denoiser;
  pyvoc::api::BusyFlag busy;
  std::atomic<bool> ended{false};
};

namespace {

pyvoc_status busy() noexcept {
  return fail(Code::kBusy, "the denoiser is in use by another thread");
}

// Bins are half the transform and one; the sentences name what the caller gave.
Status read_settings(std::size_t bins, const pyvoc_denoiser_options& options,
                     DenoiserSettings* settings) {
  if (options.struct_size < sizeof options) {
    return Status(Code::kArgument, "struct_size is not set: use sizeof the struct");
  }
  const std::size_t fft = bins == 0 ? 0 : 2 * (bins - 1);
  if (fft < 16 || fft > 16384 || (fft & (fft - 1)) != 0) {
    return Status(Code::kArgument, "the bias has " + std::to_string(bins) +
                                       " magnitudes, expected 1 more than a power of two from 8 "
                                       "to 8192 (513 for 1024 points)");
  }
  settings->fft_length = fft;
  settings->hop_length = options.hop_length == 0 ? fft / 4 : options.hop_length;
  settings->strength = options.strength;
  const std::string problems = pyvoc::dsp::denoiser_problems(*settings);
  return problems.empty() ? Status() : Status(Code::kArgument, "impossible denoiser: " + problems);
}

}  // namespace

extern "C" {

pyvoc_status pyvoc_denoiser_bias(const float* hum, size_t n_samples, float* bias, size_t bins) {
  if ((hum == nullptr && n_samples > 0) || bias == nullptr) {
    return fail(Code::kArgument, "pyvoc_denoiser_bias: a pointer is null");
  }
  return guarded([&]() -> pyvoc_status {
    const pyvoc_denoiser_options options = PYVOC_DENOISER_OPTIONS_INIT;
    DenoiserSettings settings;
    const Status status = read_settings(bins, options, &settings);
    if (!status.ok()) return fail(status);
    if (n_samples < bins) {
      return fail(Status(Code::kAudio, "the hum has " + std::to_string(n_samples) +
                                           " samples, expected " + std::to_string(bins) +
                                           " or more"));
    }
    const pyvoc_status checked = check_sound(hum, n_samples);
    if (checked != PYVOC_OK) return checked;
    const std::vector<float> found =
        pyvoc::dsp::hum_magnitudes({hum, n_samples}, settings.fft_length);
    std::copy(found.begin(), found.end(), bias);
    return PYVOC_OK;
  });
}

pyvoc_status pyvoc_denoiser_open(const float* bias, size_t bins,
                                 const pyvoc_denoiser_options* options, pyvoc_denoiser** denoiser) {
  if ((bias == nullptr && bins > 0) || denoiser == nullptr) {
    return fail(Code::kArgument, "pyvoc_denoiser_open: a pointer is null");
  }
  return guarded([&]() -> pyvoc_status {
    const pyvoc_denoiser_options usual = PYVOC_DENOISER_OPTIONS_INIT;
    DenoiserSettings settings;
    const Status status = read_settings(bins, options == nullptr ? usual : *options, &settings);
    if (!status.ok()) return fail(status);
    // Of a sound within bounds, over the transform's length.
    const float most = pyvoc::api::kMostSound * static_cast<float>(settings.fft_length);
    for (size_t k = 0; k < bins; ++k) {
      if (bias[k] >= 0.0f && bias[k] <= most) continue;  // false for NaN
      return fail(Status(Code::kArgument, "magnitude " + std::to_string(k) + " of the bias is " +
                                              std::to_string(bias[k]) +
                                              ", not one that audio in -1..1 can have"));
    }
    *denoiser = new pyvoc_denoiser(settings, {bias, bins});
    return PYVOC_OK;
  });
}

void pyvoc_denoiser_close(pyvoc_denoiser* denoiser) { delete denoiser; }

size_t pyvoc_denoiser_latency_samples(const pyvoc_denoiser* denoiser) {
  return denoiser == nullptr ? 0 : denoiser->denoiser.latency_samples();
}

size_t pyvoc_denoiser_samples_after(const pyvoc_denoiser* denoiser, size_t n_samples) {
  return denoiser == nullptr ? 0 : denoiser->denoiser.samples_after(n_samples);
}

pyvoc_status pyvoc_denoiser_push(pyvoc_denoiser* denoiser, const float* pcm, size_t n_samples,
                                 float* samples, size_t capacity, size_t* written) {
  if (denoiser == nullptr || written == nullptr || (pcm == nullptr && n_samples > 0)) {
    return fail(Code::kArgument, "pyvoc_denoiser_push: a pointer is null");
  }
  const Lease lease(denoiser->busy);
  if (!lease.held()) return busy();
  if (denoiser->ended) {
    return fail(Code::kState, "pyvoc_denoiser_push after flush: reset the denoiser first");
  }
  const size_t due = n_samples == 0 ? 0 : denoiser->denoiser.samples_after(n_samples);
  if (due > capacity || (due > 0 && samples == nullptr)) {
    return fail(Code::kArgument, "pyvoc_denoiser_push: no room for the samples that are due");
  }
  const pyvoc_status checked = check_sound(pcm, n_samples);
  if (checked != PYVOC_OK) return checked;
  const DenormalGuard guard;
  *written = denoiser->denoiser.push({pcm, n_samples}, samples);
  return PYVOC_OK;
}

pyvoc_status pyvoc_denoiser_flush(pyvoc_denoiser* denoiser, float* samples, size_t capacity,
                                  size_t* written) {
  if (denoiser == nullptr || written == nullptr) {
    return fail(Code::kArgument, "pyvoc_denoiser_flush: a pointer is null");
  }
  const Lease lease(denoiser->busy);
  if (!lease.held()) return busy();
  if (denoiser->ended) {
    return fail(Code::kState, "pyvoc_denoiser_flush after flush: reset the denoiser first");
  }
  const size_t due = denoiser->denoiser.samples_after(0);
  if (due > capacity || (due > 0 && samples == nullptr)) {
    return fail(Code::kArgument, "pyvoc_denoiser_flush: no room for the samples that are due");
  }
  denoiser->ended = true;
  const DenormalGuard guard;
  *written = denoiser->denoiser.flush(samples);
  return PYVOC_OK;
}

pyvoc_status pyvoc_denoiser_reset(pyvoc_denoiser* denoiser) {
  if (denoiser == nullptr) {
    return fail(Code::kArgument, "pyvoc_denoiser_reset: a pointer is null");
  }
  const Lease lease(denoiser->busy);
  if (!lease.held()) return busy();
  denoiser->ended = false;
  denoiser->denoiser.reset();
  return PYVOC_OK;
}

}  // extern "C"
