#include "dsp/pitch_tracker.h"

#include <algorithm>
#include <cstring>

namespace pyvoc::dsp {
namespace {

constexpr float kNever = -1e15f;
constexpr float kJumpCost = 6.0f;
constexpr float kMoveCost = 0.02f;
constexpr float kHalvingMargin = 1.1f;
constexpr float kHalvingPenalty = 0.8f;
constexpr double kHalvingMargin2019 = 1.1;  // rounded once, from double
constexpr double kHalvingPenalty2019 = 0.8;
constexpr int kGuarded = kMaxPeriod - 2 * kMinPeriod;  // candidates whose half period is one too

// A lag whose half correlates nearly as well is a multiple of the period: weaken it.
void weaken_multiples(Recipe recipe, float* xc) PYVOC_RT {
  float half[kGuarded];
  for (int k = 0; k < kGuarded / 2; ++k) {
    const float pair = std::max(xc[128 + k], xc[129 + k]);
    half[2 * k] = std::max(pair, xc[127 + k]);
    half[2 * k + 1] = pair;
  }
  if (recipe == Recipe::kLatest) {
    for (int i = 0; i < kGuarded; ++i) {
      const float weak = xc[i] * kHalvingPenalty;
      xc[i] = xc[i] < half[i] * kHalvingMargin ? weak : xc[i];
    }
  } else {
    for (int i = 0; i < kGuarded; ++i) {
      if (xc[i] < half[i] * kHalvingMargin2019) {
        xc[i] = static_cast<float>(xc[i] * kHalvingPenalty2019);
      }
    }
  }
}

}  // namespace

PitchTracker::PitchTracker(Recipe recipe, const kernels::KernelTable& table)
    : recipe_(recipe), kernels_(&table) {
  for (int j = 0; j < kLags; ++j) {
    const float distance = static_cast<float>(j);
    cost_[j] = kMoveCost * distance * distance;
  }
  reset();
}

void PitchTracker::reset() PYVOC_RT {
  std::memset(step_, 0, sizeof step_);
  for (Step& step : step_) {
    for (int i = 0; i < kReach; ++i) {
      step.score[i] = step.score[kReach + kLags + i] = kNever;
    }
    step.jump = -kJumpCost;
  }
}

int PitchTracker::origin_latest(const Step& from, int candidate) const PYVOC_RT {
  float best = from.jump;
  int origin = from.jump_from;
  for (int j = -kReach; j <= kReach; ++j) {
    const float score = from.score[kReach + candidate + j] - cost_[j < 0 ? -j : j];
    if (score > best) {
      best = score;
      origin = candidate + j;
    }
  }
  return origin;
}

// The 2019 search, for each candidate, walks predecessors from candidate 4 (from the candidate
// itself if that is less) up to 4 beyond, and compares a predecessor's score before its cost is
// taken off with the best after. Beyond a distance whose cost exceeds the spread of the scores
// every predecessor replaces the one before, if any has beaten the jump: the walk starts there.
void PitchTracker::advance_2019(const Step& from, const float* gain, float weight,
                                float* next) const PYVOC_RT {
  const float* score = from.score + kReach;
  const auto [low, high] = std::minmax_element(score, score + kLags);
  const float spread = (*high - *low) * 1.001f + 1e-3f;
  int far = kReach;
  while (far < kLags - 1 && cost_[far] <= spread) ++far;

  float padded[kLags + kLags + kReach];  // candidates below 4 are no predecessors here
  float* past = padded + kLags;
  std::fill(padded, past + kReach, kNever);
  std::copy(score + kReach, score + kLags + kReach, past + kReach);
  float best[kLags];
  float before = kNever;  // the best score up to the candidate `far` back
  for (int i = 0; i < kLags; ++i) {
    const int k = i - far;
    if (k >= kReach) before = std::max(before, past[k]);
    best[i] = before > from.jump ? past[k] - cost_[far] : from.jump;
  }
  for (int j = 1 - far; j <= kReach; ++j) {
    const float cost = cost_[j < 0 ? -j : j];
    const float* x = past + j;
    for (int i = 0; i < kLags; ++i) best[i] = x[i] > best[i] ? x[i] - cost : best[i];
  }
  for (int i = 0; i < kLags; ++i) next[i] = best[i] + weight * gain[i];
  for (int i = 0; i <= kReach; ++i) {
    const int origin = origin_2019(from, i);
    next[i] = (origin < 0 ? from.jump : score[origin] - cost_[origin - i]) + weight * gain[i];
  }
}

int PitchTracker::origin_2019(const Step& from, int candidate) const PYVOC_RT {
  const float* score = from.score + kReach;
  float best = from.jump;
  int origin = -1;
  const int last = std::min(candidate + kReach, kLags - 1);
  for (int k = candidate <= kReach ? candidate : kReach; k <= last; ++k) {
    if (score[k] > best) {
      best = score[k] - cost_[k < candidate ? candidate - k : k - candidate];
      origin = k;
    }
  }
  return origin;
}

PitchDecision PitchTracker::decide(int halves, float (*correlation)[kMaxPeriod],
                                   float* energy) PYVOC_RT {
  float sum = 1e-15f;
  for (int h = 0; h < halves; ++h) sum += energy[h];
  const float scale = static_cast<float>(halves) / sum;
  for (int h = 0; h < halves; ++h) energy[h] *= scale;

  int best = 0;
  for (int h = 0; h < halves; ++h) {
    weaken_multiples(recipe_, correlation[h]);
    Step& to = step_[h + 1];
    float* score = to.score + kReach;
    if (recipe_ == Recipe::kLatest) {
      kernels_->path_step_f32(step_[h].score + kReach, step_[h].jump, cost_, kReach, correlation[h],
                              energy[h], kLags, score);
    } else {
      advance_2019(step_[h], correlation[h], energy[h], score);
    }
    float top;
    kernels_->lower_f32(score, kLags, &top);
    // The best candidate is now the first that is zero: a difference vanishes between equals only.
    best = static_cast<int>(std::find(score, score + kLags - 1, 0.0f) - score);
    to.jump = top - kJumpCost;
    to.jump_from = best;
  }

  PitchDecision decision{};
  decision.correlation = 0.0f;
  for (int h = halves - 1; h >= 0; --h) {
    decision.period[h] = kMaxPeriod - best;
    decision.correlation += energy[h] * correlation[h][best];
    if (recipe_ == Recipe::kLatest) {
      best = origin_latest(step_[h], best);
    } else {
      const int origin = origin_2019(step_[h], best);
      best = origin < 0 ? step_[h].jump_from : origin;
    }
  }
  decision.correlation /= static_cast<float>(halves);
  step_[0] = step_[halves];
  return decision;
}

}  // namespace pyvoc::dsp
