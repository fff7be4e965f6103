// pyvoc/live.h: the live engine in C.
#include <cmath>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include "api/error.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/live_engine.h"
#include "base/team.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::Status;
using pyvoc::api::fail;
using pyvoc::api::guarded;
using pyvoc::api::LiveEngine;
using pyvoc::api::LivePath;
using pyvoc::api::LiveSettings;
using pyvoc::dsp::VoiceShift;

struct pyvoc_live {
  std::unique_ptr<LiveEngine> engine;
  bool started = false;
};

namespace {

constexpr std::uint32_t kLeastRate = 4000, kMostRate = 384000, kMostChannels = 64;
constexpr std::uint32_t kMostBlock = 65536;
constexpr std::uint32_t kAllFlags = 127;
constexpr double kUsualBlock = 0.010;  // seconds
// PaStreamCallbackFlags of PortAudio 19.
constexpr unsigned long kInputUnderflow = 1, kInputOverflow = 2, kOutputUnderflow = 4,
                        kOutputOverflow = 8;

bool within(float semitones) { return std::fabs(semitones) <= VoiceShift::kMost; }  // not NaN

Status refuse(const char* what, double found, const char* expected) {
  char text[160];
  std::snprintf(text, sizeof text, "%s is %g, expected %s", what, found, expected);
  return Status(Code::kArgument, text);
}

Status read_options(const pyvoc_live_options& from, const pyvoc_model& model, LiveSettings* to) {
  const auto model_rate = static_cast<std::uint32_t>(model.vocoder->info().sample_rate);
  const auto rate = [&](std::uint32_t given) { return given == 0 ? model_rate : given; };
  for (const std::uint32_t hertz : {rate(from.input_rate), rate(from.output_rate)}) {
    if (hertz < kLeastRate || hertz > kMostRate) {
      return refuse("a sample rate", hertz, "4000 to 384000 Hz");
    }
  }
  if ((from.flags & ~kAllFlags) != 0) return refuse("flags", from.flags, "PYVOC_LIVE_*");
  if (from.input_channels > kMostChannels || from.output_channels > kMostChannels) {
    return refuse("a number of channels", std::max(from.input_channels, from.output_channels),
                  "1 to 64");
  }
  if (from.block > kMostBlock) return refuse("block", from.block, "1 to 65536 frames");
  if (from.chunk_frames > LivePath::kMostChunk) {
    return refuse("chunk_frames", from.chunk_frames, "1 to 32");
  }
  if (from.threads > pyvoc::Team::kMost) return refuse("threads", from.threads, "1 to 64");
  if (!(from.margin <= 1.0f)) return refuse("margin", static_cast<double>(from.margin), "0 to 1 s");
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
  const bool features = (from.flags & PYVOC_LIVE_FEATURES) != 0;
  if (features && (from.flags & PYVOC_LIVE_BYPASS) != 0) {
    return Status(Code::kArgument, "feature frames cannot bypass the model");
  }
  to->input_rate = rate(from.input_rate);
  to->output_rate = rate(from.output_rate);
  to->input_channels = from.input_channels == 0 ? 1 : from.input_channels;
  to->output_channels = from.output_channels == 0 ? 1 : from.output_channels;
  to->block = from.block != 0
                  ? from.block
                  : static_cast<std::size_t>(std::lround(kUsualBlock * to->output_rate));
  to->chunk = from.chunk_frames;
  to->margin = static_cast<double>(from.margin);
  to->pitch = from.pitch;
  to->formant = from.formant;
  to->threads = from.threads == 0 ? 1 : static_cast<int>(from.threads);
  to->seed = from.seed;
  to->bypass = (from.flags & PYVOC_LIVE_BYPASS) != 0;
  to->input_is_features = features;
  to->input_waits = features || (from.flags & PYVOC_LIVE_INPUT_WAITS) != 0;
  to->output_waits = (from.flags & PYVOC_LIVE_OUTPUT_WAITS) != 0;
  to->two_clocks = (from.flags & PYVOC_LIVE_TWO_CLOCKS) != 0;
  to->tap = (from.flags & PYVOC_LIVE_TAP) != 0;
  to->force = (from.flags & PYVOC_LIVE_FORCE) != 0;
  return Status();
}

}  // namespace

extern "C" {

pyvoc_status pyvoc_live_open(pyvoc_model* model, const pyvoc_live_options* options,
                             pyvoc_live** live) {
  if (model == nullptr || live == nullptr) {
    return fail(Code::kArgument, "pyvoc_live_open: a pointer is null");
  }
  pyvoc_live_options given = PYVOC_LIVE_OPTIONS_INIT;
  if (options != nullptr) {
    const pyvoc_status status = pyvoc::api::copy_struct(*options, &given, options->struct_size);
    if (status != PYVOC_OK) return status;
  }
  return guarded([&]() -> pyvoc_status {
    LiveSettings settings;
    const Status read = read_options(given, *model, &settings);
    if (!read.ok()) return fail(read);
    auto engine = LiveEngine::open(*model, settings);
    if (!engine.ok()) return fail(engine.status());
    auto handle = std::make_unique<pyvoc_live>();
    handle->engine = std::move(engine.value());
    *live = handle.release();
    return PYVOC_OK;
  });
}

void pyvoc_live_close(pyvoc_live* live) { delete live; }

pyvoc_status pyvoc_live_start(pyvoc_live* live) {
  if (live == nullptr) return fail(Code::kArgument, "pyvoc_live_start: a pointer is null");
  if (live->started) return fail(Code::kState, "the live engine was started before");
  return guarded([&] {
    live->engine->start();
    live->started = true;
    return PYVOC_OK;
  });
}

size_t pyvoc_live_write(pyvoc_live* live, const float* pcm, size_t frames) {
  if (live == nullptr || pcm == nullptr || live->engine->settings().input_is_features) return 0;
  return live->engine->write(pcm, frames);
}

size_t pyvoc_live_write_features(pyvoc_live* live, const float* rows, size_t n_frames,
                                 size_t stride) {
  if (live == nullptr || rows == nullptr || !live->engine->settings().input_is_features) return 0;
  if (stride < live->engine->frame_dims()) return 0;
  return live->engine->write_features(rows, n_frames, stride);
}

size_t pyvoc_live_read(pyvoc_live* live, float* pcm, size_t frames) {
  return live == nullptr || pcm == nullptr ? 0 : live->engine->read(pcm, frames);
}

int pyvoc_live_portaudio(const void* input, void* output, unsigned long frames, const void*,
                         unsigned long status_flags, void* user_data) {
  auto* live = static_cast<pyvoc_live*>(user_data);
  if (live == nullptr) return 0;
  live->engine->count_xruns((status_flags & (kInputUnderflow | kInputOverflow)) != 0,
                            (status_flags & (kOutputUnderflow | kOutputOverflow)) != 0);
  if (input != nullptr) pyvoc_live_write(live, static_cast<const float*>(input), frames);
  if (output != nullptr) pyvoc_live_read(live, static_cast<float*>(output), frames);
  return 0;
}

void pyvoc_live_end_input(pyvoc_live* live) {
  if (live != nullptr) live->engine->end_input();
}

pyvoc_status pyvoc_live_set_shift(pyvoc_live* live, float pitch, float formant) {
  if (live == nullptr || !within(pitch) || !within(formant)) {
    return fail(Code::kArgument, "a null pointer, or more than 24 semitones");
  }
  if (formant != 0.0f && !live->engine->takes_formant()) {
    return fail(Code::kUnsupported, "the model reads mel frames: shift the pitch");
  }
  live->engine->set_shift(pitch, formant);
  return PYVOC_OK;
}

pyvoc_status pyvoc_live_set_probe(pyvoc_live* live, const float* samples, size_t n) {
  if (live == nullptr || samples == nullptr) {
    return fail(Code::kArgument, "pyvoc_live_set_probe: a pointer is null");
  }
  if (live->started) return fail(Code::kState, "a probe is set before the engine starts");
  live->engine->set_probe({samples, n});
  return PYVOC_OK;
}

size_t pyvoc_live_tap_input(pyvoc_live* live, float* samples, size_t capacity) {
  return live == nullptr || samples == nullptr ? 0 : live->engine->tap_input({samples, capacity});
}

size_t pyvoc_live_tap_output(pyvoc_live* live, float* samples, size_t capacity) {
  return live == nullptr || samples == nullptr ? 0 : live->engine->tap_output({samples, capacity});
}

pyvoc_status pyvoc_live_get_stats(const pyvoc_live* live, pyvoc_live_stats* stats) {
  if (live == nullptr || stats == nullptr) {
    return fail(Code::kArgument, "pyvoc_live_get_stats: a pointer is null");
  }
  pyvoc_live_stats full{};
  full.struct_size = stats->struct_size;
  live->engine->get_stats(full);
  return pyvoc::api::copy_struct(full, stats, stats->struct_size);
}

}  // extern "C"
