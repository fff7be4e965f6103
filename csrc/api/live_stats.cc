// LiveEngine: what it has to tell.
#include <cmath>

#include "api/live_engine.h"

namespace pyvoc::api {
namespace {

pyvoc_live_times times(const Histogram& h) PYVOC_RT {
  return {h.count(), h.quantile(0.5), h.quantile(0.99), h.quantile(0.999), h.most()};
}

std::uint64_t get(const std::atomic<std::uint64_t>& x) PYVOC_RT {
  return x.load(std::memory_order_relaxed);
}

}  // namespace

void LiveEngine::get_stats(pyvoc_live_stats& s) const PYVOC_RT {
  const double rate = settings_.output_rate;
  s.chunk_frames = static_cast<std::uint32_t>(path_->chunk());
  s.realtime_thread = realtime_.load(std::memory_order_relaxed) ? 1 : 0;
  s.done = done() ? 1 : 0;
  s.input_frames = get(frames_in_);
  s.output_frames = get(frames_out_);
  s.callbacks = get(callbacks_);
  s.underruns = playout_->underruns();
  s.silent_frames = playout_->silence();
  s.dropped_frames = playout_->dropped();
  s.overruns = get(overruns_);
  s.lost_frames = get(lost_);
  s.bad_samples = get(bad_samples_);
  s.bad_features = path_->bad_frames();
  s.input_xruns = get(input_xruns_);
  s.output_xruns = get(output_xruns_);
  s.tap_lost = get(tap_lost_in_) + get(tap_lost_out_);
  s.input_level = std::sqrt(input_level_.load(std::memory_order_relaxed));
  s.output_level = std::sqrt(output_level_.load(std::memory_order_relaxed));
  s.times_real_time = speed_.times_real_time();
  s.chunk_seconds = speed_.chunk_seconds;
  const LiveDelays delays = path_->delays();
  s.input_resampler_delay = delays.input_resampler;
  s.extractor_delay = delays.extractor;
  s.lookahead_delay = delays.lookahead;
  s.output_resampler_delay = delays.output_resampler;
  s.delay = delay_.load(std::memory_order_relaxed);
  s.margin = static_cast<double>(playout_->margin()) / rate;
  s.slack = static_cast<double>(playout_->slack()) / rate;
  s.clock_factor = factor_.load(std::memory_order_relaxed);
  s.cpu_seconds = cpu_seconds_.load(std::memory_order_relaxed);
  s.response = times(response_);
  s.work = times(work_);
  s.jitter = times(jitter_);
  s.callback = times(callback_);
}

}  // namespace pyvoc::api
