// LiveEngine: live sound through a model on a thread of its own.
//
//   audio callback -> write() -> [ring] -> LivePath on the engine's thread -> [ring] -> read() ->
//   audio callback
//
// write() is one thread's (the input callback), read() is one thread's (the output callback; the
// same where a device has both), the rest is the owner's. The engine's thread polls its ring twice
// a millisecond, so callbacks make no system call; between start() and stop() nothing allocates or
// locks. stats() may be asked by any thread at any time.
#ifndef PYVOC_API_LIVE_ENGINE_H_
#define PYVOC_API_LIVE_ENGINE_H_

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "api/drift_control.h"
#include "api/handles.h"
#include "api/live_path.h"
#include "api/live_settings.h"
#include "api/playout.h"
#include "base/clock.h"
#include "base/histogram.h"
#include "base/process.h"
#include "base/ring.h"
#include "base/status.h"

namespace pyvoc::api {

// How fast the engine's work is, measured with nothing else running in this process.
struct LiveSpeed {
  std::size_t chunk = 1;       // frames that the model gets at once
  double chunk_seconds = 0.0;  // of sound in them
  double work = 0.0;           // seconds that they take
  double times_real_time() const { return work > 0.0 ? chunk_seconds / work : 0.0; }
};

class LiveEngine {
 public:
  // Measures the model's speed, which takes up to some seconds. The settings are plausible.
  static Result<std::unique_ptr<LiveEngine>> open(const pyvoc_model& model,
                                                  const LiveSettings& settings);
  ~LiveEngine() { stop(); }
  LiveEngine(const LiveEngine&) = delete;
  LiveEngine& operator=(const LiveEngine&) = delete;

  const LiveSettings& settings() const { return settings_; }
  const LiveSpeed& speed() const { return speed_; }
  LiveDelays delays() const { return path_->delays(); }
  bool takes_formant() const { return path_->takes_formant(); }

  void start();  // may throw std::system_error
  void stop();

  // Interleaved PCM [frames, input_channels]; how many frames were taken. What finds no room is
  // lost and counted, unless the settings say that the input waits.
  std::size_t write(const float* pcm, std::size_t frames) PYVOC_RT;
  // Feature frames, `stride` floats apart, in place of PCM; how many were taken.
  std::size_t write_features(const float* rows, std::size_t n, std::size_t stride) PYVOC_RT;
  // Nothing follows: what the model holds back comes out.
  void end_input() PYVOC_RT { input_ended_.store(true, std::memory_order_release); }
  // Fills PCM [frames, output_channels], with silence where nothing is ready; how many frames are
  // sound.
  std::size_t read(float* pcm, std::size_t frames) PYVOC_RT;
  // Whether it was opened in a process that this one was forked from.
  bool orphaned() const PYVOC_RT { return generation_ != process_generation(); }
  // Everything was read after end_input().
  bool done() const PYVOC_RT { return playout_->done(); }
  std::size_t frame_dims() const PYVOC_RT { return path_->frame_dims(); }

  void set_shift(float pitch, float formant) PYVOC_RT {
    pitch_.store(pitch, std::memory_order_relaxed);
    formant_.store(formant, std::memory_order_relaxed);
  }
  // What read() gives from here on in place of sound, once; borrowed. Before start().
  void set_probe(Span<const float> probe) { probe_ = probe; }
  // What a device said about itself: xruns.
  void count_xruns(bool input, bool output) PYVOC_RT;
  // What came in and went out, if the settings ask for it; one thread.
  std::size_t tap_input(Span<float> samples) PYVOC_RT { return input_tap_.read(samples); }
  std::size_t tap_output(Span<float> samples) PYVOC_RT { return output_tap_.read(samples); }

  void get_stats(pyvoc_live_stats& stats) const PYVOC_RT;

  // One turn of the engine's thread, for tests without it: false when there was nothing to do.
  bool turn() PYVOC_RT;
  // Seconds in place of the machine's clock, for tests; borrowed.
  void set_clock(const double* clock) { clock_ = clock; }

 private:
  using Counter = std::atomic<std::uint64_t>;

  LiveEngine(const LiveSettings& settings, std::unique_ptr<LivePath> path,
             std::unique_ptr<Ring> output);
  void measure();                              // live_speed.cc: speed_ and the path's chunk
  LiveSpeed measure_chunk(std::size_t chunk);  // the same
  PlayoutSettings choose_playout() const;      // the same
  // It rests now and then: a real-time thread that does not keeps ordinary ones from the processor.
  bool keeps_ahead() const { return settings_.bypass || speed_.times_real_time() > 1.1; }
  void run();
  bool feed() PYVOC_RT;
  double now() const PYVOC_RT {
    if (clock_ != nullptr) return *clock_;
    return std::chrono::duration<double>(clock_now() - begin_).count();
  }
  void meter(std::atomic<float>& level, const float* x, std::size_t n, double rate) PYVOC_RT;
  void watch_clocks(std::size_t frames) PYVOC_RT;
  void probe_into(float* mono, std::size_t n) PYVOC_RT;

  LiveSettings settings_;
  LiveSpeed speed_;
  std::unique_ptr<Ring> output_;
  std::unique_ptr<LivePath> path_;
  Ring input_, input_tap_, output_tap_;
  std::unique_ptr<Playout> playout_;
  Span<const float> probe_;
  std::vector<float> block_, piece_;  // of the output callback, of the engine

  const Clock::time_point begin_ = Clock::now();
  const double* clock_ = nullptr;
  const std::uint32_t generation_ = process_generation();
  std::thread thread_;
  std::atomic<bool> stop_{false}, input_ended_{false};
  bool finishing_ = false;
  float shift_[2] = {};
  std::uint64_t consumed_ = 0;  // input samples that the engine took

  // Of the output callback.
  DriftControl drift_;
  double last_read_ = -1.0, seconds_read_ = 0.0;
  std::uint64_t jumps_seen_ = 0;
  std::size_t probed_ = 0;

  std::atomic<float> pitch_, formant_;
  std::atomic<float> input_level_{0.0f}, output_level_{0.0f};  // mean squares
  // When the input's sample 0 came, as its newest samples tell; what correct() is given; what the
  // path is ahead.
  std::atomic<double> input_epoch_{0.0}, factor_{1.0}, ahead_{0.0}, cpu_seconds_{0.0}, delay_{0.0};
  std::atomic<bool> realtime_{false};
  Counter frames_in_{0}, frames_out_{0}, callbacks_{0};
  Counter overruns_{0}, lost_{0}, bad_samples_{0}, tap_lost_in_{0}, tap_lost_out_{0};
  Counter input_xruns_{0}, output_xruns_{0};
  Histogram response_, work_, jitter_, callback_;
};

}  // namespace pyvoc::api
#endif  // PYVOC_API_LIVE_ENGINE_H_
