// What every model implements: Vocoder (immutable, shared by all streams) and Session (what one
// stream remembers). A session begins hops with the frames it is given and then runs their samples;
// the stream in api/ queues frames and asks for samples as its caller does, so a model never sees
// how its caller chunks.
#ifndef PYVOC_MODELS_VOCODER_H_
#define PYVOC_MODELS_VOCODER_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/realtime.h"
#include "base/span.h"
#include "base/status.h"
#include "models/activations.h"
#include "models/timed.h"

namespace pyvoc::dsp {
struct PitchNetwork;
}

namespace pyvoc::models {

struct VocoderInfo {
  std::string architecture;    // "lpcnet"
  std::string precision;       // "f32", "bf16", "int8"
  std::string feature_layout;  // "lpcnet36"
  int layout_dims = 0;         // floats per frame in files of that layout
  int feature_dims = 0;        // how many of them the model reads
  // Of those: what is beyond is absurd.
  float least_feature = 0.0f, most_feature = 0.0f;
  int sample_rate = 0;
  int hop_length = 0;
  int lookahead_frames = 0;
  // Where a session's hops lie earlier than its frames' by so many samples, less than a hop: the
  // first of the first hop are before the signal and are not run, and n frames have a hop more,
  // whose last are behind it.
  int early_samples = 0;
  // What a session wants to begin in the middle of a signal; 0: it cannot.
  int prime_samples = 0, prime_frames = 0;
  int block_frames = 1;  // the most frames that a session takes at a time
  int draws_per_sample = 0;
  int distribution_size = 0;
  int flows = 0;                 // of Vocoder::forward
  float comb = 0.0f;             // strength of the pitch comb that a stream puts behind the model
  bool takes_sigma = false;      // draws are standard normal numbers, scaled by a session's sigma
  bool takes_lookahead = false;  // a session may look ahead less than lookahead_frames
  bool foldable = false;         // an utterance may be divided among sessions, and samples left out
};

// What is settled when a session is opened; what is not given is the model's own.
struct SessionSettings {
  std::uint64_t seed = 0;
  int threads = 1;               // the most, the caller's among them; a model may use fewer
  std::optional<float> sigma;    // standard deviation of the noise; where VocoderInfo::takes_sigma
  std::optional<int> lookahead;  // frames, at most the model's; where VocoderInfo::takes_lookahead
};

struct PlanEntry {  // one line of `pyvoc info MODEL`
  std::string layer, op, weights, backend;
  int rows = 0, cols = 0;
};

// begin, run what was begun, begin, run, ... and at the end finish, run, until nothing remains.
class Session {
 public:
  virtual ~Session() = default;

  // Back to the beginning, with a new seed; forgets the draws.
  virtual void reset(std::uint64_t seed) PYVOC_RT = 0;

  // Draws, which Vocoder::check_draws accepts, to use before the session's own generator; borrowed.
  virtual void set_draws(Span<const float> draws) PYVOC_RT { (void)draws; }

  // Before anything else, where the model can: the signal's last samples [prime_samples] and frames
  // [prime_frames, feature_dims], as many as VocoderInfo says. Each frame that follows begins a
  // hop, which goes on where the samples ended: none of it is left out.
  virtual void prime(const float* samples, Matrix<const float> frames) PYVOC_RT {
    (void)samples, (void)frames;
  }

  // Takes frames [n][feature_dims], 1 <= n <= VocoderInfo::block_frames, and begins as many hops as
  // it returns, at most n and what a finish left behind: none while look-ahead is filling. What was
  // begun before has been run, or its samples are left out. How frames are divided into blocks does
  // not change the samples.
  virtual int begin(const float* frames, int n) PYVOC_RT = 0;

  // Begins, as if no frame followed, those hops up to `ahead` frames before the last one that were
  // not begun yet, at most block_frames at a time; the model supplies what lies beyond the end.
  // `ahead`: 0 after the last frame; or the session's look-ahead where that is shorter than the
  // model's, and then frames may follow, whose samples are as if this had not been called.
  virtual int finish(int ahead) PYVOC_RT = 0;

  // Samples at .. at + count - 1 (-1..1) of the hops that were begun, in order; only where
  // VocoderInfo::foldable may some be left out, and they change nothing.
  virtual void run(int at, float* samples, int count) PYVOC_RT = 0;

  // Whether it has threads and they are those of a process that this one was forked from: then it
  // may be destroyed and nothing else.
  virtual bool orphaned() const PYVOC_RT { return false; }
};

class Vocoder {
 public:
  virtual ~Vocoder() = default;

  virtual const VocoderInfo& info() const PYVOC_RT = 0;
  virtual const std::vector<PlanEntry>& plan() const = 0;
  virtual std::size_t packed_bytes() const = 0;

  // What tells the pitch in the model's features when they are extracted; null: the extractor of
  // its layout can do that itself.
  virtual const dsp::PitchNetwork* pitch_network() const { return nullptr; }

  // May throw std::bad_alloc or std::system_error.
  virtual std::unique_ptr<Session> open(const SessionSettings& settings) const = 0;

  // Session::run of n sessions of this model, each with its own `at`; a model whose sessions can
  // share the weights while they are in cache runs them in lockstep.
  virtual void run(Session* const* sessions, const int* at, float* const* samples, int count,
                   std::size_t n) const PYVOC_RT {
    for (std::size_t i = 0; i < n; ++i) sessions[i]->run(at[i], samples[i], count);
  }

  // Whether the values of a frame [feature_dims] are within what info() says of them.
  bool valid_frame(const float* frame) const PYVOC_RT {
    const VocoderInfo& i = info();
    return std::all_of(frame, frame + i.feature_dims, [&i](float x) {
      return x >= i.least_feature && x <= i.most_feature;  // no NaN
    });
  }

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
