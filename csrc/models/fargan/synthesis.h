// One stream of FARGAN: a call of the network for each frame, four subframes of 40 samples a call.
//
// A frame's features are those around sample 160 k, and call k, which is given frame k, writes the
// 160 samples around frame k - 1: the session's hops lie half a hop earlier than the frames'.
#ifndef PYVOC_MODELS_FARGAN_SYNTHESIS_H_
#define PYVOC_MODELS_FARGAN_SYNTHESIS_H_

#include <initializer_list>

#include "models/fargan/conditioning.h"
#include "models/fargan/weights.h"
#include "models/vocoder.h"

namespace pyvoc::models::fargan {

// Sessions that share a pass over the weights.
constexpr int kLockstep = nn::Linear::kMost;
constexpr int kLookahead = 1;  // frames
constexpr int kEarly = kFrameSize / 2;
constexpr int kPrimingFrames = 5;
constexpr int kPriming = 2 * kFrameSize;  // samples

// What a layer reads: numbers within -1..1, at int8 as bytes too (bytes.h).
struct Signal {
  float* x = nullptr;
  std::uint8_t* u = nullptr;
};

class Synthesis final : public Session {
 public:
  Synthesis(const Config& config, const Weights& weights, const kernels::KernelTable& kernels);

  void reset(std::uint64_t seed) PYVOC_RT override;
  // Samples [kPriming], frames [kPrimingFrames, kFeatures].
  void prime(const float* samples, Matrix<const float> frames) PYVOC_RT override;
  int begin(const float* frames, int /*n: blocks are one frame*/) PYVOC_RT override;
  int finish(int /*ahead*/) PYVOC_RT override;  // the last frame again
  void run(int at, float* samples, int count) PYVOC_RT override;

  // As Vocoder::run, for n <= kLockstep sessions.
  static void run(Synthesis* const* sessions, const int* at, float* const* samples, int count,
                  int n) PYVOC_RT;

  // A whole call: samples [kFrameSize]. For tests, instead of begin and run.
  void call(const float* frame, float* samples) PYVOC_RT;
  // Takes history [kHistory], before de-emphasis, for its own, and nothing for the samples before.
  void force(const float* history) PYVOC_RT;

 private:
  void next_call(const float* frame) PYVOC_RT;
  // The next subframe of each session, into its block_. What is done session by session is the same
  // for any n.
  static void step(Synthesis* const* sessions, int n) PYVOC_RT;
  void step() PYVOC_RT;
  void begin_subframe() PYVOC_RT;  // what the network reads of the conditioning and the history
  void gate_pitch() PYVOC_RT;
  struct Part {
    const Signal* signal;
    int size;
  };
  // inputs_ = the parts, the pitch prediction times a gate, and the last 40 samples.
  void join(std::initializer_list<Part> parts, int gate) PYVOC_RT;
  // y = tanh of the layer, whose product is in integers_ or y.x.
  void squash(const DenseLayer& layer, const Signal& y) PYVOC_RT;
  // y = x times the logistic function of the layer, whose product is in integers_ or sums_.
  void gate(const DenseLayer& layer, const float* x, const Signal& y) PYVOC_RT;
  void end_subframe(const float* y) PYVOC_RT;  // y [kSubframe], -1..1

  const Config& config_;
  const Weights& weights_;
  const kernels::KernelTable& kernels_;
  Arena arena_;
  Conditioning conditioning_;
  bool begun_ = false;
  bool lead_ = false;  // the first call is to come, whose first half is before the signal
  float last_frame_[kFeatures] = {};
  // Of the call before and of this one: its conditioning, its period.
  float* cond_[2] = {};
  int period_[2] = {};
  int next_period_ = 0;  // of the newest frame
  int subframe_ = 0;     // the next one: 0 .. 3 are the call before's, 4 .. 7 this one's

  nn::GruState gru_[kGrus];
  float* history_ = nullptr;  // [kHistory], the newest last
  float memory_ = 0.0f;       // of the de-emphasis
  float* block_ = nullptr;    // [kSubframe] samples
  float gain_ = 0.0f;
  float* prediction_ = nullptr;  // [kPrediction]
  Signal previous_;              // [kSubframe]
  Signal past_;                  // [kSubframe] the prediction's middle, gated
  Signal subframes_;             // [2][subframe_inputs] the one before, this one
  Signal fwc_;                   // [fwc padded]
  Signal gated_[kGrus];          // [gru[k] padded]
  float pitch_gates_[nn::kVector] = {};
  Signal inputs_;          // of the widest layer after the first
  Signal skip_;            // [skip padded]
  float* sums_ = nullptr;  // of the layer with the most outputs
  std::int32_t* integers_ = nullptr;
};

}  // namespace pyvoc::models::fargan
#endif  // PYVOC_MODELS_FARGAN_SYNTHESIS_H_
