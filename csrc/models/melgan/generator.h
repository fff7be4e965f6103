// MelGAN's generator as a stream: mel frames in, samples out, every layer with its own history, so
// that any division of the frames gives the same samples. Long pushes go through the network depth
// first, in slices whose activations stay in the cache. Between the first and the last convolution
// all is floats or bytes, each layer's inputs what its weights want. Called by one thread; each
// convolution is shared with the team. Allocates in the constructor only.
#ifndef PYVOC_MODELS_MELGAN_GENERATOR_H_
#define PYVOC_MODELS_MELGAN_GENERATOR_H_

#include <vector>

#include "base/arena.h"
#include "models/layer_rows.h"
#include "models/melgan/weights.h"
#include "nn/rows.h"

namespace pyvoc::models::melgan {

// What the inputs of a stage's layers were, [channels] each; borrowed.
struct BlockActivations {
  Activations *conv, *out, *shortcut;
};
struct StageActivations {
  Activations* up;
  std::vector<BlockActivations> blocks;
};

class Generator {
 public:
  using Seen = StageActivations;

  Generator(const Config& config, const Weights& weights, const kernels::KernelTable& kernels,
            int threads);

  void reset() PYVOC_RT;

  // From now on, seconds are added to groups: conv_in, up and stage of each stage, conv_out.
  void time(GroupTime* groups) { groups_ = groups; }

  // From now on, what layers get is added to seen [stages].
  void observe(const std::vector<StageActivations>* seen) { seen_ = seen; }

  // Takes n <= kBlockFrames frames [n][bands] and computes all samples that they complete; with
  // `ended`, those behind the last frame too.
  void push(const float* frames, int n, bool ended) PYVOC_RT;

  // Samples that are ready, oldest first, and how to drop the oldest n.
  const float* samples() const PYVOC_RT { return end_.samples(); }
  std::int64_t count() const PYVOC_RT { return end_.count(); }
  void drop(std::int64_t n) PYVOC_RT { end_.drop(n); }

  const Team& team() const PYVOC_RT { return team_; }

 private:
  struct BlockState {
    LayerRows active, value;  // the input, rectified and as it is
    std::int64_t done = 0;
  };
  struct StageState {
    LayerRows input;  // rectified
    std::int64_t pairs = 0;
    std::int64_t slice = 1;   // rows of input taken at a time
    float* hidden = nullptr;  // what a block's first convolution gave, rectified: floats or bytes
    std::vector<BlockState> blocks;
  };

  void run_stage(std::size_t k, bool ended) PYVOC_RT;
  void upsample(std::size_t k, std::int64_t rows, bool ended) PYVOC_RT;
  void run_block(std::size_t k, std::size_t j, bool ended) PYVOC_RT;
  void mix(std::size_t k, std::size_t j, int rows, const kernels::ConvOutput& out) PYVOC_RT;
  kernels::ConvOutput output() const PYVOC_RT;
  void note_input(std::size_t k, std::int64_t rows) PYVOC_RT;  // the rows about to be appended
  void note_block(std::size_t k, std::size_t j, std::int64_t from, std::int64_t until) PYVOC_RT;

  const Config& c_;
  const Weights& w_;
  const kernels::KernelTable& kernels_;
  Arena arena_;
  Team team_;
  MelStart start_;
  std::vector<StageState> stages_;
  SampleEnd end_;
  float* scratch_ = nullptr;  // of the convolutions
  const std::vector<StageActivations>* seen_ = nullptr;
  GroupTime* groups_ = nullptr;
};

}  // namespace pyvoc::models::melgan
#endif  // PYVOC_MODELS_MELGAN_GENERATOR_H_
