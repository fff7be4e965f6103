// pyvoc.h: the system and models.

#include <cmath>
#include <cstring>

#include "api/describe.h"
#include "api/error.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/registry.h"
#include "kernels/resolve.h"
#include "models/mel_features.h"

namespace {

using pyvoc::Code;
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
  if (reinterpret_cast<std::uintptr_t>(data) % 64 != 0) {
    return fail(Status(Code::kArgument, "model data is not aligned to 64 bytes"));
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
  const size_t dims = static_cast<size_t>(vocoder.info().feature_dims);
  const size_t hop = static_cast<size_t>(vocoder.info().hop_length);
  if (stride < dims) {
    return fail(Status(Code::kFeature, "frames of " + std::to_string(stride) +
                                           " floats, the model reads " + std::to_string(dims)));
  }
  if (n_samples == 0 || frames == 0 || (n_samples - 1) / hop >= frames) {
    return fail(Status(Code::kAudio, std::to_string(n_samples) + " samples for " +
                                         std::to_string(frames) + " frames of " +
                                         std::to_string(hop)));
  }
  for (size_t i = 0; i < frames; ++i) {
    if (!vocoder.valid_frame(features + i * stride)) {
      return fail(
          Status(Code::kFeature, "frame " + std::to_string(i) + " holds a NaN or an absurd value"));
    }
  }
  for (size_t i = 0; i < n_samples; ++i) {
    if (!(std::fabs(pcm[i]) <= 16.0f)) {
      return fail(
          Status(Code::kAudio, "sample " + std::to_string(i) + " is a NaN or far beyond -1..1"));
    }
  }
  return guarded([&]() -> pyvoc_status {
    const Status status =
        vocoder.predict({features, frames, dims, stride}, {pcm, n_samples}, probabilities);
    return status.ok() ? PYVOC_OK : fail(status);
  });
}
