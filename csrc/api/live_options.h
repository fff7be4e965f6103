// The options that the live engine and the path alone have in common, checked.
#ifndef PYVOC_API_LIVE_OPTIONS_H_
#define PYVOC_API_LIVE_OPTIONS_H_

#include <cmath>
#include <cstdint>
#include <cstdio>

#include "api/handles.h"
#include "api/live_path.h"
#include "api/live_settings.h"
#include "api/pcm.h"
#include "base/status.h"
#include "base/team.h"
#include "dsp/voice_shift.h"
#include "pyvoc/pyvoc.h"

namespace pyvoc::api {

// Whether the voice may be shifted by so many semitones; false for NaN.
inline bool within(float semitones) { return std::fabs(semitones) <= dsp::VoiceShift::kMost; }

inline Status refuse(const char* what, double found, const char* expected) {
  char text[160];
  std::snprintf(text, sizeof text, "%s is %g, expected %s", what, found, expected);
  return Status(Code::kArgument, text);
}

// Rates, chunk, threads, shift, seed, and the flags that both know.
template <typename Options>
Status read_common(const Options& from, const pyvoc_model& model, LiveSettings* to) {
  const auto model_rate = static_cast<std::uint32_t>(model.vocoder->info().sample_rate);
  const auto rate = [&](std::uint32_t given) { return given == 0 ? model_rate : given; };
  for (const std::uint32_t hertz : {rate(from.input_rate), rate(from.output_rate)}) {
    if (hertz < kLeastRate || hertz > kMostRate) {
      return refuse("a sample rate", hertz, "4000 to 384000 Hz");
    }
  }
  if (from.chunk_frames > LivePath::kMostChunk) {
    return refuse("chunk_frames", from.chunk_frames, "1 to 32");
  }
  if (from.threads > Team::kMost) return refuse("threads", from.threads, "1 to 64");
  if (!within(from.pitch)) {
    return refuse("pitch", static_cast<double>(from.pitch), "-24 to 24 semitones");
  }
  if (!within(from.formant)) {
    return refuse("formant", static_cast<double>(from.formant), "-24 to 24 semitones");
  }
  if (from.formant != 0.0f && model.mel) {
    return Status(Code::kUnsupported, model.vocoder->info().architecture +
                                          " reads mel frames, where formants and pitch are one: "
                                          "shift the pitch");
  }
  to->bypass = (from.flags & PYVOC_LIVE_BYPASS) != 0;
  to->input_is_features = (from.flags & PYVOC_LIVE_FEATURES) != 0;
  if (to->input_is_features && to->bypass) {
    return Status(Code::kArgument, "feature frames cannot bypass the model");
  }
  to->two_clocks = (from.flags & PYVOC_LIVE_TWO_CLOCKS) != 0;
  to->input_rate = rate(from.input_rate);
  to->output_rate = rate(from.output_rate);
  to->chunk = from.chunk_frames;
  to->pitch = from.pitch;
  to->formant = from.formant;
  to->threads = from.threads == 0 ? 1 : static_cast<int>(from.threads);
  to->seed = from.seed;
  return Status();
}

}  // namespace pyvoc::api
#endif  // PYVOC_API_LIVE_OPTIONS_H_
