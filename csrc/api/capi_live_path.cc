// pyvoc/live.h: the path alone, on the caller's thread.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <utility>

#include "api/error.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/lease.h"
#include "api/live_options.h"
#include "api/live_path.h"
#include "base/denormals.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::DenormalGuard;
using pyvoc::Status;
using pyvoc::api::fail;
using pyvoc::api::guarded;
using pyvoc::api::Lease;
using pyvoc::api::LiveDelays;
using pyvoc::api::LivePath;
using pyvoc::api::LiveSettings;
using pyvoc::api::within;

struct pyvoc_live_path {
  // False when output waits that was not pulled.
  bool advance() PYVOC_RT {
    if (!path->drain()) return false;
    if (!ending || finished) return true;
    path->finish();
    finished = true;
    return path->drain();
  }

  LiveSettings settings;
  std::unique_ptr<pyvoc::Ring> output;
  std::unique_ptr<LivePath> path;
  std::uint32_t latency = 0;  // output samples
  pyvoc::api::BusyFlag busy;
  bool ending = false, finished = false;
  std::atomic<std::uint64_t> bad_samples{0};
};

namespace {

constexpr std::uint32_t kFlags = PYVOC_LIVE_BYPASS | PYVOC_LIVE_FEATURES | PYVOC_LIVE_TWO_CLOCKS;
constexpr std::uint32_t kMostCapacity = 1u << 24;

pyvoc_status busy() noexcept {
  return fail(Code::kBusy, "the live path is in use by another thread");
}

// Silence after which no pull runs short: what the parts hold back, and a chunk that is not whole.
// Resamplers round, by a sample each.
std::uint32_t latency_of(const LivePath& path, const LiveSettings& settings, double model_rate) {
  const LiveDelays d = path.delays();
  double seconds = d.output_resampler;
  if (!settings.input_is_features) seconds += d.input_resampler;
  if (!settings.bypass) {
    seconds += d.lookahead + static_cast<double>(path.chunk() - 1) * path.frame_seconds();
    if (!settings.input_is_features) seconds += static_cast<double>(path.held()) / model_rate;
  }
  return static_cast<std::uint32_t>(std::ceil(seconds * settings.output_rate + 2.0));
}

}  // namespace

extern "C" {

pyvoc_status pyvoc_live_path_open(pyvoc_model* model, const pyvoc_live_path_options* options,
                                  pyvoc_live_path** path) {
  if (model == nullptr || path == nullptr) {
    return fail(Code::kArgument, "pyvoc_live_path_open: a pointer is null");
  }
  pyvoc_live_path_options given = PYVOC_LIVE_PATH_OPTIONS_INIT;
  if (options != nullptr) {
    const pyvoc_status status = pyvoc::api::copy_struct(*options, &given, options->struct_size);
    if (status != PYVOC_OK) return status;
  }
  return guarded([&]() -> pyvoc_status {
    if ((given.flags & ~kFlags) != 0) {
      return fail(
          pyvoc::api::refuse("flags", given.flags, "PYVOC_LIVE_BYPASS, _FEATURES, _TWO_CLOCKS"));
    }
    if (given.capacity_samples > kMostCapacity) {
      return fail(pyvoc::api::refuse("capacity_samples", given.capacity_samples, "0 to 16777216"));
    }
    auto handle = std::make_unique<pyvoc_live_path>();
    LiveSettings& settings = handle->settings;
    const Status read = pyvoc::api::read_common(given, *model, &settings);
    if (!read.ok()) return fail(read);
    const std::size_t waiting = given.capacity_samples != 0
                                    ? given.capacity_samples
                                    : static_cast<std::size_t>(settings.output_rate);
    auto made = pyvoc::api::make_live_path(*model, settings, waiting);
    if (!made.ok()) return fail(made.status());
    handle->output = std::move(made.value().output);
    handle->path = std::move(made.value().path);
    handle->path->set_chunk(settings.bypass || settings.chunk == 0 ? 1 : settings.chunk);
    handle->path->set_shift(settings.pitch, settings.formant);
    handle->latency = latency_of(*handle->path, settings, model->vocoder->info().sample_rate);
    *path = handle.release();
    return PYVOC_OK;
  });
}

void pyvoc_live_path_close(pyvoc_live_path* path) { delete path; }

size_t pyvoc_live_path_push(pyvoc_live_path* path, const float* pcm, size_t n_samples) {
  if (path == nullptr || pcm == nullptr || path->settings.input_is_features) return 0;
  const Lease lease(path->busy);
  if (!lease.held()) return 0;
  const DenormalGuard guard;
  float piece[LivePath::kPiece];
  std::size_t taken = 0;
  std::uint64_t bad = 0;
  while (taken < n_samples && !path->ending && path->advance()) {
    const std::size_t n = std::min(n_samples - taken, LivePath::kPiece);
    for (std::size_t i = 0; i < n; ++i) {
      piece[i] = pyvoc::api::sanitised(pcm[taken + i]);
      bad += piece[i] != pcm[taken + i];  // NaN too
    }
    path->path->push({piece, n});
    taken += n;
  }
  if (bad > 0) {
    path->bad_samples.store(path->bad_samples.load(std::memory_order_relaxed) + bad,
                            std::memory_order_relaxed);
  }
  path->advance();
  return taken;
}

size_t pyvoc_live_path_push_features(pyvoc_live_path* path, const float* rows, size_t n_frames,
                                     size_t stride) {
  if (path == nullptr || rows == nullptr || !path->settings.input_is_features) return 0;
  if (stride < path->path->frame_dims()) return 0;
  const Lease lease(path->busy);
  if (!lease.held()) return 0;
  const DenormalGuard guard;
  std::size_t taken = 0;
  while (taken < n_frames && !path->ending && path->advance()) {
    path->path->push_frame(rows + taken * stride);
    ++taken;
  }
  path->advance();
  return taken;
}

void pyvoc_live_path_finish(pyvoc_live_path* path) {
  if (path == nullptr) return;
  const Lease lease(path->busy);
  if (!lease.held()) return;
  const DenormalGuard guard;
  path->ending = true;
  path->advance();
}

size_t pyvoc_live_path_pull(pyvoc_live_path* path, float* samples, size_t capacity) {
  if (path == nullptr || samples == nullptr) return 0;
  const Lease lease(path->busy);
  if (!lease.held()) return 0;
  const DenormalGuard guard;
  std::size_t got = 0;
  for (;;) {
    const std::size_t n = path->output->read({samples + got, capacity - got});
    for (std::size_t i = got; i < got + n; ++i) samples[i] = std::clamp(samples[i], -1.0f, 1.0f);
    got += n;
    if (got == capacity) return got;
    path->advance();
    if (path->output->readable() == 0) return got;
  }
}

pyvoc_status pyvoc_live_path_set_shift(pyvoc_live_path* path, float pitch, float formant) {
  if (path == nullptr || !within(pitch) || !within(formant)) {
    return fail(Code::kArgument, "a null pointer, or more than 24 semitones");
  }
  if (formant != 0.0f && !path->path->takes_formant()) {
    return fail(Code::kUnsupported, "the model reads mel frames: shift the pitch");
  }
  const Lease lease(path->busy);
  if (!lease.held()) return busy();
  path->path->set_shift(pitch, formant);
  return PYVOC_OK;
}

pyvoc_status pyvoc_live_path_correct(pyvoc_live_path* path, double factor) {
  constexpr double kMost = pyvoc::dsp::Resampler::kMostCorrection;
  if (path == nullptr || !(factor >= 1.0 - kMost && factor <= 1.0 + kMost)) {
    return fail(Code::kArgument, "a null pointer, or a factor that is not 0.995 to 1.005");
  }
  if (!path->settings.two_clocks) {
    return fail(Code::kState, "the path was opened without PYVOC_LIVE_TWO_CLOCKS");
  }
  const Lease lease(path->busy);
  if (!lease.held()) return busy();
  path->path->correct(factor);
  return PYVOC_OK;
}

pyvoc_status pyvoc_live_path_reset(pyvoc_live_path* path) {
  if (path == nullptr) return fail(Code::kArgument, "pyvoc_live_path_reset: a pointer is null");
  const Lease lease(path->busy);
  if (!lease.held()) return busy();
  path->path->reset();
  path->path->set_shift(path->settings.pitch, path->settings.formant);
  path->output->skip(path->output->readable());
  path->ending = path->finished = false;
  path->bad_samples.store(0, std::memory_order_relaxed);
  return PYVOC_OK;
}

pyvoc_status pyvoc_live_path_get_info(const pyvoc_live_path* path, pyvoc_live_path_info* info) {
  if (path == nullptr || info == nullptr) {
    return fail(Code::kArgument, "pyvoc_live_path_get_info: a pointer is null");
  }
  pyvoc_live_path_info full{};
  full.struct_size = info->struct_size;
  full.input_rate = static_cast<std::uint32_t>(path->settings.input_rate);
  full.output_rate = static_cast<std::uint32_t>(path->settings.output_rate);
  full.feature_dims = static_cast<std::uint32_t>(path->path->frame_dims());
  full.latency_samples = path->latency;
  full.burst_samples = static_cast<std::uint32_t>(path->path->burst());
  full.bad_samples = path->bad_samples.load(std::memory_order_relaxed);
  full.bad_features = path->path->bad_frames();
  return pyvoc::api::copy_struct(full, info, info->struct_size);
}

}  // extern "C"
