// The resampler's part of the C ABI.
#include <string>

#include "api/error.h"
#include "api/guard.h"
#include "api/lease.h"
#include "api/pcm.h"
#include "base/denormals.h"
#include "dsp/resampler.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::DenormalGuard;
using pyvoc::Status;
using pyvoc::api::fail;
using pyvoc::api::kLeastRate;
using pyvoc::api::kMostRate;
using pyvoc::api::Lease;
using pyvoc::dsp::Resampler;

struct pyvoc_resampler {
  pyvoc_resampler(double from, double to) : resampler(from, to) {}

  Resampler resampler;
  pyvoc::api::BusyFlag busy;
  bool ended = false;
};

namespace {

pyvoc_status busy() noexcept {
  return fail(Code::kBusy, "the resampler is in use by another thread");
}

}  // namespace

extern "C" {

pyvoc_status pyvoc_resampler_open(uint32_t from_rate, uint32_t to_rate,
                                  pyvoc_resampler** resampler) {
  if (resampler == nullptr) {
    return fail(Code::kArgument, "pyvoc_resampler_open: a pointer is null");
  }
  return pyvoc::api::guarded([&]() -> pyvoc_status {
    for (const std::uint32_t hertz : {from_rate, to_rate}) {
      if (hertz < kLeastRate || hertz > kMostRate) {
        return fail(Status(Code::kArgument, "a sample rate is " + std::to_string(hertz) +
                                                ", expected 4000 to 384000 Hz"));
      }
    }
    *resampler = new pyvoc_resampler(from_rate, to_rate);
    return PYVOC_OK;
  });
}

void pyvoc_resampler_close(pyvoc_resampler* resampler) { delete resampler; }

size_t pyvoc_resampler_latency_samples(const pyvoc_resampler* resampler) {
  return resampler == nullptr ? 0 : resampler->resampler.latency();
}

size_t pyvoc_resampler_samples_after(const pyvoc_resampler* resampler, size_t n_samples) {
  if (resampler == nullptr) return 0;
  const Resampler& r = resampler->resampler;
  return r.most(n_samples == 0 ? r.latency() : n_samples);
}

pyvoc_status pyvoc_resampler_push(pyvoc_resampler* resampler, const float* pcm, size_t n_samples,
                                  float* samples, size_t capacity, size_t* written) {
  if (resampler == nullptr || written == nullptr || (pcm == nullptr && n_samples > 0)) {
    return fail(Code::kArgument, "pyvoc_resampler_push: a pointer is null");
  }
  const Lease lease(resampler->busy);
  if (!lease.held()) return busy();
  if (resampler->ended) {
    return fail(Code::kState, "pyvoc_resampler_push after flush: reset the resampler first");
  }
  const size_t due = n_samples == 0 ? 0 : resampler->resampler.most(n_samples);
  if (due > capacity || (due > 0 && samples == nullptr)) {
    return fail(Code::kArgument, "pyvoc_resampler_push: no room for the samples that are due");
  }
  const pyvoc_status checked = pyvoc::api::check_sound(pcm, n_samples);
  if (checked != PYVOC_OK) return checked;
  const DenormalGuard guard;
  *written = resampler->resampler.push({pcm, n_samples}, samples);
  return PYVOC_OK;
}

pyvoc_status pyvoc_resampler_flush(pyvoc_resampler* resampler, float* samples, size_t capacity,
                                   size_t* written) {
  if (resampler == nullptr || written == nullptr) {
    return fail(Code::kArgument, "pyvoc_resampler_flush: a pointer is null");
  }
  const Lease lease(resampler->busy);
  if (!lease.held()) return busy();
  if (resampler->ended) {
    return fail(Code::kState, "pyvoc_resampler_flush after flush: reset the resampler first");
  }
  if (samples == nullptr || resampler->resampler.most(resampler->resampler.latency()) > capacity) {
    return fail(Code::kArgument, "pyvoc_resampler_flush: no room for the samples that are due");
  }
  resampler->ended = true;
  const DenormalGuard guard;
  *written = resampler->resampler.flush(samples);
  return PYVOC_OK;
}

pyvoc_status pyvoc_resampler_correct(pyvoc_resampler* resampler, double factor) {
  if (resampler == nullptr ||
      !(factor >= 1.0 - Resampler::kMostCorrection && factor <= 1.0 + Resampler::kMostCorrection)) {
    return fail(Code::kArgument, "a null pointer, or a factor that is not 0.995 to 1.005");
  }
  const Lease lease(resampler->busy);
  if (!lease.held()) return busy();
  resampler->resampler.correct(factor);
  return PYVOC_OK;
}

pyvoc_status pyvoc_resampler_reset(pyvoc_resampler* resampler) {
  if (resampler == nullptr) {
    return fail(Code::kArgument, "pyvoc_resampler_reset: a pointer is null");
  }
  const Lease lease(resampler->busy);
  if (!lease.held()) return busy();
  resampler->ended = false;
  resampler->resampler.reset();
  return PYVOC_OK;
}

}  // extern "C"
