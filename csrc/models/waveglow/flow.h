// One flow of a stream, run from noise to audio: coupling, then the inverse 1 x 1 convolution. It
// keeps what its layers saw last, so that any division of the steps gives the same numbers; what it
// works with while it runs is the workspace, which all flows of a stream share. A row is a step;
// its number is the same in every flow. Called by one thread; each convolution is shared with the
// team. Allocates in the constructors only.
#ifndef PYVOC_MODELS_WAVEGLOW_FLOW_H_
#define PYVOC_MODELS_WAVEGLOW_FLOW_H_

#include <vector>

#include "base/arena.h"
#include "models/waveglow/noise.h"
#include "models/waveglow/weights.h"
#include "nn/rows.h"

namespace pyvoc::models::waveglow {

struct Workspace {
  Workspace(const Config& config, Arena& arena);

  std::int64_t slice;     // rows that a flow starts at a time
  float *input, *output;  // of a layer
  float* gated;           // of some rows of a layer
};

class Flow {
 public:
  Flow(const Config& config, const FlowWeights& weights, int number, Arena& arena,
       std::int64_t slice);

  void reset() PYVOC_RT;

  // What it reads, [channels]; the flow before appends.
  nn::Rows<float>& input() PYVOC_RT { return input_; }

  // Up to which row (exclusive) it needs no conditioning any more.
  std::int64_t done() const PYVOC_RT { return coupled_; }

  // Takes the input up to row `until` and appends what that completes to `next`. `total`: rows that
  // there are in all, -1 while that is not known. `part`: of the noise that joins.
  void run(Team& team, const Workspace& space, const nn::Rows<float>& condition, std::int64_t until,
           std::int64_t total, const Noise& noise, int part, nn::Rows<float>& next) PYVOC_RT;

 private:
  struct LayerState {
    float* tail = nullptr;  // rows done - dilation .. end of its input
    std::int64_t done = 0;  // rows that were computed
    std::int64_t end = 0;   // rows that arrived
  };

  void start(Team& team, const Workspace& space, std::int64_t rows) PYVOC_RT;
  void run_layers(Team& team, Workspace space, const nn::Rows<float>& condition,
                  std::int64_t total) PYVOC_RT;
  void run_layer(Team& team, const Workspace& space, const nn::Rows<float>& condition,
                 std::size_t i, std::int64_t until) PYVOC_RT;
  void couple(std::int64_t until) PYVOC_RT;
  void unmix(Team& team, std::int64_t until, const Noise& noise, int part,
             nn::Rows<float>& next) PYVOC_RT;

  // Rows of a layer's input that are kept, brought to `to`; how many they are.
  std::int64_t load_tail(std::size_t i, float* to) const PYVOC_RT;

  const Config& c_;
  const FlowWeights& w_;
  int number_, width_, hidden_;  // channels, padded
  nn::Rows<float> input_;
  nn::Rows<float> shift_scale_;  // the sum over the layers, complete up to the last one's rows
  std::int64_t started_ = 0, coupled_ = 0;
  std::vector<LayerState> layers_;
};

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_FLOW_H_
