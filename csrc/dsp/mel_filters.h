// MelFilters: triangular filters on the Slaney mel scale, each of unit area, as librosa's
// filters.mel(htk=False, norm="slaney"); see Slaney, Auditory Toolbox, 1998.
//
// Only the bins inside a triangle are stored. Immutable after construction: any number of threads;
// apply is real-time safe.
#ifndef PYVOC_DSP_MEL_FILTERS_H_
#define PYVOC_DSP_MEL_FILTERS_H_

#include <cstddef>
#include <vector>

#include "base/realtime.h"
#include "dsp/mel_recipe.h"

namespace pyvoc::dsp {

// Slaney's scale.
double mel_of_hz(double hz);
double hz_of_mel(double mel);

class MelFilters {
 public:
  // The recipe has no problems. Computed in double precision.
  explicit MelFilters(const MelRecipe& recipe);

  // Bins below first_bin() and from end_bin() on are in no filter.
  std::size_t first_bin() const { return first_bin_; }
  std::size_t end_bin() const { return end_bin_; }

  // spectrum [fft_length / 2 + 1] -> mel [bands].
  void apply(const double* spectrum, double* mel) const PYVOC_RT;

 private:
  struct Filter {
    std::size_t first, count, weights;  // bins; offset into weights_
  };
  std::vector<Filter> filters_;
  std::vector<double> weights_;
  std::size_t first_bin_ = 0, end_bin_ = 0;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_MEL_FILTERS_H_
