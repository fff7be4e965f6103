#include "dsp/voice_shift.h"

#include <algorithm>
#include <cmath>

#include "dsp/mel_filters.h"

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;
// The pitch feature is 0.01 (T1 + T2) - 2 with periods of 32 to 255 samples.
constexpr float kPitchOffset = 2.0f, kLowestPitch = 0.02f * 32 - 2.0f,
                kHighestPitch = 0.02f * 255 - 2.0f;

constexpr float kSemitones = 12.0f;  // of an octave

// Where x lies among rising values: index and fraction; the ends are held.
double place_of(double x, const double* values, std::size_t n) PYVOC_RT {
  if (!(x > values[0])) return 0.0;
  for (std::size_t i = 1; i < n; ++i) {
    if (x < values[i]) {
      return static_cast<double>(i - 1) + (x - values[i - 1]) / (values[i] - values[i - 1]);
    }
  }
  return static_cast<double>(n - 1);
}

}  // namespace

VoiceShift::VoiceShift(Layout layout)
    : pitch_column_(layout == Layout::kLpcnet55 ? 36 : 18), octaves_(layout == Layout::kOpus20) {
  warp_cepstrum(1.0);
}

VoiceShift::VoiceShift(const MelRecipe& r) : centres_(r.bands), place_(r.bands), old_(r.bands) {
  const double low = mel_of_hz(static_cast<double>(r.fmin)),
               high = mel_of_hz(static_cast<double>(r.fmax));
  for (std::size_t i = 0; i < r.bands; ++i) {
    centres_[i] = hz_of_mel(low + (high - low) * static_cast<double>(i + 1) /
                                      static_cast<double>(r.bands + 1));
  }
}

void VoiceShift::set(float pitch, float formant) PYVOC_RT {
  pitch_ = pitch;
  if (formant != formant_ && centres_.empty()) {
    formant_ = formant;
    warp_cepstrum(std::exp2(static_cast<double>(formant) / 12.0));
  }
  const double ratio = std::exp2(static_cast<double>(pitch) / 12.0);
  period_ratio_ = static_cast<float>(1.0 / ratio);
  for (std::size_t i = 0; i < centres_.size(); ++i) {
    place_[i] = static_cast<float>(place_of(centres_[i] / ratio, centres_.data(), centres_.size()));
  }
}

// cepstrum -> levels of the bands -> per Hz -> at the frequencies f / ratio -> levels -> cepstrum.
// All of it is linear but for the widths, which add a constant.
void VoiceShift::warp_cepstrum(double ratio) PYVOC_RT {
  double centres[kBands], widths[kBands], cosines[kBands][kBands];
  for (int i = 0; i < kBands; ++i) {
    centres[i] = kBandCentre[i];
    widths[i] = std::log10(static_cast<double>(kBandCompensation[i]));
    for (int j = 0; j < kBands; ++j) {
      cosines[i][j] = std::cos((i + 0.5) * j * kPi / kBands) * (j == 0 ? std::sqrt(0.5) : 1.0) *
                      std::sqrt(2.0 / kBands);
    }
  }
  double warped[kBands][kBands] = {}, constant[kBands] = {};  // [band][coefficient], [band]
  for (int i = 0; i < kBands; ++i) {
    const double place = place_of(centres[i] / ratio, centres, kBands);
    const int below = std::min(static_cast<int>(place), kBands - 2);
    const double toward = place - below;
    for (int j = 0; j < kBands; ++j) {
      warped[i][j] = (1.0 - toward) * cosines[below][j] + toward * cosines[below + 1][j];
      // c0 comes with kC0Offset subtracted.
      if (j == 0) constant[i] += kC0Offset * warped[i][0];
    }
    constant[i] += (1.0 - toward) * widths[below] + toward * widths[below + 1] - widths[i];
  }
  for (int k = 0; k < kBands; ++k) {
    double offset = k == 0 ? -static_cast<double>(kC0Offset) : 0.0;
    for (int i = 0; i < kBands; ++i) offset += cosines[i][k] * constant[i];
    offset_[k] = static_cast<float>(offset);
    for (int j = 0; j < kBands; ++j) {
      double sum = 0.0;
      for (int i = 0; i < kBands; ++i) sum += cosines[i][k] * warped[i][j];
      matrix_[k][j] = static_cast<float>(sum);
    }
  }
}

void VoiceShift::apply(float* frame) const PYVOC_RT {
  if (!centres_.empty()) {
    if (pitch_ == 0.0f) return;
    std::copy(frame, frame + old_.size(), old_.begin());
    for (std::size_t i = 0; i < old_.size(); ++i) {
      const std::size_t below =
          std::min(static_cast<std::size_t>(place_[i]), old_.size() < 2 ? 0 : old_.size() - 2);
      const float toward = place_[i] - static_cast<float>(below);
      const float above = old_[std::min(below + 1, old_.size() - 1)];
      frame[i] = old_[below] + toward * (above - old_[below]);
    }
    return;
  }
  if (pitch_ != 0.0f && octaves_) {
    float& pitch = frame[pitch_column_];
    pitch = std::clamp(pitch + pitch_ / kSemitones, kLeastOctave, kMostOctave);
  } else if (pitch_ != 0.0f) {
    const float shifted = (frame[pitch_column_] + kPitchOffset) * period_ratio_ - kPitchOffset;
    frame[pitch_column_] = std::clamp(shifted, kLowestPitch, kHighestPitch);
  }
  if (formant_ == 0.0f) return;
  float old[kBands];
  std::copy(frame, frame + kBands, old);
  for (int k = 0; k < kBands; ++k) {
    float sum = offset_[k];
    for (int j = 0; j < kBands; ++j) sum += matrix_[k][j] * old[j];
    frame[k] = sum;
  }
}

}  // namespace pyvoc::dsp
