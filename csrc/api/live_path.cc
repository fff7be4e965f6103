#include "api/live_path.h"

#include <algorithm>
#include <utility>

#include "api/extractors.h"

namespace pyvoc::api {
namespace {

std::size_t hop_of(const models::Vocoder& vocoder) {
  return static_cast<std::size_t>(vocoder.info().hop_length);
}

// Longer than the padding and the window of any recipe.
constexpr std::size_t kLongSignal = 40000;

// How frames come out of an extractor that gets n samples at a time, at any place of a signal.
struct Pace {
  std::size_t most = 1;  // frames that come together, when the signal ends too if `flush`
  std::size_t held = 0;  // samples that were pushed and are in no whole hop of the frames so far
};

Pace pace_of(dsp::FeatureExtractor& extractor, std::size_t n, bool flush) {
  const std::vector<float> zeros(n);
  std::vector<float> frames;
  Pace pace;
  std::size_t given = 0;  // samples in hops of the frames so far
  for (std::size_t at = 0; at < kLongSignal; at += n) {
    pace.most =
        std::max({pace.most, extractor.frames_after(n), flush ? extractor.frames_after(0) : 1});
    std::size_t before = 0;  // samples of these that complete nothing
    while (before < n && extractor.frames_after(before + 1) == 0) ++before;
    pace.held = std::max(pace.held, at + before - std::min(at + before, given));
    frames.resize(pace.most * extractor.dims());
    given += extractor.push(zeros, frames.data()) * extractor.hop_length();
  }
  extractor.reset();
  return pace;
}

}  // namespace

LivePath::LivePath(std::shared_ptr<const models::Vocoder> vocoder,
                   std::unique_ptr<dsp::FeatureExtractor> extractor, const dsp::VoiceShift& shift,
                   const LiveSettings& settings, Ring& output)
    : stream_(vocoder, {settings.seed, settings.threads, {}, {}}, 0),
      extractor_(std::move(extractor)),
      shift_(shift),
      output_(output),
      seed_(settings.seed),
      bypass_(settings.bypass),
      input_rate_(settings.input_rate),
      output_rate_(settings.output_rate),
      model_rate_(bypass_ ? settings.input_rate
                          : static_cast<double>(vocoder->info().sample_rate)) {
  if (input_rate_ != model_rate_) to_model_.emplace(input_rate_, model_rate_);
  if (output_rate_ != model_rate_ || settings.two_clocks) {
    to_output_.emplace(model_rate_, output_rate_);
  }
  const std::size_t at_once =
      to_model_ ? to_model_->most(std::max(kPiece, to_model_->latency())) : kPiece;
  at_model_rate_.resize(at_once);
  const std::size_t hop = hop_of(*vocoder);
  const std::size_t frames = pace_of(*extractor_, at_once, true).most;
  const Pace pace = pace_of(*extractor_, hop / 2 + 1, false);
  group_ = pace.most;
  held_ = pace.held;
  frames_.resize(frames * extractor_->dims());
  last_frame_.resize(frame_dims());
  stream_.reserve(frames + kMostChunk);
  samples_.resize(std::max({kMostChunk * hop, kPiece, at_once}));
  most_out_ = samples_.size();
  if (to_output_) most_out_ = to_output_->most(std::max(most_out_, to_output_->latency()));
  out_.resize(most_out_);
}

double LivePath::frame_seconds() const {
  const models::VocoderInfo& info = stream_.vocoder().info();
  return static_cast<double>(info.hop_length) / info.sample_rate;
}

void LivePath::add(float* frame) PYVOC_RT {
  const std::size_t dims = frame_dims();
  shift_.apply(frame);
  Code code = stream_.push({frame, 1, dims});
  if (code == Code::kFeature) {
    bad_frames_.store(bad_frames() + 1, std::memory_order_relaxed);
    code = stream_.push({last_frame_.data(), 1, dims});
  } else {
    std::copy(frame, frame + dims, last_frame_.begin());
  }
  if (code == Code::kOk) ++waiting_;
}

void LivePath::push_frame(const float* frame) PYVOC_RT {
  std::copy(frame, frame + frame_dims(), frames_.begin());
  add(frames_.data());
}

void LivePath::push_at_model_rate(Span<const float> pcm) PYVOC_RT {
  if (bypass_) {
    std::copy(pcm.begin(), pcm.end(), samples_.begin());
    bypass_size_ = pcm.size();
    return;
  }
  const std::size_t n = extractor_->push(pcm, frames_.data());
  for (std::size_t i = 0; i < n; ++i) add(frames_.data() + i * extractor_->dims());
}

void LivePath::push(Span<const float> pcm) PYVOC_RT {
  if (!to_model_) return push_at_model_rate(pcm);
  const std::size_t n = to_model_->push(pcm, at_model_rate_.data());
  push_at_model_rate({at_model_rate_.data(), n});
}

void LivePath::finish() PYVOC_RT {
  if (to_model_) {
    const std::size_t n = to_model_->flush(at_model_rate_.data());
    push_at_model_rate({at_model_rate_.data(), n});
  }
  flushed_ = true;
  if (bypass_) return;
  const std::size_t n = extractor_->flush(frames_.data());
  for (std::size_t i = 0; i < n; ++i) add(frames_.data() + i * extractor_->dims());
  stream_.flush();
}

void LivePath::put(Span<const float> samples) PYVOC_RT {
  produced_ += to_output_ ? output_.write({out_.data(), to_output_->push(samples, out_.data())})
                          : output_.write(samples);
}

bool LivePath::drain() PYVOC_RT {
  for (;;) {
    if (output_.writable() < most_out_) return false;
    std::size_t n = bypass_size_;
    if (!bypass_) {
      if (waiting_ < chunk_ && !flushed_) return true;
      n = stream_.pull({samples_.data(), chunk_ * hop_of(stream_.vocoder())});
      waiting_ -= std::min(waiting_, chunk_);
    }
    bypass_size_ = 0;
    if (n > 0) {
      put({samples_.data(), n});
      continue;
    }
    if (bypass_ || flushed_ || waiting_ < chunk_) {
      if (flushed_ && to_output_) {
        flushed_ = false;
        produced_ += output_.write({out_.data(), to_output_->flush(out_.data())});
      }
      return true;
    }
  }
}

void LivePath::reset() PYVOC_RT {
  if (to_model_) to_model_->reset();
  if (to_output_) to_output_->reset();
  extractor_->reset();
  stream_.reset(seed_);
  waiting_ = bypass_size_ = 0;
  bad_frames_.store(0, std::memory_order_relaxed);
  flushed_ = false;
  produced_ = 0;
}

LiveDelays LivePath::delays() const PYVOC_RT {
  LiveDelays d;
  if (to_model_) d.input_resampler = static_cast<double>(to_model_->latency()) / input_rate_;
  if (to_output_) d.output_resampler = static_cast<double>(to_output_->latency()) / model_rate_;
  if (!bypass_) {
    const std::size_t late = std::max(extractor_->latency_samples(), extractor_->hop_length());
    d.extractor = static_cast<double>(late - extractor_->hop_length()) / model_rate_;
    d.lookahead = static_cast<double>(stream_.latency_samples()) / model_rate_;
  }
  return d;
}

Result<LivePathAndRing> make_live_path(const pyvoc_model& model, const LiveSettings& settings,
                                       std::size_t waiting) {
  const dsp::VoiceShift shift =
      model.mel ? dsp::VoiceShift(*model.mel)
                : dsp::VoiceShift(*dsp::find_layout(model.vocoder->info().feature_layout));
  const auto path_to = [&](Ring& ring) -> Result<std::unique_ptr<LivePath>> {
    auto extractor = make_extractor(model);
    if (!extractor.ok()) return extractor.status();
    return std::make_unique<LivePath>(model.vocoder, std::move(extractor.value()), shift, settings,
                                      ring);
  };
  // The ring's size wants the path's burst: a path with a ring of one sample tells it.
  Ring none(1);
  const auto first = path_to(none);
  if (!first.ok()) return first.status();
  LivePathAndRing made;
  made.output = std::make_unique<Ring>(2 * first.value()->burst() + waiting);
  auto path = path_to(*made.output);
  if (!path.ok()) return path.status();
  made.path = std::move(path.value());
  return made;
}

}  // namespace pyvoc::api
