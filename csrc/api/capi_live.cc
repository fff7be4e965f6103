// pyvoc/live.h: the live engine in C.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "api/error.h"
#include "api/guard.h"
#include "api/handles.h"
#include "api/live_engine.h"
#include "api/live_options.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::Status;
using pyvoc::api::fail;
using pyvoc::api::guarded;
using pyvoc::api::LiveEngine;
using pyvoc::api::LiveSettings;
using pyvoc::api::read_common;
using pyvoc::api::refuse;
using pyvoc::api::within;

struct pyvoc_live {
  std::unique_ptr<LiveEngine> engine;
  bool started = false;
};

namespace {

constexpr std::uint32_t kMostChannels = 64;
constexpr std::uint32_t kMostBlock = 65536;
constexpr std::uint32_t kAllFlags = 127;
constexpr double kUsualBlock = 0.010;  // seconds
// PaStreamCallbackFlags of PortAudio 19.
constexpr unsigned long kInputUnderflow = 1, kInputOverflow = 2, kOutputUnderflow = 4,
                        kOutputOverflow = 8;

Status read_options(const pyvoc_live_options& from, const pyvoc_model& model, LiveSettings* to) {
  if ((from.flags & ~kAllFlags) != 0) return refuse("flags", from.flags, "PYVOC_LIVE_*");
  if (from.input_channels > kMostChannels || from.output_channels > kMostChannels) {
    return refuse("a number of channels", std::max(from.input_channels, from.output_channels),
                  "1 to 64");
  }
  if (from.block > kMostBlock) return refuse("block", from.block, "1 to 65536 frames");
  if (!(from.margin <= 1.0f)) return refuse("margin", static_cast<double>(from.margin), "0 to 1 s");
  const Status common = read_common(from, model, to);
  if (!common.ok()) return common;
  to->input_channels = from.input_channels == 0 ? 1 : from.input_channels;
  to->output_channels = from.output_channels == 0 ? 1 : from.output_channels;
  to->block = from.block != 0
                  ? from.block
                  : static_cast<std::size_t>(std::lround(kUsualBlock * to->output_rate));
  to->margin = static_cast<double>(from.margin);
  to->input_waits = to->input_is_features || (from.flags & PYVOC_LIVE_INPUT_WAITS) != 0;
  to->output_waits = (from.flags & PYVOC_LIVE_OUTPUT_WAITS) != 0;
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
  if (live->engine->orphaned()) {
    return fail(Code::kState, "the live engine belongs to the process that forked: open another");
  }
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
