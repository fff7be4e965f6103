// Pitch and formants moved in feature frames.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "dsp/lpc_cepstrum.h"
#include "dsp/mel_filters.h"
#include "dsp/voice_shift.h"

namespace pyvoc::testing {
namespace {

constexpr double kPi = 3.14159265358979323846;

TEST(VoiceShift, AnOctaveHalvesThePeriod) {
  for (const dsp::Layout layout : {dsp::Layout::kLpcnet36, dsp::Layout::kLpcnet55}) {
    dsp::VoiceShift shift(layout);
    const std::size_t pitch = layout == dsp::Layout::kLpcnet55 ? 36 : 18;
    std::vector<float> frame(55, 0.25f);
    frame[pitch] = 0.01f * (120 + 120 - 200);
    std::vector<float> wanted = frame;
    shift.apply(frame.data());
    EXPECT_EQ(frame, wanted);
    shift.set(12.0f, 0.0f);
    shift.apply(frame.data());
    wanted[pitch] = 0.01f * (60 + 60 - 200);
    EXPECT_NEAR(frame[pitch], wanted[pitch], 1e-5f);
    shift.set(-24.0f, 0.0f);
    shift.apply(frame.data());  // 240
    shift.apply(frame.data());  // beyond what a frame can say
    EXPECT_NEAR(frame[pitch], 0.01f * (255 + 255 - 200), 1e-5f);
    frame[pitch] = wanted[pitch];
    EXPECT_EQ(frame, wanted);
  }
}

// The envelope of a resonance at 1 kHz, through cepstrum and LPC, has its centre where it should.
TEST(VoiceShift, AnOctaveIsAdded) {
  dsp::VoiceShift shift(dsp::Layout::kOpus20);
  float frame[20] = {};
  frame[18] = -0.25f;
  shift.set(12.0f, 0.0f);
  shift.apply(frame);
  EXPECT_FLOAT_EQ(frame[18], 0.75f);
  shift.apply(frame);  // to the shortest period that the network knows
  EXPECT_FLOAT_EQ(frame[18], 1.5f);
}

TEST(VoiceShift, FormantsMove) {
  const dsp::CepstralAnalysis analysis;
  const auto centre = [&](const float* cepstrum) {
    float lpc[dsp::kLpcOrder];
    analysis.predictor(cepstrum, lpc);
    double sum = 0.0, weighted = 0.0;
    for (double hertz = 300; hertz < 4000; hertz += 10) {
      double re = 1.0, im = 0.0;
      for (int k = 0; k < dsp::kLpcOrder; ++k) {
        const double w = 2.0 * kPi * hertz / 16000.0 * (k + 1);
        re += static_cast<double>(lpc[k]) * std::cos(w);
        im -= static_cast<double>(lpc[k]) * std::sin(w);
      }
      const double power = 1.0 / (re * re + im * im);
      sum += power * power;  // what counts is the peak
      weighted += power * power * hertz;
    }
    return weighted / sum;
  };
  std::vector<float> frame(320);
  for (std::size_t i = 0; i < frame.size(); ++i) {  // harmonics of 100 Hz under a resonance
    double x = 0.0;
    for (int k = 1; k < 60; ++k) {
      const double f = 100.0 * k, d = (f - 1000.0) / 150.0;
      x += std::cos(2.0 * kPi * f * static_cast<double>(i) / 16000.0 + k) / (1.0 + d * d);
    }
    frame[i] = static_cast<float>(3000.0 * x);
  }
  float cepstrum[dsp::kBands];
  dsp::Spectrum spectrum;
  analysis.spectrum(frame.data(), spectrum);
  analysis.cepstrum(spectrum, cepstrum);
  const double before = centre(cepstrum);
  EXPECT_NEAR(before, 1000.0, 150.0);
  dsp::VoiceShift shift(dsp::Layout::kLpcnet36);
  std::vector<float> row(36);
  for (const float semitones : {7.0f, -5.0f}) {
    std::copy(cepstrum, cepstrum + dsp::kBands, row.begin());
    shift.set(0.0f, semitones);
    shift.apply(row.data());
    const double ratio = std::exp2(static_cast<double>(semitones) / 12.0);
    EXPECT_NEAR(centre(row.data()) / before, ratio, 0.13) << semitones;
  }
  shift.set(0.0f, 1e-4f);  // hardly anything: the matrix is the identity
  std::copy(cepstrum, cepstrum + dsp::kBands, row.begin());
  shift.apply(row.data());
  for (int k = 0; k < dsp::kBands; ++k) EXPECT_NEAR(row[k], cepstrum[k], 2e-3f) << k;
}

TEST(VoiceShift, AMelMovesAsAWhole) {
  const dsp::MelRecipe recipe;
  dsp::VoiceShift shift(recipe);
  EXPECT_FALSE(shift.takes_formant());
  std::vector<float> mel(recipe.bands, -8.0f);
  mel[30] = 0.0f;
  shift.set(12.0f, 0.0f);
  shift.apply(mel.data());
  const std::size_t at =
      static_cast<std::size_t>(std::max_element(mel.begin(), mel.end()) - mel.begin());
  const double low = dsp::mel_of_hz(0.0), high = dsp::mel_of_hz(8000.0);
  const auto hertz = [&](std::size_t band) {
    return dsp::hz_of_mel(low + (high - low) * static_cast<double>(band + 1) / 81.0);
  };
  EXPECT_NEAR(hertz(at) / hertz(30), 2.0, 0.05);
}

}  // namespace
}  // namespace pyvoc::testing
