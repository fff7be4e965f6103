#include "dsp/train_dump.h"

#include <algorithm>
#include <cmath>

#include "dsp/biquad.h"
#include "dsp/mulaw.h"

namespace pyvoc::dsp {
namespace {

constexpr double kTiltRange = 0.75;
constexpr double kLaplaceScale = 0.707;
constexpr float kRandMax = static_cast<float>(GlibcRand::kMax);
constexpr float kSilenceEnergy = 5000.0f;
constexpr float kSpeechEnergy = 20000.0f;  // hysteresis: silence ends above it

std::int16_t to_s16(float x) PYVOC_RT {
  const double rounded = std::floor(0.5 + static_cast<double>(x));
  return static_cast<std::int16_t>(std::clamp(rounded, -32767.0, 32767.0));
}

// Uniform in 0..1 with single-precision rounding, as upstream divides.
float unit(GlibcRand& random) PYVOC_RT { return static_cast<float>(random.next()) / kRandMax; }

float tilt_coefficient(GlibcRand& random) PYVOC_RT {
  const double u = random.next() / static_cast<double>(GlibcRand::kMax) - 0.5;
  return static_cast<float>(kTiltRange * static_cast<double>(static_cast<float>(u)));
}

}  // namespace

bool TrainDump::accept(const std::int16_t* pcm) PYVOC_RT {
  std::copy(next_, next_ + kFrame, now_);
  std::copy(pcm, pcm + kFrame, next_);
  if (!training_ || recipe_ == Recipe::kLatest) return true;
  float energy = 0.0f;
  for (int i = 0; i < kFrame; ++i) {
    energy += static_cast<float>(next_[i]) * static_cast<float>(next_[i]);
  }
  const bool silent = energy < kSilenceEnergy || (was_silent_ && energy < kSpeechEnergy);
  if (!was_silent_ && silent) std::copy(now_, now_ + kFrame, faded_);
  if (was_silent_ && !silent) {
    for (int i = 0; i < kFrame; ++i) {
      const float f = static_cast<float>(i) / kFrame;
      const float in = f * static_cast<float>(next_[i]);
      const float out = (1.0f - f) * static_cast<float>(faded_[i]);
      next_[i] = static_cast<std::int16_t>(
          std::floor(0.5 + static_cast<double>(in) + static_cast<double>(out)));
    }
  }
  const bool keep = !was_silent_;
  was_silent_ = silent;
  return keep;
}

void TrainDump::redraw() PYVOC_RT {
  const int lowest_db = recipe_ == Recipe::kLatest ? -30 : -20;
  gain_ = static_cast<float>(std::pow(10.0, (lowest_db + random_.next() % 40) / 20.0));
  if (recipe_ == Recipe::kLatest && (random_.next() & 1)) gain_ = -gain_;
  if (random_.next() % 20 == 0) gain_ = static_cast<float>(gain_ * 0.01);
  if (random_.next() % 100 == 0) gain_ = 0.0f;
  for (float* c : {&tilt_a_[0], &tilt_a_[1], &tilt_b_[0], &tilt_b_[1]}) {
    *c = tilt_coefficient(random_);
  }
  const float u = unit(random_);
  if (recipe_ == Recipe::kLatest) {
    const float v = unit(random_);
    const double std = -1.5 * std::log(1e-4 + static_cast<double>(u)) -
                       0.5 * std::log(1e-4 + static_cast<double>(v));
    noise_std_ = static_cast<float>(std::fabs(std));
  } else {
    noise_std_ = 10.0f * u * u;
  }
}

// Laplace noise in mu-law steps.
void TrainDump::draw_noise(int* noise) PYVOC_RT {
  for (int i = 0; i < kFrame; ++i) {
    const float first = log_approx(unit(random_));
    const float second = log_approx(unit(random_));
    const double x = noise_std_ * kLaplaceScale * static_cast<double>(first - second);
    noise[i] = static_cast<int>(std::floor(0.5 + x));
  }
}

int TrainDump::process() PYVOC_RT {
  if (training_ && ++since_redraw_ > kRedrawFrames) {
    redraw();
    since_redraw_ = 0;
  }
  float x[kFrame];
  for (int i = 0; i < kFrame; ++i) x[i] = now_[i];
  biquad(x, kFrame, high_pass_, kHighPassB, kHighPassA);
  biquad(x, kFrame, tilt_, tilt_b_, tilt_a_);
  const auto apply_gain = [&] {
    for (int i = 0; i < kFrame; ++i) {
      const float f = static_cast<float>(i) / kFrame;
      x[i] *= f * gain_ + (1.0f - f) * old_gain_;
    }
  };
  if (recipe_ == Recipe::kLatest) apply_gain();
  for (int i = 0; i < kFrame; ++i) {
    const float y = x[i] + preemphasis_;
    preemphasis_ = -kPreemphasis * x[i];
    x[i] = y;
  }
  if (recipe_ == Recipe::k2019) apply_gain();
  for (int i = 0; i < kFrame; ++i) {
    x[i] = static_cast<float>(x[i] + (static_cast<double>(unit(random_)) - 0.5));
  }

  std::int16_t* pcm = pcm_[slot_];
  std::copy(late_, late_ + kHalfFrame, pcm);
  for (int i = 0; i < kHalfFrame; ++i) {
    pcm[kHalfFrame + i] = to_s16(x[i]);
    late_[i] = to_s16(x[kHalfFrame + i]);
  }
  const int rows = analysis_.frame(x);
  if (training_) draw_noise(noise_[slot_]);
  old_gain_ = gain_;

  const int slot = slot_;
  slot_ = (slot_ + 1) % kSuperframe;
  if (!training_) return rows;
  if (recipe_ == Recipe::kLatest) {
    // Upstream's writer takes the predictor of the group's first frame for all four.
    const float* lpc = analysis_.rows() + analysis_.lpc_column();
    if (slot == 0) std::copy(lpc, lpc + kLpcOrder, group_lpc_);
    write_latest(pcm, group_lpc_, noise_[slot], data_);
  } else {
    for (int k = 0; k < rows; ++k) {
      const float* lpc = analysis_.rows() + k * analysis_.row_size() + analysis_.lpc_column();
      write_2019(pcm_[k], lpc, noise_[k], data_ + k * kDumpBytesPerFrame);
    }
  }
  return rows;
}

void TrainDump::write_latest(const std::int16_t* pcm, const float* lpc, const int* noise,
                             std::uint8_t* out) PYVOC_RT {
  for (int i = 0; i < kFrame; ++i) {
    const auto heard = static_cast<std::uint16_t>(to_s16(excitation_.signal()));
    const auto clean = static_cast<std::uint16_t>(pcm[i]);
    out[4 * i] = static_cast<std::uint8_t>(heard & 255);
    out[4 * i + 1] = static_cast<std::uint8_t>(heard >> 8);
    out[4 * i + 2] = static_cast<std::uint8_t>(clean & 255);
    out[4 * i + 3] = static_cast<std::uint8_t>(clean >> 8);
    excitation_.accept(static_cast<float>(pcm[i]), excitation_.predict(lpc), noise[i]);
  }
}

void TrainDump::write_2019(const std::int16_t* pcm, const float* lpc, const int* noise,
                           std::uint8_t* out) PYVOC_RT {
  for (int i = 0; i < kFrame; ++i) {
    const float p = excitation_.predict(lpc);
    out[4 * i] = static_cast<std::uint8_t>(mulaw_encode(excitation_.signal()));
    out[4 * i + 1] = static_cast<std::uint8_t>(mulaw_encode(p));
    out[4 * i + 2] = static_cast<std::uint8_t>(excitation_.code());
    out[4 * i + 3] =
        static_cast<std::uint8_t>(excitation_.accept(static_cast<float>(pcm[i]), p, noise[i]));
  }
}

}  // namespace pyvoc::dsp
