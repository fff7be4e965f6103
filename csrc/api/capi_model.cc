// pyvoc.h: the system and models.

#include <cmath>
#include <cstring>

#include "api/describe.h"
#include "api/error.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/registry.h"
#include "base/denormals.h"
#include "base/span.h"
#include "base/team.h"
#include "kernels/resolve.h"
#include "models/mel_features.h"

namespace {

using pyvoc::Code;
using pyvoc::Matrix;
using pyvoc::Result;
using pyvoc::Status;
using pyvoc::api::fail;
using pyvoc::api::guarded;

pyvoc_status make_model(const Result<std::shared_ptr<const pyvoc::io::Gguf>>& file,
                        pyvoc_model** model) {
  if (!file.ok()) return fail(file.status());
  Result<std::unique_ptr<pyvoc::models::Vocoder>> vocoder = pyvoc::api::load_vocoder(*file.value());
  if (!vocoder.ok()) return fail(vocoder.status());
  auto handle = std::make_unique<pyvoc_model>();
  if (vocoder.value()->info().feature_layout == pyvoc::models::kMelLayout) {
    Result<pyvoc::dsp::MelRecipe> recipe = pyvoc::models::read_mel_recipe(*file.value());
    if (!recipe.ok()) return fail(recipe.status());
    handle->mel = recipe.value();
  }
  handle->description = pyvoc::api::describe_model(*file.value(), *vocoder.value());
  handle->vocoder = std::move(vocoder.value());
  *model = handle.release();
  return PYVOC_OK;
}

Matrix<const float> frames_of(const pyvoc::models::Vocoder& vocoder, const float* features,
                              size_t frames, size_t stride) {
  return {features, frames, static_cast<size_t>(vocoder.info().feature_dims), stride};
}

// Whether samples can go with frames.
Status check_signal(const pyvoc::models::Vocoder& vocoder, Matrix<const float> frames,
                    pyvoc::Span<const float> pcm) {
  const size_t hop = static_cast<size_t>(vocoder.info().hop_length);
  if (frames.stride() < frames.cols()) {
    return Status(Code::kFeature, "frames of " + std::to_string(frames.stride()) +
                                      " floats, the model reads " + std::to_string(frames.cols()));
  }
  if (pcm.empty() || frames.rows() == 0 || (pcm.size() - 1) / hop >= frames.rows()) {
    return Status(Code::kAudio, std::to_string(pcm.size()) + " samples for " +
                                    std::to_string(frames.rows()) + " frames of " +
                                    std::to_string(hop));
  }
  for (size_t i = 0; i < frames.rows(); ++i) {
    if (!vocoder.valid_frame(frames[i].data())) {
      return Status(Code::kFeature,
                    "frame " + std::to_string(i) + " holds a NaN or an absurd value");
    }
  }
  for (size_t i = 0; i < pcm.size(); ++i) {
    if (!(std::fabs(pcm[i]) <= 16.0f)) {
      return Status(Code::kAudio, "sample " + std::to_string(i) + " is a NaN or far beyond -1..1");
    }
  }
  return Status();
}

}  // namespace

pyvoc_status pyvoc_system_info(const char** json) {
  if (json == nullptr) return fail(Status(Code::kArgument, "json is a null pointer"));
  return guarded([&]() -> pyvoc_status {
    Result<const pyvoc::kernels::KernelTable*> table = pyvoc::kernels::active_table();
    if (!table.ok()) return fail(table.status());
    static const std::string text = pyvoc::api::describe_system(*table.value());
    *json = text.c_str();
    return PYVOC_OK;
  });
}

pyvoc_status pyvoc_model_load(const char* path, pyvoc_model** model) {
  if (path == nullptr || model == nullptr) {
    return fail(Status(Code::kArgument, "path or model is a null pointer"));
  }
  return guarded([&] { return make_model(pyvoc::io::Gguf::open(path), model); });
}

pyvoc_status pyvoc_model_load_memory(const void* data, size_t size, pyvoc_model** model) {
  if (data == nullptr || model == nullptr) {
    return fail(Status(Code::kArgument, "data or model is a null pointer"));
  }
  return guarded([&] { return make_model(pyvoc::io::Gguf::from_memory(data, size), model); });
}

void pyvoc_model_release(pyvoc_model* model) { delete model; }

pyvoc_status pyvoc_model_get_info(const pyvoc_model* model, pyvoc_model_info* info) {
  if (model == nullptr || info == nullptr) {
    return fail(Status(Code::kArgument, "model or info is a null pointer"));
  }
  const pyvoc::models::VocoderInfo& v = model->vocoder->info();
  pyvoc_model_info full;
  std::memset(&full, 0, sizeof full);
  full.struct_size = info->struct_size;
  full.architecture = v.architecture.c_str();
  full.precision = v.precision.c_str();
  full.feature_layout = v.feature_layout.c_str();
  full.layout_dims = static_cast<uint32_t>(v.layout_dims);
  full.sample_rate = static_cast<uint32_t>(v.sample_rate);
  full.hop_length = static_cast<uint32_t>(v.hop_length);
  full.feature_dims = static_cast<uint32_t>(v.feature_dims);
  full.lookahead_frames = static_cast<uint32_t>(v.lookahead_frames);
  full.draws_per_sample = static_cast<uint32_t>(v.draws_per_sample);
  full.distribution_size = static_cast<uint32_t>(v.distribution_size);
  full.takes_sigma = v.takes_sigma ? 1 : 0;
  full.flows = static_cast<uint32_t>(v.flows);
  full.latency_samples = static_cast<uint32_t>(v.lookahead_frames * v.hop_length + v.early_samples);
  full.prime_samples = static_cast<uint32_t>(v.prime_samples);
  full.prime_frames = static_cast<uint32_t>(v.prime_frames);
  full.pitch_network = model->vocoder->pitch_network() != nullptr ? 1 : 0;
  return pyvoc::api::copy_struct(full, info, info->struct_size);
}

pyvoc_status pyvoc_model_describe(const pyvoc_model* model, const char** json) {
  if (model == nullptr || json == nullptr) {
    return fail(Status(Code::kArgument, "model or json is a null pointer"));
  }
  *json = model->description.c_str();
  return PYVOC_OK;
}

pyvoc_status pyvoc_model_predict(const pyvoc_model* model, const float* features, size_t frames,
                                 size_t stride, const float* pcm, size_t n_samples,
                                 float* probabilities) {
  if (model == nullptr || features == nullptr || pcm == nullptr || probabilities == nullptr) {
    return fail(Status(Code::kArgument, "a null pointer was given"));
  }
  const pyvoc::models::Vocoder& vocoder = *model->vocoder;
  const Matrix<const float> rows = frames_of(vocoder, features, frames, stride);
  return guarded([&]() -> pyvoc_status {
    Status status = check_signal(vocoder, rows, {pcm, n_samples});
    if (status.ok()) status = vocoder.predict(rows, {pcm, n_samples}, probabilities);
    return status.ok() ? PYVOC_OK : fail(status);
  });
}

pyvoc_status pyvoc_model_forward(const pyvoc_model* model, const float* features, size_t frames,
                                 size_t stride, const float* pcm, size_t n_samples,
                                 uint32_t threads, float* noise, double* log_scales,
                                 double* log_dets) {
  if (model == nullptr || features == nullptr || pcm == nullptr || noise == nullptr ||
      log_scales == nullptr || log_dets == nullptr) {
    return fail(Status(Code::kArgument, "a null pointer was given"));
  }
  const pyvoc::models::Vocoder& vocoder = *model->vocoder;
  const Matrix<const float> rows = frames_of(vocoder, features, frames, stride);
  const pyvoc::DenormalGuard denormals;
  return guarded([&]() -> pyvoc_status {
    Status status = check_signal(vocoder, rows, {pcm, n_samples});
    if (status.ok() && threads > pyvoc::Team::kMost) {
      status = Status(Code::kArgument, "threads is " + std::to_string(threads) + ", at most " +
                                           std::to_string(pyvoc::Team::kMost));
    }
    if (status.ok()) {
      status = vocoder.forward(rows, {pcm, n_samples}, threads == 0 ? 1 : static_cast<int>(threads),
                               noise, log_scales, log_dets);
    }
    return status.ok() ? PYVOC_OK : fail(status);
  });
}
