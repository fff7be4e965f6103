#include "api/stream.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/arena.h"
#include "base/denormals.h"
#include "kernels/resolve.h"

namespace pyvoc::api {
namespace {

constexpr std::size_t kBatch = 16;  // streams handed to the model at once

}  // namespace

Stream::Stream(std::shared_ptr<const models::Vocoder> vocoder,
               const models::SessionSettings& settings, std::size_t capacity_frames)
    : vocoder_(std::move(vocoder)),
      session_(vocoder_->open(settings)),
      dims_(static_cast<std::size_t>(vocoder_->info().feature_dims)),
      hop_(static_cast<std::size_t>(vocoder_->info().hop_length)),
      block_(static_cast<std::size_t>(vocoder_->info().block_frames)),
      early_(static_cast<std::size_t>(vocoder_->info().early_samples)),
      lookahead_(settings.lookahead.value_or(vocoder_->info().lookahead_frames)),
      lead_(early_) {
  const models::VocoderInfo& info = vocoder_->info();
  if (info.comb > 0.0f) {
    comb_.emplace(info.comb, info.sample_rate, info.hop_length, *kernels::active_table().value());
    combed_.resize(hop_);
  }
  reserve(capacity_frames);
}

void Stream::reserve(std::size_t frames) {
  if (frames > queue_.max_size() / dims_ / 2 - waiting_) out_of_memory();
  const std::size_t wanted = waiting_ + frames;
  if (wanted <= capacity_) return;
  std::vector<float> queue(wanted * dims_);
  std::vector<char> ends(wanted);
  for (std::size_t i = 0; i < waiting_; ++i) {
    const std::size_t slot = (head_ + i) % capacity_;
    const float* from = queue_.data() + slot * dims_;
    std::copy(from, from + dims_, queue.data() + i * dims_);
    ends[i] = ends_[slot];
  }
  queue_.swap(queue);
  ends_.swap(ends);
  capacity_ = wanted;
  head_ = 0;
}

Code Stream::push(Matrix<const float> frames) PYVOC_RT {
  if (flushed_) return Code::kState;
  if (frames.rows() > capacity_ - waiting_) return Code::kFull;
  for (std::size_t i = 0; i < frames.rows(); ++i) {
    if (!vocoder_->valid_frame(frames.data() + i * frames.stride())) return Code::kFeature;
  }
  for (std::size_t i = 0; i < frames.rows(); ++i) {
    const std::size_t slot = (head_ + waiting_) % capacity_;
    std::memcpy(queue_.data() + slot * dims_, frames.data() + i * frames.stride(),
                sizeof(float) * dims_);
    ends_[slot] = i + 1 == frames.rows() ? 1 : 0;
    ++waiting_;
  }
  pushed_ += frames.rows();
  return Code::kOk;
}

std::size_t Stream::available() const PYVOC_RT {
  const auto lookahead = static_cast<std::uint64_t>(lookahead_);
  const std::uint64_t hops = flushed_ ? all_hops() : pushed_ - std::min(pushed_, lookahead);
  std::size_t left = static_cast<std::size_t>(hops - produced_) * hop_;
  if (left > 0) left -= lead_ + (flushed_ ? beyond() : 0);
  const std::size_t samples = left + (begun_ - used_);
  return samples - std::min(samples, skip_);
}

Code Stream::skip(std::size_t n) PYVOC_RT {
  if (!vocoder_->info().foldable) return Code::kUnsupported;
  skip_ += std::min(n, std::numeric_limits<std::size_t>::max() - skip_);
  return Code::kOk;
}

Code Stream::prime(Span<const float> samples, Matrix<const float> frames) PYVOC_RT {
  if (vocoder_->info().prime_samples == 0) return Code::kUnsupported;
  if (pushed_ > 0 || flushed_) return Code::kState;
  for (const float x : samples) {
    if (!(x >= -1.0f && x <= 1.0f)) return Code::kArgument;
  }
  for (std::size_t i = 0; i < frames.rows(); ++i) {
    if (!vocoder_->valid_frame(frames.data() + i * frames.stride())) return Code::kFeature;
  }
  const DenormalGuard guard;
  session_->prime(samples.data(), frames);
  // As if the look-ahead's frames had been pushed and what they begin had been heard.
  pushed_ = static_cast<std::uint64_t>(lookahead_);
  lead_ = 0;
  return Code::kOk;
}

bool Stream::has_work() const PYVOC_RT {
  return waiting_ > 0 || (flushed_ && produced_ < all_hops());
}

int Stream::next_frames(std::size_t samples, const float** frames) PYVOC_RT {
  const std::size_t wanted = samples / hop_ + (samples % hop_ == 0 ? 0 : 1);
  std::size_t n = std::min({waiting_, wanted, block_, capacity_ - head_});
  bool ended = false;
  for (std::size_t i = 0; ahead() && i < n && !ended; ++i) {
    if (ends_[head_ + i] == 0) continue;
    ended = true;
    n = i + 1;
  }
  *frames = queue_.data() + head_ * dims_;
  head_ = (head_ + n) % std::max<std::size_t>(capacity_, 1);
  waiting_ -= n;
  const std::uint64_t taken = pushed_ - waiting_;
  if (ended) due_ = taken - std::min(taken, static_cast<std::uint64_t>(lookahead_));
  return static_cast<int>(n);
}

bool Stream::begin(std::size_t samples) PYVOC_RT {
  for (;;) {
    const std::size_t left_out = std::min(skip_, begun_ - used_);
    used_ += left_out;
    skip_ -= left_out;
    ready_ -= std::min(ready_, left_out);
    if (used_ < begun_) return true;
    int hops = 0;
    if (produced_ < due_) {
      hops = session_->finish(lookahead_);
    } else if (has_work()) {
      const float* frames = nullptr;
      const int n = next_frames(samples, &frames);
      hops = n > 0 ? session_->begin(frames, n) : session_->finish(0);
    } else {
      return false;
    }
    produced_ += static_cast<std::uint64_t>(hops);
    begun_ = static_cast<std::size_t>(hops) * hop_;
    used_ = 0;
    if (hops > 0) {
      used_ = lead_;
      lead_ = 0;
      if (flushed_ && produced_ == all_hops()) begun_ -= beyond();
    }
  }
}

std::size_t Stream::pull(Span<float> samples) PYVOC_RT {
  std::size_t written = 0;
  Stream* self = this;
  float* const data = samples.data();
  pull_batch(&self, 1, &data, samples.size(), &written);
  return written;
}

void Stream::pull_batch(Stream* const* streams, std::size_t n, float* const* samples,
                        std::size_t capacity, std::size_t* written) PYVOC_RT {
  const DenormalGuard guard;
  std::fill(written, written + n, std::size_t{0});
  for (std::size_t first = 0; first < n; first += kBatch) {
    const std::size_t count = std::min(kBatch, n - first);
    pull_group(streams + first, count, samples + first, capacity, written + first);
  }
}

// All go on by the same number of samples, wherever in their hops they are.
void Stream::pull_group(Stream* const* streams, std::size_t n, float* const* samples,
                        std::size_t capacity, std::size_t* written) PYVOC_RT {
  for (;;) {
    std::size_t active[kBatch];
    Stream* at_work[kBatch];
    float* next[kBatch];
    std::size_t m = 0, count = capacity;
    for (std::size_t i = 0; i < n; ++i) {
      Stream& stream = *streams[i];
      if (written[i] == capacity || !stream.begin(capacity - written[i])) continue;
      active[m] = i;
      at_work[m] = &stream;
      next[m] = samples[i] + written[i];
      count = std::min({count, capacity - written[i], stream.begun_ - stream.used_});
      if (stream.comb_) count = std::min(count, stream.rest());
      ++m;
    }
    if (m == 0) return;
    if (streams[0]->comb_) {
      comb_group(at_work, m);
      for (std::size_t k = 0; k < m; ++k) {
        std::copy_n(at_work[k]->combed_.end() - static_cast<std::ptrdiff_t>(at_work[k]->ready_),
                    count, next[k]);
        at_work[k]->ready_ -= count;
      }
    } else {
      run_group(at_work, m, next, count);
    }
    for (std::size_t k = 0; k < m; ++k) {
      at_work[k]->used_ += count;
      written[active[k]] += count;
    }
  }
}

void Stream::run_group(Stream* const* streams, std::size_t n, float* const* samples,
                       std::size_t count) PYVOC_RT {
  models::Session* sessions[kBatch];
  int at[kBatch];
  for (std::size_t i = 0; i < n; ++i) {
    sessions[i] = streams[i]->session_.get();
    at[i] = static_cast<int>(streams[i]->used_);
  }
  streams[0]->vocoder_->run(sessions, at, samples, static_cast<int>(count), n);
}

// Streams that have nothing ready get the rest of their hop, together where that is as long.
void Stream::comb_group(Stream* const* streams, std::size_t n) PYVOC_RT {
  for (;;) {
    Stream* same[kBatch];
    float* samples[kBatch];
    std::size_t m = 0, count = 0;
    for (std::size_t i = 0; i < n; ++i) {
      Stream& stream = *streams[i];
      if (stream.ready_ > 0 || (m > 0 && stream.rest() != count)) continue;
      count = stream.rest();
      samples[m] = stream.combed_.data() + stream.hop_ - count;
      same[m++] = &stream;
    }
    if (m == 0) return;
    run_group(same, m, samples, count);
    for (std::size_t i = 0; i < m; ++i) {
      same[i]->comb_->run(samples[i], static_cast<int>(count));
      same[i]->ready_ = count;
    }
  }
}

void Stream::reset(std::uint64_t seed) PYVOC_RT {
  const DenormalGuard guard;
  session_->reset(seed);
  if (comb_) comb_->reset();
  ready_ = 0;
  head_ = waiting_ = 0;
  begun_ = used_ = skip_ = 0;
  lead_ = early_;
  pushed_ = produced_ = due_ = 0;
  flushed_ = false;
}

std::size_t Stream::latency_samples() const PYVOC_RT {
  return static_cast<std::size_t>(lookahead_) * hop_ + early_;
}

}  // namespace pyvoc::api
