// pyvoc.h: folding.
#include <algorithm>
#include <string>

#include "api/error.h"
#include "api/guard.h"
#include "api/handles.h"
#include "dsp/folds.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::Status;
using pyvoc::api::copy_struct;
using pyvoc::api::fail;
using pyvoc::api::guarded;
using pyvoc::dsp::Folds;
using pyvoc::dsp::FoldSettings;

struct pyvoc_folds {
  FoldSettings settings;
  std::size_t lookahead;  // frames
  Folds folds;
};

extern "C" {

pyvoc_status pyvoc_folds_open(const pyvoc_model* model, size_t frames,
                              const pyvoc_folds_options* options, pyvoc_folds** folds) {
  if (model == nullptr || folds == nullptr) {
    return fail(Code::kArgument, "pyvoc_folds_open: a pointer is null");
  }
  return guarded([&]() -> pyvoc_status {
    pyvoc_folds_options given = PYVOC_FOLDS_OPTIONS_INIT;
    if (options != nullptr) {
      const pyvoc_status status = copy_struct(*options, &given, options->struct_size);
      if (status != PYVOC_OK) return status;
    }
    const pyvoc::models::VocoderInfo& info = model->vocoder->info();
    if (!info.foldable) {
      return fail(Status(Code::kUnsupported,
                         info.architecture + " does not go sample by sample: it cannot be folded"));
    }
    FoldSettings settings;
    settings.frames = frames;
    settings.hop_length = static_cast<std::size_t>(info.hop_length);
    settings.target = static_cast<std::size_t>(std::min<std::uint64_t>(given.target, SIZE_MAX));
    settings.overlap = static_cast<std::size_t>(std::min<std::uint64_t>(given.overlap, SIZE_MAX));
    settings.upstream = given.upstream != 0;
    // A comb takes hops: folds that begin with one go side by side.
    if (info.comb > 0.0f) settings.grid = settings.hop_length;
    const std::string problem = Folds::problem(settings);
    if (!problem.empty()) return fail(Status(Code::kArgument, problem));
    *folds =
        new pyvoc_folds{settings, static_cast<std::size_t>(info.lookahead_frames), Folds(settings)};
    return PYVOC_OK;
  });
}

void pyvoc_folds_close(pyvoc_folds* folds) { delete folds; }

pyvoc_status pyvoc_folds_get_info(const pyvoc_folds* folds, pyvoc_folds_info* info) {
  if (folds == nullptr || info == nullptr) {
    return fail(Code::kArgument, "pyvoc_folds_get_info: a pointer is null");
  }
  const pyvoc_folds_info found = {info->struct_size, folds->folds.count(), folds->folds.samples(),
                                  folds->folds.length()};
  return copy_struct(found, info, info->struct_size);
}

pyvoc_status pyvoc_folds_get(const pyvoc_folds* folds, size_t i, pyvoc_fold* fold) {
  if (folds == nullptr || fold == nullptr) {
    return fail(Code::kArgument, "pyvoc_folds_get: a pointer is null");
  }
  if (i >= folds->folds.count()) return fail(Code::kArgument, "there is no fold of that number");
  const pyvoc::dsp::Fold part = folds->folds[i];
  const std::size_t hop = folds->settings.hop_length, ahead = folds->lookahead;
  const std::size_t own = part.start / hop;
  const std::size_t first = own - std::min(own, ahead);
  const std::size_t end = (part.start + part.samples - 1) / hop + 1 + ahead;
  const pyvoc_fold found = {fold->struct_size,
                            part.start,
                            part.samples,
                            first,
                            std::min(end, folds->settings.frames) - first,
                            part.start - first * hop};
  return copy_struct(found, fold, fold->struct_size);
}

pyvoc_status pyvoc_folds_join(const pyvoc_folds* folds, const float* const* parts, size_t n,
                              float* samples, size_t capacity) {
  if (folds == nullptr || parts == nullptr || samples == nullptr) {
    return fail(Code::kArgument, "pyvoc_folds_join: a pointer is null");
  }
  if (n != folds->folds.count() || capacity < folds->folds.samples()) {
    return fail(Code::kArgument, "pyvoc_folds_join: not all folds, or no room for the utterance");
  }
  if (std::any_of(parts, parts + n, [](const float* part) { return part == nullptr; })) {
    return fail(Code::kArgument, "pyvoc_folds_join: a fold is a null pointer");
  }
  return guarded([&] {
    folds->folds.join(parts, samples);
    return PYVOC_OK;
  });
}

}  // extern "C"
