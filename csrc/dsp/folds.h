// One utterance in folds: parts that overlap, which a network speaks side by side, each from its
// initial state, and which are joined afterwards. Pure functions of sizes and samples; any thread.
//
// Ours: folds of like length, which cover the signal exactly. The first half of an overlap lets the
// later fold warm up; over the second half the gains of both keep the power of their sum, whatever
// their correlation: folds that agree are joined without a trace.
// Upstream's (fatchord/WaveRNN): folds of one length, the last of which may leave the signal, so
// that a short one is one fold; both ends of every fold are faded; a hop less than there are
// frames, the last 20 hops faded out.
#ifndef PYVOC_DSP_FOLDS_H_
#define PYVOC_DSP_FOLDS_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace pyvoc::dsp {

struct FoldSettings {
  std::size_t frames = 0, hop_length = 0;
  std::size_t target = 0;   // samples of a fold without its overlaps; 0: one part, as it is
  std::size_t overlap = 0;  // samples that a fold has in common with the next
  bool upstream = false;
  std::size_t grid = 1;  // ours begin at multiples of it, where they are no shorter
};

struct Fold {
  std::size_t start = 0;    // sample of the utterance
  std::size_t samples = 0;  // to be made, all that are heard
};

class Folds {
 public:
  // Far from where sums of sizes overflow.
  static constexpr std::size_t kMostSamples =
      static_cast<std::size_t>(std::uint64_t{1} << (sizeof(std::size_t) > 4 ? 40 : 28));

  // A sentence about settings that cannot be; "" when they can.
  static std::string problem(const FoldSettings& settings);

  // `problem` has none.
  explicit Folds(const FoldSettings& settings);

  std::size_t samples() const { return samples_; }  // of the joined utterance
  std::size_t count() const { return count_; }
  std::size_t length() const { return length_; }  // of the longest fold
  Fold operator[](std::size_t i) const;

  // folds[i] has (*this)[i].samples; out [samples()].
  void join(const float* const* folds, float* out) const;

 private:
  void join_ours(const float* const* folds, float* out) const;
  void join_upstream(const float* const* folds, float* out) const;
  std::size_t start(std::size_t i) const {
    const std::size_t even = i * step_ + (i < longer_ ? i : longer_);
    return i < count_ ? even - even % grid_ : even;
  }

  FoldSettings settings_;
  std::size_t samples_ = 0, count_ = 0, length_ = 0;
  std::size_t step_ = 0;    // from one start to the next
  std::size_t longer_ = 0;  // the first so many steps are a sample longer
  std::size_t grid_ = 1;
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_FOLDS_H_
