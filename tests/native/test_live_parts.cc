// What the live engine is made of: ring, histogram, resampler, drift control, playout.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "api/drift_control.h"
#include "api/playout.h"
#include "base/histogram.h"
#include "base/ring.h"
#include "dsp/resampler.h"

namespace pyvoc::testing {
namespace {

constexpr double kPi = 3.14159265358979323846;

std::vector<float> ramp(std::size_t n, std::size_t first = 0) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(first + i + 1);
  return x;
}

TEST(Ring, CarriesEverySampleBetweenThreads) {
  constexpr std::size_t kTotal = 200000;
  Ring ring(100);  // 128
  EXPECT_EQ(ring.writable(), 128u);
  std::thread producer([&] {
    std::mt19937 random(1);
    for (std::size_t sent = 0; sent < kTotal;) {
      std::vector<float> x = ramp(std::min<std::size_t>(random() % 90, kTotal - sent), sent);
      sent += ring.write(x);
      if (x.empty()) std::this_thread::yield();
    }
  });
  std::mt19937 random(2);
  std::size_t wrong = 0;
  for (std::size_t got = 0; got < kTotal;) {
    std::vector<float> x(random() % 70 + 1);
    const std::size_t n = ring.read(x);
    for (std::size_t i = 0; i < n; ++i) wrong += x[i] != static_cast<float>(got + i + 1);
    got += n;
    if (n == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(ring.readable(), 0u);
}

TEST(Ring, TakesNoMoreThanFits) {
  Ring ring(8);
  const std::vector<float> x = ramp(12);
  EXPECT_EQ(ring.write(x), 8u);
  EXPECT_EQ(ring.write(x), 0u);
  EXPECT_EQ(ring.skip(3), 3u);
  EXPECT_EQ(ring.write({x.data() + 8, 4}), 3u);
  std::vector<float> y(12);
  EXPECT_EQ(ring.read(y), 8u);
  EXPECT_EQ(y[0], 4.0f);
  EXPECT_EQ(y[7], 11.0f);
  EXPECT_EQ(ring.skip(1), 0u);
}

TEST(Histogram, QuantilesAndTheGreatest) {
  Histogram h;
  EXPECT_EQ(h.quantile(0.5), 0.0);
  for (int i = 1; i <= 1000; ++i) h.add(1e-5 * i);
  h.add(-1.0);
  EXPECT_EQ(h.count(), 1001u);
  EXPECT_NEAR(h.quantile(0.5), 5e-3, 0.06 * 5e-3);
  EXPECT_NEAR(h.quantile(0.99), 9.9e-3, 0.06 * 9.9e-3);
  EXPECT_DOUBLE_EQ(h.most(), 1e-2);
  EXPECT_LE(h.quantile(1.0), h.most());
  h.add(1e9);
  EXPECT_EQ(h.most(), 1e9);
}

std::vector<float> tone(double hertz, double rate, std::size_t n) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = static_cast<float>(0.5 * std::sin(2.0 * kPi * hertz * static_cast<double>(i) / rate));
  }
  return x;
}

std::vector<float> resampled(dsp::Resampler& r, const std::vector<float>& x, std::size_t piece) {
  std::vector<float> y, out;
  for (std::size_t at = 0; at < x.size(); at += piece) {
    const std::size_t n = std::min(piece, x.size() - at);
    out.resize(r.most(n));
    const std::size_t got = r.push({x.data() + at, n}, out.data());
    EXPECT_LE(got, out.size());
    y.insert(y.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(got));
  }
  out.resize(r.most(r.latency()));
  const std::size_t got = r.flush(out.data());
  y.insert(y.end(), out.begin(), out.begin() + static_cast<std::ptrdiff_t>(got));
  return y;
}

class ResamplerRates : public ::testing::TestWithParam<std::pair<int, int>> {};

TEST_P(ResamplerRates, TonesStayInPlace) {
  const double from = GetParam().first, to = GetParam().second;
  for (const double part : {0.01, 0.2, 0.4}) {
    const double hertz = part * std::min(from, to);
    const std::vector<float> x = tone(hertz, from, 6000);
    dsp::Resampler r(from, to);
    const std::vector<float> y = resampled(r, x, 160);
    EXPECT_NEAR(static_cast<double>(y.size()), 6000 * to / from, 2.0);
    // Away from the ends, where the tone begins and stops.
    double noise = 0.0, signal = 0.0;
    for (std::size_t i = y.size() / 4; i < 3 * y.size() / 4; ++i) {
      const double t = static_cast<double>(i) / to;
      const double wanted = 0.5 * std::sin(2.0 * kPi * hertz * t);
      noise += (static_cast<double>(y[i]) - wanted) * (static_cast<double>(y[i]) - wanted);
      signal += wanted * wanted;
    }
    EXPECT_LT(10.0 * std::log10(noise / signal), -70.0) << hertz << " Hz";
  }
}

TEST_P(ResamplerRates, WhatCannotBeThereIsGone) {
  const double from = GetParam().first, to = GetParam().second;
  if (to >= from) GTEST_SKIP() << "nothing to lose upwards";
  const std::vector<float> x = tone(0.55 * to, from, 6000);
  dsp::Resampler r(from, to);
  const std::vector<float> y = resampled(r, x, 333);
  double sum = 0.0;
  std::size_t n = 0;
  for (std::size_t i = y.size() / 4; i < 3 * y.size() / 4; ++i, ++n) {
    sum += static_cast<double>(y[i]) * static_cast<double>(y[i]);
  }
  EXPECT_LT(10.0 * std::log10(sum / static_cast<double>(n) / 0.125), -75.0);
}

TEST_P(ResamplerRates, AnySplitGivesTheSame) {
  const std::vector<float> x = tone(440.0, GetParam().first, 3000);
  dsp::Resampler r(GetParam().first, GetParam().second);
  const std::vector<float> whole = resampled(r, x, x.size());
  for (const std::size_t piece : {1, 7, 256}) {
    r.reset();
    EXPECT_EQ(resampled(r, x, piece), whole) << piece;
  }
}

INSTANTIATE_TEST_SUITE_P(Rates, ResamplerRates,
                         ::testing::Values(std::pair{48000, 16000}, std::pair{16000, 48000},
                                           std::pair{44100, 16000}, std::pair{22050, 48000},
                                           std::pair{48000, 22050}, std::pair{16000, 16000},
                                           std::pair{8000, 22050}, std::pair{192000, 16000}));

TEST(Resampler, CorrectionChangesTheNumberOfSamples) {
  const std::vector<float> x(100000, 0.25f);
  dsp::Resampler r(16000, 16000);
  r.correct(1.001);
  std::vector<float> out(r.most(x.size()));
  const std::size_t n = r.push(x, out.data());
  EXPECT_NEAR(static_cast<double>(n), 100100.0, 80.0);
  EXPECT_NEAR(r.ahead(), static_cast<double>(n) - 100000.0, 1e-6);
  EXPECT_NEAR(out[n / 2], 0.25f, 1e-4f);
}

// Two clocks, 300 parts per million apart, callbacks of 10 ms with jitter.
TEST(DriftControl, FollowsTheOtherClock) {
  api::DriftControl control;
  std::mt19937 random(3);
  std::normal_distribution<double> jitter(0.0, 5e-4);
  const double skew = 300e-6;
  double delay = 0.030, latest = 0.0;
  for (int i = 0; i < 30000; ++i) {  // five minutes
    // The producer makes factor * (1 + skew) seconds of sound while one is played.
    delay += 0.010 * (control.factor() * (1.0 + skew) - 1.0);
    control.update(delay + jitter(random), 0.010);
    if (i > 15000) latest = std::max(latest, std::fabs(delay - 0.030));
    ASSERT_LT(std::fabs(delay - 0.030), 0.006) << i;
  }
  EXPECT_LT(latest, 0.001);
  EXPECT_NEAR(control.factor(), 1.0 - skew, 1e-4);
}

struct Player {
  Ring ring{4096};
  api::Playout playout;
  std::vector<float> out = std::vector<float>(160);
  std::size_t made = 0;

  explicit Player(std::size_t margin, bool keep_all = false, bool no_silence = false)
      : playout(ring, {16000.0, margin, 0, false, keep_all, no_silence}) {}
  void produce(std::size_t n) {
    const std::vector<float> x = ramp(n, made);
    ring.write(x);
    made += n;
  }
  std::size_t play() { return playout.read(out); }
};

TEST(Playout, WaitsForAMarginAndThenPlaysEverySample) {
  Player p(80);
  p.produce(160);
  EXPECT_EQ(p.play(), 0u);
  EXPECT_EQ(p.out[0], 0.0f);
  p.produce(160);
  EXPECT_EQ(p.play(), 160u);  // 320 there: 80 too many are dropped, the rest fades in
  EXPECT_EQ(p.playout.dropped(), 80u);
  EXPECT_EQ(p.out[159], 240.0f);
  for (int i = 0; i < 100; ++i) {
    p.produce(160);
    EXPECT_EQ(p.play(), 160u);
    EXPECT_EQ(p.out[0], static_cast<float>(241 + 160 * i));
    EXPECT_EQ(p.out[159], static_cast<float>(400 + 160 * i));
  }
  EXPECT_EQ(p.playout.underruns(), 0u);
  EXPECT_EQ(p.playout.slack(), 80u);
}

// A stall of k callbacks: one underrun, k blocks of silence less the margin, the old delay (and
// what the margin grew by) after it.
TEST(Playout, AStallFadesIsCountedAndLeavesNoDelayBehind) {
  Player p(160);
  p.produce(320);
  for (int i = 0; i < 10; ++i) {
    p.play();
    p.produce(160);
  }
  p.play();
  EXPECT_EQ(p.out[159] - static_cast<float>(p.made), -160.0f);
  for (int i = 0; i < 4; ++i) p.play();
  EXPECT_EQ(p.playout.underruns(), 1u);
  EXPECT_EQ(p.out[0], 0.0f);
  p.produce(5 * 160);  // what was held up comes at once
  EXPECT_EQ(p.play(), 160u);
  EXPECT_EQ(p.out[0], 0.0f);  // fades in
  p.produce(160);
  EXPECT_EQ(p.play(), 160u);
  EXPECT_EQ(p.playout.underruns(), 1u);
  EXPECT_EQ(p.out[159] - static_cast<float>(p.made), -160.0f - 80.0f);
  EXPECT_EQ(p.playout.margin(), 240u);
  EXPECT_EQ(p.playout.played(), p.made - p.ring.readable());
}

TEST(Playout, AnUnderrunDoesNotClick) {
  Ring ring(4096);
  api::Playout playout(ring, {16000.0, 0, 0, false, false, false});
  std::vector<float> x(160, 0.5f), out(160);
  ring.write(x);
  playout.read(out);
  for (const std::size_t left : {0, 10, 100}) {
    ring.write({x.data(), 160});
    playout.read(out);
    ring.write({x.data(), left});
    std::vector<float> heard = out;
    playout.read(out);
    heard.insert(heard.end(), out.begin(), out.end());
    playout.read(out);
    heard.insert(heard.end(), out.begin(), out.end());
    for (std::size_t i = 1; i < heard.size(); ++i) {
      ASSERT_LT(std::fabs(heard[i] - heard[i - 1]), 0.02f) << left << " left, sample " << i;
    }
    EXPECT_EQ(heard.back(), 0.0f);
    ring.write({x.data(), 160});  // and comes back softly, the margin has grown by 80
    ring.write({x.data(), 160});
    ring.write({x.data(), 160});
    playout.read(out);
    EXPECT_LT(std::fabs(out[0]), 0.02f);
    ring.skip(ring.readable());
    while (playout.playing()) playout.read(out);
    ring.write({x.data(), 160});
    for (int i = 0; i < 10 && !playout.playing(); ++i) {
      ring.write({x.data(), 160});
      playout.read(out);
    }
    ring.skip(ring.readable());
  }
}

TEST(Playout, ASurplusIsDroppedWithACrossFade) {
  Ring ring(65536);
  api::Playout playout(ring, {16000.0, 160, 0, false, false, false});
  std::vector<float> x(160), out(160);
  std::size_t at = 0;
  const auto produce = [&] {
    for (float& v : x) v = static_cast<float>(std::sin(0.02 * static_cast<double>(at++)));
    ring.write(x);
  };
  produce(), produce();
  float last = 0.0f;
  std::size_t most = 0;
  for (int i = 0; i < 300; ++i) {
    if (i == 100) {  // a device lost 50 ms: this much more lies in the ring from now on
      for (int k = 0; k < 5; ++k) produce();
    }
    playout.read(out);
    for (const float v : out) {
      ASSERT_LT(std::fabs(v - last), 0.06f) << i;
      last = v;
    }
    most = std::max(most, ring.readable());
    produce();
  }
  EXPECT_EQ(playout.underruns(), 0u);
  EXPECT_EQ(playout.dropped(), 800u);
  EXPECT_EQ(ring.readable(), 320u);
  EXPECT_GE(most, 960u);
}

TEST(Playout, AFileIsPlayedToItsEndAndNothingIsDropped) {
  Player p(160, true);
  p.produce(1000);
  p.playout.end();
  std::vector<float> heard;
  for (int i = 0; i < 10 && !p.playout.done(); ++i) {
    p.play();
    heard.insert(heard.end(), p.out.begin(), p.out.end());
  }
  ASSERT_TRUE(p.playout.done());
  ASSERT_GE(heard.size(), 1000u);
  for (std::size_t i = 0; i < heard.size(); ++i) {
    ASSERT_EQ(heard[i], i < 1000 ? static_cast<float>(i + 1) : 0.0f) << i;
  }
  EXPECT_EQ(p.playout.underruns(), 0u);
}

TEST(Playout, AFileAsOutputGetsWhatIsReady) {
  Player p(160, true, true);
  EXPECT_EQ(p.play(), 0u);
  p.produce(100);
  EXPECT_EQ(p.play(), 100u);
  EXPECT_FALSE(p.playout.done());
  p.playout.end();
  EXPECT_EQ(p.play(), 0u);
  EXPECT_TRUE(p.playout.done());
  EXPECT_EQ(p.playout.underruns(), 0u);
}

}  // namespace
}  // namespace pyvoc::testing
