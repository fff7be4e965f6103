// What all flows read besides the stream: mel frames upsampled to a row [groups][bands padded] per
// step. Rows stay until the last flow is done with them. Called by one thread; the upsampling is
// shared with the team. Allocates in the constructor only.
#ifndef PYVOC_MODELS_WAVEGLOW_CONDITIONING_H_
#define PYVOC_MODELS_WAVEGLOW_CONDITIONING_H_

#include "base/arena.h"
#include "models/waveglow/weights.h"
#include "nn/rows.h"

namespace pyvoc::models::waveglow {

// X: float, or uint8 for int8 weights.
template <typename X>
class Conditioning {
 public:
  Conditioning(const Config& config, const Weights& weights, Arena& arena);

  void reset() PYVOC_RT;

  // From now on, what flows get is added to seen [bands * groups], as the file orders inputs.
  void observe(Activations* seen) { seen_ = seen; }

  // Takes n <= kBlockFrames frames [n][bands], `stride` floats apart. Rows before `done` are not
  // needed any more; those from there on are at most what flows look ahead and a block.
  void append(Team& team, const float* frames, std::size_t stride, int n,
              std::int64_t done) PYVOC_RT;

  const nn::Rows<X>& rows() const PYVOC_RT { return rows_; }
  std::int64_t end() const PYVOC_RT { return rows_.end(); }

 private:
  void note(std::int64_t n) PYVOC_RT;  // the rows about to be appended

  const Config& c_;
  const Weights& w_;
  float* mel_ = nullptr;  // [history - 1 + kBlockFrames][bands padded]
  float* scratch_ = nullptr;
  nn::Rows<X> rows_;
  std::int64_t capacity_ = 0;  // rows that there is room for
  std::int64_t dropped_ = 0;   // rows that are not there any more
  Activations* seen_ = nullptr;
};

extern template class Conditioning<float>;
extern template class Conditioning<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
#endif  // PYVOC_MODELS_WAVEGLOW_CONDITIONING_H_
