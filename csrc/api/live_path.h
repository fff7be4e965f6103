// LivePath: what happens to live sound between the two rings: PCM at the input's rate -> the
// model's rate -> features -> voice shift -> stream -> the output's rate -> samples in a ring.
// With bypass there is no model: the input itself at the output's rate, sample for sample where the
// rates are the same.
//
// One thread at a time. After construction the functions marked PYVOC_RT are real-time safe.
#ifndef PYVOC_API_LIVE_PATH_H_
#define PYVOC_API_LIVE_PATH_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "api/handles.h"
#include "api/live_settings.h"
#include "api/stream.h"
#include "base/ring.h"
#include "base/status.h"
#include "dsp/feature_extractor.h"
#include "dsp/resampler.h"
#include "dsp/voice_shift.h"

namespace pyvoc::api {

class LivePath {
 public:
  static constexpr std::size_t kMostChunk = 32;  // frames that the model gets at once
  static constexpr std::size_t kPiece = 256;     // samples that push takes at once

  // `extractor` is of the features that the vocoder reads. May throw std::bad_alloc.
  LivePath(std::shared_ptr<const models::Vocoder> vocoder,
           std::unique_ptr<dsp::FeatureExtractor> extractor, const dsp::VoiceShift& shift,
           const LiveSettings& settings, Ring& output);

  bool takes_formant() const { return shift_.takes_formant(); }
  // Frames that wait until the model gets them, 1 to kMostChunk.
  void set_chunk(std::size_t frames) PYVOC_RT { chunk_ = frames; }
  std::size_t chunk() const PYVOC_RT { return chunk_; }
  void set_shift(float pitch, float formant) PYVOC_RT { shift_.set(pitch, formant); }
  // Of the output's rate, see Resampler::correct.
  void correct(double factor) PYVOC_RT {
    if (to_output_) to_output_->correct(factor);
  }

  // Takes PCM, at most kPiece samples in -1..1, when drain() has nothing left.
  void push(Span<const float> pcm) PYVOC_RT;
  // Takes one frame [frame_dims()].
  void push_frame(const float* frame) PYVOC_RT;
  // The input has ended: drain() brings out the rest.
  void finish() PYVOC_RT;
  // Moves samples to the ring while it has room; true when no more are to be had.
  bool drain() PYVOC_RT;
  void reset() PYVOC_RT;

  // Room that the ring needs for the most that drain() writes at once.
  std::size_t burst() const { return most_out_; }
  // What the parts hold the sound back, beyond a chunk's own length.
  LiveDelays delays() const PYVOC_RT;
  // Output samples beyond what the nominal rates ask for: what correct() has brought about.
  double ahead() const PYVOC_RT { return to_output_ ? to_output_->ahead() : 0.0; }
  // Samples written to the ring so far.
  std::uint64_t produced() const PYVOC_RT { return produced_; }
  // Frames that come out of the extractor together.
  std::size_t group() const { return group_; }
  // Samples of the model's rate that the extractor holds, at most, which no frame so far covers.
  std::size_t held() const { return held_; }
  // Frames that the model takes at once, at most.
  std::size_t block_frames() const {
    return static_cast<std::size_t>(stream_.vocoder().info().block_frames);
  }
  // Frames that were no features (never from PCM in -1..1); the one before was used again.
  // Any thread may ask.
  std::uint64_t bad_frames() const PYVOC_RT { return bad_frames_.load(std::memory_order_relaxed); }

  std::size_t frame_dims() const PYVOC_RT {
    return static_cast<std::size_t>(stream_.vocoder().info().feature_dims);
  }
  // Seconds of sound in a frame.
  double frame_seconds() const;

 private:
  void add(float* frame) PYVOC_RT;  // writes the shift into it
  void push_at_model_rate(Span<const float> pcm) PYVOC_RT;
  void put(Span<const float> samples) PYVOC_RT;  // at the model's rate, to the ring

  Stream stream_;
  std::unique_ptr<dsp::FeatureExtractor> extractor_;
  dsp::VoiceShift shift_;
  Ring& output_;
  std::uint64_t seed_;
  bool bypass_;
  std::optional<dsp::Resampler> to_model_, to_output_;
  double input_rate_, output_rate_, model_rate_;
  std::size_t chunk_ = 1, waiting_ = 0;  // frames in the stream that were not pulled
  std::size_t group_ = 1, held_ = 0;
  bool flushed_ = false;
  std::uint64_t produced_ = 0;
  std::size_t most_out_ = 0;
  std::vector<float> at_model_rate_, frames_, last_frame_, samples_, out_;
  std::size_t bypass_size_ = 0;  // samples in samples_ that wait, with bypass
  std::atomic<std::uint64_t> bad_frames_{0};
};

// A path and the ring that it fills.
struct LivePathAndRing {
  std::unique_ptr<Ring> output;
  std::unique_ptr<LivePath> path;
};

// Of the features that the model reads. The ring has room for two bursts and `waiting` samples.
Result<LivePathAndRing> make_live_path(const pyvoc_model& model, const LiveSettings& settings,
                                       std::size_t waiting);

// What a model hears: NaN is 0, what is beyond full scale is clipped.
inline float sanitised(float x) PYVOC_RT {
  return x > 1.0f ? 1.0f : x >= -1.0f ? x : x < -1.0f ? -1.0f : 0.0f;
}

}  // namespace pyvoc::api
#endif  // PYVOC_API_LIVE_PATH_H_
