// The feature extraction part of the C ABI.
#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "api/error.h"
#include "api/extractors.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/lease.h"
#include "api/pcm.h"
#include "dsp/mel_recipe.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::Status;
using pyvoc::api::check_pcm;
using pyvoc::api::fail;
using pyvoc::api::guarded;
using pyvoc::api::Lease;
using pyvoc::dsp::MelRecipe;

namespace {

constexpr float kMaxAmplitude = 16.0f;
constexpr const char* kTooLoud = "the PCM exceeds +-16; expected floats in -1..1";

}  // namespace

struct pyvoc_extractor {
  explicit pyvoc_extractor(std::unique_ptr<pyvoc::dsp::FeatureExtractor> opened)
      : extractor(std::move(opened)) {}

  std::unique_ptr<pyvoc::dsp::FeatureExtractor> extractor;
  pyvoc::api::BusyFlag busy;
  std::atomic<bool> ended{false};
};

namespace {

pyvoc_status busy() noexcept {
  return fail(Code::kBusy, "the extractor is in use by another thread");
}

template <typename Source>
pyvoc_status open_extractor(const Source& source, pyvoc_extractor** extractor) {
  auto made = pyvoc::api::make_extractor(source);
  if (!made.ok()) return fail(made.status());
  *extractor = new pyvoc_extractor(std::move(made.value()));
  return PYVOC_OK;
}

// Numbers from a caller's struct; the enums' values are those of MelLog and MelPadding.
pyvoc_status read_recipe(const pyvoc_mel_recipe& given, MelRecipe* recipe) {
  pyvoc_mel_recipe from{};  // what an older caller does not know is 0
  const pyvoc_status copied = pyvoc::api::copy_struct(given, &from, given.struct_size);
  if (copied != PYVOC_OK) return copied;
  if (from.log > PYVOC_MEL_DB || from.padding > PYVOC_MEL_ZERO || from.power > 2 ||
      from.normalized > 1) {
    return fail(Code::kArgument, "the mel recipe's log, padding, power or normalized is unknown");
  }
  MelRecipe& r = *recipe;
  r.sample_rate = from.sample_rate;
  r.hop_length = from.hop_length;
  r.window_length = from.window_length;
  r.fft_length = from.fft_length;
  r.bands = from.bands;
  r.fmin = from.fmin;
  r.fmax = from.fmax;
  r.log = static_cast<pyvoc::dsp::MelLog>(from.log);
  r.floor = from.floor;
  r.power = static_cast<int>(from.power);
  r.padding = static_cast<pyvoc::dsp::MelPadding>(from.padding);
  r.pad = from.pad;
  r.normalized = from.normalized != 0;
  r.ref_db = from.ref_db;
  r.min_db = from.min_db;
  r.epsilon = from.epsilon;
  const std::string problems = pyvoc::dsp::mel_recipe_problems(r);
  if (problems.empty()) return PYVOC_OK;
  return fail(Status(Code::kArgument, "impossible mel recipe: " + problems));
}

}  // namespace

extern "C" {

pyvoc_status pyvoc_extractor_open(const char* layout, pyvoc_extractor** extractor) {
  if (layout == nullptr || extractor == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_open: a pointer is null");
  }
  return guarded([&] { return open_extractor(std::string(layout), extractor); });
}

pyvoc_status pyvoc_extractor_open_for_model(const pyvoc_model* model, pyvoc_extractor** extractor) {
  if (model == nullptr || extractor == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_open_for_model: a pointer is null");
  }
  return guarded([&] { return open_extractor(*model, extractor); });
}

pyvoc_status pyvoc_extractor_open_mel(const pyvoc_mel_recipe* recipe, pyvoc_extractor** extractor) {
  if (recipe == nullptr || extractor == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_open_mel: a pointer is null");
  }
  return guarded([&] {
    MelRecipe numbers;
    const pyvoc_status status = read_recipe(*recipe, &numbers);
    if (status != PYVOC_OK) return status;
    return open_extractor(numbers, extractor);
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
  const pyvoc::dsp::FeatureExtractor& from = *extractor->extractor;
  full.sample_rate = static_cast<std::uint32_t>(from.sample_rate());
  full.hop_length = static_cast<std::uint32_t>(from.hop_length());
  full.feature_dims = static_cast<std::uint32_t>(from.dims());
  full.latency_samples = static_cast<std::uint32_t>(from.latency_samples());
  return pyvoc::api::copy_struct(full, info, info->struct_size);
}

size_t pyvoc_extractor_frames_after(const pyvoc_extractor* extractor, size_t n_samples) {
  return extractor == nullptr ? 0 : extractor->extractor->frames_after(n_samples);
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
  const size_t due = n_samples == 0 ? 0 : extractor->extractor->frames_after(n_samples);
  if (due > capacity_frames || (due > 0 && frames == nullptr)) {
    return fail(Code::kArgument, "pyvoc_extractor_push: no room for the frames that are due");
  }
  const pyvoc_status checked = check_pcm(pcm, n_samples, kMaxAmplitude, kTooLoud);
  if (checked != PYVOC_OK) return checked;
  *written = extractor->extractor->push({pcm, n_samples}, frames);
  return PYVOC_OK;
}

pyvoc_status pyvoc_extractor_flush(pyvoc_extractor* extractor, float* frames,
                                   size_t capacity_frames, size_t* written) {
  if (extractor == nullptr || written == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_flush: a pointer is null");
  }
  const Lease lease(extractor->busy);
  if (!lease.held()) return busy();
  if (extractor->ended) {
    return fail(Code::kState, "pyvoc_extractor_flush after flush: reset the extractor first");
  }
  const size_t due = extractor->extractor->frames_after(0);
  if (due > capacity_frames || (due > 0 && frames == nullptr)) {
    return fail(Code::kArgument, "pyvoc_extractor_flush: no room for the frames that are due");
  }
  extractor->ended = true;
  *written = extractor->extractor->flush(frames);
  return PYVOC_OK;
}

pyvoc_status pyvoc_extractor_reset(pyvoc_extractor* extractor) {
  if (extractor == nullptr) {
    return fail(Code::kArgument, "pyvoc_extractor_reset: a pointer is null");
  }
  const Lease lease(extractor->busy);
  if (!lease.held()) return busy();
  extractor->ended = false;
  extractor->extractor->reset();
  return PYVOC_OK;
}

}  // extern "C"
