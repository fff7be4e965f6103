// The parts of the feature extraction against textbook definitions in double precision.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <random>
#include <vector>

#include "dsp/fft320.h"
#include "dsp/glibc_rand.h"
#include "dsp/lpc_cepstrum.h"
#include "dsp/mulaw.h"
#include "dsp/pitch_tracker.h"
#include "kernels/resolve.h"

namespace pyvoc::dsp {
namespace {

constexpr double kPi = 3.14159265358979323846;

std::vector<float> noise(std::size_t n, unsigned seed, float scale) {
  std::mt19937 engine(seed);
  std::vector<float> x(n);
  for (float& v : x) v = scale * (static_cast<float>(engine() >> 8) * 0x1p-23f - 1.0f);
  return x;
}

TEST(Fft320, ForwardIsTheScaledTransform) {
  const Fft320 fft;
  for (unsigned seed = 0; seed < 4; ++seed) {
    std::vector<float> x = noise(kFftSize, seed, 1000.0f);
    if (seed == 0) x.assign(kFftSize, 0.0f), x[7] = 1.0f;
    float re[kFftBins], im[kFftBins];
    fft.forward(x.data(), re, im);
    double energy = 0.0;
    for (float v : x) energy += static_cast<double>(v) * v;
    const double tolerance = 4e-7 * std::sqrt(energy / kFftSize);
    for (int k = 0; k < kFftBins; ++k) {
      std::complex<double> sum = 0.0;
      for (int n = 0; n < kFftSize; ++n) {
        sum += std::polar(static_cast<double>(x[n]), -2.0 * kPi * (k * n % kFftSize) / kFftSize);
      }
      sum /= kFftSize;
      ASSERT_NEAR(re[k], sum.real(), tolerance) << "bin " << k << ", seed " << seed;
      ASSERT_NEAR(im[k], sum.imag(), tolerance) << "bin " << k << ", seed " << seed;
    }
  }
}

TEST(Fft320, AutocorrelationIsTheInverseOfAnEvenSpectrum) {
  const Fft320 fft;
  std::vector<float> spectrum = noise(kFftBins, 5, 1.0f);
  for (float& v : spectrum) v = v * v;
  float out[kAutocorrelation];
  fft.autocorrelation(spectrum.data(), out);
  for (int lag = 0; lag < kAutocorrelation; ++lag) {
    double sum = spectrum[0];
    for (int k = 1; k < kFftBins; ++k) {
      sum += 2.0 * spectrum[k] * std::cos(2.0 * kPi * k * lag / kFftSize);
    }
    ASSERT_NEAR(out[lag], sum, 2e-4) << "lag " << lag;
  }
}

TEST(Levinson, SolvesTheNormalEquations) {
  // Autocorrelation of an AR(2) process: the solution is known and the gain stays below 30 dB.
  const double a1 = -1.2, a2 = 0.7;
  double r[kAutocorrelation] = {1.0, -a1 / (1.0 + a2)};
  for (int k = 2; k < kAutocorrelation; ++k) r[k] = -a1 * r[k - 1] - a2 * r[k - 2];
  float ac[kAutocorrelation], lpc[kLpcOrder];
  for (int k = 0; k < kAutocorrelation; ++k) ac[k] = static_cast<float>(1000.0 * r[k]);
  const float error = levinson(ac, lpc);
  EXPECT_NEAR(lpc[0], a1, 1e-5);
  EXPECT_NEAR(lpc[1], a2, 1e-5);
  for (int k = 2; k < kLpcOrder; ++k) EXPECT_NEAR(lpc[k], 0.0, 1e-5) << k;
  EXPECT_NEAR(error, 1000.0 * (r[0] + a1 * r[1] + a2 * r[2]), 1e-2);
}

TEST(Levinson, StopsAtThirtyDecibels) {
  float ac[kAutocorrelation], lpc[kLpcOrder];
  for (int k = 0; k < kAutocorrelation; ++k) {
    ac[k] = static_cast<float>(std::cos(2.0 * kPi * 0.05 * k));
  }
  const float error = levinson(ac, lpc);
  EXPECT_LT(error, 0.001f);
  EXPECT_EQ(lpc[kLpcOrder - 1], 0.0f) << "a pure tone needs two coefficients, not sixteen";
  float zeros[kAutocorrelation] = {};
  EXPECT_EQ(levinson(zeros, lpc), 0.0f);
  for (float a : lpc) EXPECT_EQ(a, 0.0f);
}

TEST(CepstralAnalysis, SilenceIsTheFloor) {
  const CepstralAnalysis analysis;
  const float frame[kFftSize] = {};
  float cepstrum[kBands];
  Spectrum spectrum;
  analysis.spectrum(frame, spectrum);
  analysis.cepstrum(spectrum, cepstrum);
  EXPECT_NEAR(cepstrum[0], -2.0 * std::sqrt(18.0) - 4.0, 1e-5);
  for (int i = 1; i < kBands; ++i) EXPECT_NEAR(cepstrum[i], 0.0, 1e-5) << i;
}

TEST(GlibcRand, KnownSequences) {
  // The first draws of glibc's rand() are the best known numbers of computing.
  GlibcRand one(1);
  for (std::int32_t expected : {1804289383, 846930886, 1681692777, 1714636915, 1957747793}) {
    EXPECT_EQ(one.next(), expected);
  }
  GlibcRand zero(0);
  EXPECT_EQ(zero.next(), 1804289383) << "seed 0 means seed 1";
}

#if defined(__GLIBC__)
TEST(GlibcRand, EqualsTheSystemsGenerator) {
  for (unsigned seed : {2u, 42u, 1234u, 2147483647u, 2147483648u, 4294967295u}) {
    std::srand(seed);
    GlibcRand ours(seed);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(ours.next(), std::rand()) << seed << " draw " << i;
  }
}
#endif

TEST(MuLaw, CodesRoundTripAndSaturate) {
  EXPECT_EQ(mulaw_encode(0.0f), 128);
  EXPECT_EQ(mulaw_encode(1e6f), 255);
  EXPECT_EQ(mulaw_encode(-1e6f), 0);
  EXPECT_EQ(mulaw_decode(128.0f), 0.0f);
  int previous = 0;
  for (int code = 0; code < 256; ++code) {
    const float value = mulaw_decode(static_cast<float>(code));
    const double u = code - 128.0;
    const double exact = std::copysign(
        32768.0 / 255.0 * (std::exp(std::fabs(u) / 128.0 * std::log(256.0)) - 1.0), u);
    EXPECT_NEAR(value, exact, 1e-5 * std::fabs(exact) + 1e-6) << code;
    const int back = mulaw_encode(value);
    EXPECT_LE(std::abs(back - code), 1) << code << ": the logarithm is approximate";
    EXPECT_GE(back, previous);
    previous = back;
  }
}

TEST(LogApprox, IsCloseToTheLogarithm) {
  for (double x = 1e-6; x < 1e6; x *= 1.37) {
    EXPECT_NEAR(log_approx(static_cast<float>(x)), std::log(x), 4e-3) << x;
  }
}

// The 2019 search is walked in a shortened form: it must decide as the plain walk does.
class Plain2019 {
 public:
  void step(const std::vector<float>& xc, float weight) {
    std::vector<float> next(kLags);
    std::vector<int> from(kLags);
    for (int i = 0; i < kLags; ++i) {
      float best = all_ - 6.0f;
      from[i] = best_;
      for (int j = std::min(0, 4 - i); j <= 4 && i + j < kLags; ++j) {
        if (path_[i + j] > best) {
          best = path_[i + j] -
                 0.02f * static_cast<float>(std::abs(j)) * static_cast<float>(std::abs(j));
          from[i] = i + j;
        }
      }
      next[i] = best + weight * xc[i];
    }
    all_ = *std::max_element(next.begin(), next.end());
    best_ = static_cast<int>(std::find(next.begin(), next.end(), all_) - next.begin());
    for (float& v : next) v -= all_;
    path_ = next;
    from_.push_back(from);
  }
  std::vector<int> periods() {
    std::vector<int> out(from_.size());
    int at = best_;
    for (int s = static_cast<int>(from_.size()) - 1; s >= 0; --s) {
      out[s] = kMaxPeriod - at;
      at = from_[s][at];
    }
    from_.clear();
    return out;
  }

 private:
  std::vector<float> path_ = std::vector<float>(kLags, 0.0f);
  std::vector<std::vector<int>> from_;
  float all_ = 0.0f;
  int best_ = 0;
};

TEST(PitchTracker, ShortenedSearchOf2019DecidesAsThePlainOne) {
  const auto table = kernels::active_table();
  ASSERT_TRUE(table.ok());
  PitchTracker tracker(Recipe::k2019, *table.value());
  Plain2019 plain;
  std::mt19937 engine(9);
  const auto uniform = [&] { return static_cast<float>(engine() >> 8) * 0x1p-24f; };
  for (int superframe = 0; superframe < 60; ++superframe) {
    float correlation[kMaxHalves][kMaxPeriod], energy[kMaxHalves];
    float sum = 1e-15f;
    for (int h = 0; h < kMaxHalves; ++h) {
      // Lags above 192 carry the halves that the multiples guard looks at: keep them low, so that
      // the guard changes nothing and the search alone is compared.
      for (int i = 0; i < kMaxPeriod; ++i) {
        correlation[h][i] = i < 127 ? 0.5f + 0.5f * uniform() : -1.0f;
      }
      energy[h] = std::ldexp(uniform(), superframe % 3 == 0 ? 12 * (h & 1) : 0);
      sum += energy[h];
    }
    for (int h = 0; h < kMaxHalves; ++h) {
      plain.step(std::vector<float>(correlation[h], correlation[h] + kLags),
                 energy[h] * (8.0f / sum));
    }
    const PitchDecision decision = tracker.decide(kMaxHalves, correlation, energy);
    const std::vector<int> expected = plain.periods();
    for (int h = 0; h < kMaxHalves; ++h) {
      ASSERT_EQ(decision.period[h], expected[h]) << "superframe " << superframe << " half " << h;
    }
  }
}

}  // namespace
}  // namespace pyvoc::dsp
