// What every model implements: Vocoder (immutable, shared by all streams) and Session (what one
// stream remembers). A session takes feature frames and gives samples, by the hop or sample by
// sample; the stream in api/ queues frames and cuts samples to size, so a model never sees how its
// caller chunks.
#ifndef PYVOC_MODELS_VOCODER_H_
#define PYVOC_MODELS_VOCODER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/realtime.h"
#include "base/span.h"
#include "base/status.h"
#include "models/activations.h"
#include "models/timed.h"

namespace pyvoc::models {

struct VocoderInfo {
  std::string architecture;    // "lpcnet"
  std::string precision;       // "f32", "bf16", "int8"
  std::string feature_layout;  // "lpcnet36"
  int layout_dims = 0;         // floats per frame in files of that layout
  int feature_dims = 0;        // how many of them the model reads
  int sample_rate = 0;
  int hop_length = 0;
  int lookahead_frames = 0;
  int block_frames = 1;  // the most frames that a session takes at a time
  int draws_per_sample = 0;
  int distribution_size = 0;
  bool takes_sigma = false;      // draws are standard normal numbers, scaled by Session::set_sigma
  int flows = 0;                 // of Vocoder::forward
  bool takes_lookahead = false;  // Session::set_lookahead
  // Sessions go by Session::begin_hop and Vocoder::run, not by process and finish: a hop may be
  // divided, and samples left out.
  bool sample_by_sample = false;
};

struct PlanEntry {  // one line of `pyvoc info MODEL`
  std::string layer, op, weights, backend;
  int rows = 0, cols = 0;
};

class Session {
 public:
  virtual ~Session() = default;

  // Back to the beginning, with a new seed; forgets the draws.
  virtual void reset(std::uint64_t seed) PYVOC_RT = 0;

  // Draws, which Vocoder::check_draws accepts, to use before the session's own generator; borrowed.
  virtual void set_draws(Span<const float> draws) PYVOC_RT = 0;

  // Standard deviation of the noise, where VocoderInfo::takes_sigma; reset does not change it.
  virtual void set_sigma(float sigma) PYVOC_RT { (void)sigma; }

  // Takes frames [n][feature_dims], 1 <= n <= VocoderInfo::block_frames; writes at most n hops of
  // samples (-1..1) and returns how many: none while look-ahead is filling. How frames are divided
  // into blocks does not change the samples.
  virtual int process(const float* frames, int n, float* samples) PYVOC_RT {
    (void)frames, (void)n, (void)samples;
    return 0;
  }

  // After the last frame: the hops that remain, at most block_frames at a time; the model supplies
  // what lies beyond the end.
  virtual int finish(float* samples) PYVOC_RT {
    (void)samples;
    return 0;
  }

  // Takes one frame, nullptr after the last. True: Vocoder::run may give the samples of a hop;
  // false while look-ahead is filling.
  virtual bool begin_hop(const float* frame) PYVOC_RT {
    (void)frame;
    return false;
  }

  // Where VocoderInfo::takes_lookahead, before the first frame: fewer frames of look-ahead than the
  // model's own. Allocates.
  virtual void set_lookahead(int frames) { (void)frames; }

  // Then: the hops up to so many frames before the last one that were not given yet, at most
  // block_frames at a time, as if no frame followed; but frames may. Those that process gives later
  // are the same as if this had not been called.
  virtual int preview(float* samples) PYVOC_RT {
    (void)samples;
    return 0;
  }
};

class Vocoder {
 public:
  virtual ~Vocoder() = default;

  virtual const VocoderInfo& info() const = 0;
  virtual const std::vector<PlanEntry>& plan() const = 0;
  virtual std::size_t packed_bytes() const = 0;

  // A session that may use up to `threads` threads, the caller's among them; models whose work
  // cannot be shared use one. May throw std::bad_alloc or std::system_error.
  virtual std::unique_ptr<Session> open(std::uint64_t seed, int threads) const = 0;

  // Session::process for n sessions of this model in lockstep, sharing the weights while they are
  // in cache; counts[i] frames, 0 means finish. hops[i] is what process would return.
  virtual void process_batch(Session* const* sessions, const float* const* frames,
                             const int* counts, float* const* samples, int* hops,
                             std::size_t n) const PYVOC_RT {
    for (std::size_t i = 0; i < n; ++i) {
      hops[i] = counts[i] > 0 ? sessions[i]->process(frames[i], counts[i], samples[i])
                              : sessions[i]->finish(samples[i]);
    }
  }

  // Samples at[i] .. at[i] + count - 1 of the hop that session i has begun, for n sessions of this
  // model in lockstep. A session is not changed by samples that are left out.
  virtual void run(Session* const* sessions, const int* at, float* const* samples, int count,
                   std::size_t n) const PYVOC_RT {
    (void)sessions, (void)at, (void)samples, (void)count, (void)n;
  }

  // Checks the values of one frame [feature_dims]; the message of an error names the value.
  virtual bool valid_frame(const float* frame) const PYVOC_RT = 0;

  // Whether draws are what set_draws takes: uniforms in [0, 1), 1 by rounding, unless a model says
  // otherwise. Allocates for an error only.
  virtual Status check_draws(Span<const float> draws) const {
    for (std::size_t i = 0; i < draws.size(); ++i) {
      if (!(draws[i] >= 0.0f && draws[i] <= 1.0f)) {
        return Status(Code::kArgument, "draw " + std::to_string(i) + " is not within 0..1");
      }
    }
    return Status();
  }

  // Teacher-forced distributions, in the model's own terms; see pyvoc_model_predict. probabilities
  // [pcm.size(), distribution_size].
  virtual Status predict(Matrix<const float> features, Span<const float> pcm,
                         float* probabilities) const {
    (void)features, (void)pcm, (void)probabilities;
    return Status(Code::kUnsupported, info().architecture + " has no teacher-forced distribution");
  }

  // From audio to noise, on up to `threads` threads; see pyvoc_model_forward. pcm: whole steps;
  // noise [pcm.size()], log_scales and log_dets [flows].
  virtual Status forward(Matrix<const float> features, Span<const float> pcm, int threads,
                         float* noise, double* log_scales, double* log_dets) const {
    (void)features, (void)pcm, (void)threads, (void)noise, (void)log_scales, (void)log_dets;
    return Status(Code::kUnsupported, info().architecture + " has no way from audio to noise");
  }

  // Adds what the inputs of the layers that int8 quantises are when a whole utterance is
  // synthesised; a model with float weights. `seen` is empty at first: entries are made for every
  // layer and channel, layer by layer.
  virtual Status observe(Matrix<const float> features, std::vector<Activations>& seen) const {
    (void)features, (void)seen;
    return Status(Code::kUnsupported, info().architecture + " has no activations to calibrate");
  }

  // Synthesises a whole utterance on one thread and adds to `groups` how long each group of layers
  // took; entries are made when it is empty.
  virtual Status time_groups(Matrix<const float> features, std::vector<GroupTime>& groups) const {
    (void)features, (void)groups;
    return Status(Code::kUnsupported, info().architecture + " has no groups of layers to time");
  }
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_VOCODER_H_
