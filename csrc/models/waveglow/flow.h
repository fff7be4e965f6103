// One flow of a stream, run from noise to audio: coupling, then the inverse 1 x 1 convolution; or,
// piece by piece, the layers alone, for the other direction (likelihood.h). It keeps what its
// layers saw last, so that any division of the steps gives the same numbers; what it
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

// What a layer's convolution and what behind its gates gets, [hidden] each; borrowed.
struct LayerActivations {
  Activations *conv, *out;
};

// What takes time, in the order of its names (see Waveglow::time_groups).
enum Group { kUpsample, kStart, kGate, kResidual, kSkip, kCouple, kGroups };

// Rows of the stream through the layers of a flow: the numbers, and what convolutions read of them.
template <typename X>
struct Stream {
  float* value = nullptr;
  X* read = nullptr;  // value itself, or bytes
};

template <typename X>
struct Workspace {
  Workspace(const Config& config, const Weights& weights, Arena& arena);

  std::int64_t slice;           // rows that a flow starts at a time
  Stream<X> input, output;      // of a layer
  Stream<X> gated;              // of some rows of a layer
  float* scratch;               // of GatedConv
  GroupTime* groups = nullptr;  // [kGroups], where time is measured
};

// X: float, or uint8 for int8 weights.
template <typename X>
class Flow {
 public:
  Flow(const Config& config, const FlowWeights& weights, int number, Arena& arena,
       std::int64_t slice);

  void reset() PYVOC_RT;

  // Becomes what `from`, the same flow of another chain, is.
  void copy_state(const Flow& from) PYVOC_RT;

  // From now on, what layers get is added to seen [layers].
  void observe(const LayerActivations* seen) { seen_ = seen; }

  // What it reads, [channels]; the flow before appends.
  nn::Rows<float>& input() PYVOC_RT { return input_; }

  // Up to which row (exclusive) it is coupled, and needs no conditioning any more.
  std::int64_t done() const PYVOC_RT { return coupled_; }

  // Takes the input up to row `until` and appends what that completes to `next`. `total`: rows that
  // there are in all, -1 while that is not known. `part`: of the noise that joins.
  void run(Team& team, const Workspace<X>& space, const nn::Rows<X>& condition, std::int64_t until,
           std::int64_t total, const Noise& noise, int part, nn::Rows<float>& next) PYVOC_RT;

  // The layers' part of run(), for some of these rows: makes shift and scale known up to row
  // ready(). False if there was nothing to do.
  bool advance(Team& team, const Workspace<X>& space, const nn::Rows<X>& condition,
               std::int64_t until, std::int64_t total) PYVOC_RT;
  std::int64_t ready() const PYVOC_RT { return layers_.back().done; }

  // A row from done() to ready(): the half that is changed, and what changes it.
  struct Coupling {
    int channels;
    float* x;
    const float *shift, *log_scale;
  };
  Coupling coupling(std::int64_t t) PYVOC_RT {
    const int half = c_.channels[static_cast<std::size_t>(number_)] / 2;
    const float* shift = shift_scale_.row(t);
    return {half, input_.row(t) + (c_.swapped(number_) ? 0 : half), shift, shift + half};
  }

  // The rows before ready() are coupled and passed on.
  void release() PYVOC_RT;

 private:
  struct LayerState {
    Stream<X> tail;         // of its input: what is read of rows done - dilation .. end, and the
                            // values of rows done .. end
    float* kept = nullptr;  // of GatedConv
    std::int64_t done = 0;  // rows that were computed
    std::int64_t end = 0;   // rows that arrived
  };

  void start(Team& team, const Workspace<X>& space, std::int64_t rows) PYVOC_RT;
  void run_layers(Team& team, Workspace<X> space, const nn::Rows<X>& condition,
                  std::int64_t total) PYVOC_RT;
  void run_layer(Team& team, const Workspace<X>& space, const nn::Rows<X>& condition, std::size_t i,
                 std::int64_t until) PYVOC_RT;
  void couple() PYVOC_RT;
  void unmix(Team& team, const Noise& noise, int part, nn::Rows<float>& next) PYVOC_RT;

  // Rows of a layer's input that are kept, brought to `to`; how many they are.
  std::int64_t load_tail(std::size_t i, Stream<X> to) const PYVOC_RT;
  void copy_tail(std::size_t i, Stream<X> to, Stream<X> from) const PYVOC_RT;
  // Layer i's zeros, for rows that are only read.
  void clear(std::size_t i, X* read, std::int64_t rows) const PYVOC_RT;
  // Where a tail lies among the rows of a workspace whose first one is row done - dilation.
  Stream<X> tail_of(std::size_t i, Stream<X> stream) const PYVOC_RT {
    return {stream.value + (std::ptrdiff_t{hidden_} << i), stream.read};
  }
  Stream<X> at(Stream<X> stream, std::int64_t row) const PYVOC_RT {
    return {stream.value + row * hidden_, stream.read + row * hidden_};
  }

  const Config& c_;
  const FlowWeights& w_;
  int number_, width_, hidden_;  // channels, padded
  nn::Rows<float> input_;
  nn::Rows<float> shift_scale_;  // the sum over the layers, complete up to the last one's rows
  std::int64_t started_ = 0, coupled_ = 0;
  std::vector<LayerState> layers_;
  const LayerActivations* seen_ = nullptr;
};

extern template struct Workspace<float>;
extern template struct Workspace<std::uint8_t>;
extern template class Flow<float>;
extern template class Flow<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_FLOW_H_
