// HiFi-GAN's generator as a stream: mel frames in, samples out, every layer with its own history,
// so that any division of the frames gives the same samples. Long pushes go through the network
// depth first, in slices whose activations stay in the cache. Convolutions between the first and
// the last read floats or bytes, each what its weights want; the residual sums are float. Called by
// one thread; each convolution is shared with the team. Allocates in the constructor only.
#ifndef PYVOC_MODELS_HIFIGAN_GENERATOR_H_
#define PYVOC_MODELS_HIFIGAN_GENERATOR_H_

#include <vector>

#include "base/arena.h"
#include "models/hifigan/weights.h"
#include "models/layer_rows.h"
#include "nn/rows.h"

namespace pyvoc::models::hifigan {

// What the inputs of a stage's layers were, [channels] each; borrowed.
struct BlockActivations {
  Activations *first = nullptr, *second = nullptr;
};
struct StageActivations {
  Activations* up = nullptr;
  std::vector<std::vector<BlockActivations>> chains;
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
    // The input and, rectified, what the first convolution reads: a chain's first block has those
    // of its stage. `hidden`: between two convolutions, rectified.
    nn::Rows<float> value;
    LayerRows active, hidden;
    std::int64_t first_done = 0, done = 0;
  };
  struct ChainState {
    std::vector<BlockState> blocks;
    nn::Rows<float> result;
  };
  struct StageState {
    LayerRows input;  // rectified
    std::int64_t windows = 0;
    std::int64_t slice = 1;  // rows of input taken at a time
    nn::Rows<float> value;   // upsampled
    // The same rectified, and which of it each chain reads: floats serve all chains that read
    // floats, bytes one each.
    std::vector<LayerRows> entries;
    std::vector<std::size_t> entry_of;
    std::vector<ChainState> chains;
    std::int64_t averaged = 0;

    LayerRows& entry(std::size_t chain) PYVOC_RT { return entries[entry_of[chain]]; }
  };

  std::int64_t rows_of(std::size_t k) const;
  void make_stage(std::size_t k, std::int64_t arriving);
  void run_stage(std::size_t k, bool ended) PYVOC_RT;
  void upsample(std::size_t k, std::int64_t rows, bool ended) PYVOC_RT;
  void run_chain(std::size_t k, std::size_t j, bool ended) PYVOC_RT;
  void run_block(std::size_t k, std::size_t j, std::size_t i, bool ended) PYVOC_RT;
  // A convolution that ends a block: `in` with the block's input added becomes the next's input.
  void close_block(std::size_t k, std::size_t j, std::size_t i, const Layer& layer, LayerRows& in,
                   std::int64_t until) PYVOC_RT;
  void convolve(const Layer& layer, LayerRows& in, std::int64_t from, std::int64_t until,
                const kernels::ConvOutput& out) PYVOC_RT;
  void finish(std::size_t k, const float* sums, std::int64_t rows,
              kernels::ConvOutput out) PYVOC_RT;
  void average(std::size_t k, bool ended) PYVOC_RT;
  kernels::ConvOutput output() const PYVOC_RT;

  const Config& c_;
  const Weights& w_;
  const kernels::KernelTable& kernels_;
  Arena arena_;
  Team team_;
  MelStart start_;
  std::vector<StageState> stages_;
  SampleEnd end_;
  float* scratch_ = nullptr;                     // of the convolutions
  float *share_ = nullptr, *nothing_ = nullptr;  // [most channels] 1 / chains, 0
  const std::vector<StageActivations>* seen_ = nullptr;
  GroupTime* groups_ = nullptr;
};

}  // namespace pyvoc::models::hifigan
#endif  // PYVOC_MODELS_HIFIGAN_GENERATOR_H_
