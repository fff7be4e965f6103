#include "api/stream.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/denormals.h"

namespace pyvoc::api {
namespace {

constexpr std::size_t kBatch = 16;  // streams handed to the model at once

}  // namespace

Stream::Stream(std::shared_ptr<const models::Vocoder> vocoder, std::uint64_t seed,
               std::size_t capacity_frames, int threads, int lookahead)
    : vocoder_(std::move(vocoder)),
      session_(vocoder_->open(seed, threads)),
      dims_(static_cast<std::size_t>(vocoder_->info().feature_dims)),
      hop_(static_cast<std::size_t>(vocoder_->info().hop_length)),
      block_(static_cast<std::size_t>(vocoder_->info().block_frames)),
      lookahead_(lookahead),
      by_sample_(vocoder_->info().sample_by_sample),
      hops_(by_sample_ ? 0 : block_ * hop_) {
  if (ahead()) session_->set_lookahead(lookahead_);
  reserve(capacity_frames);
}

void Stream::reserve(std::size_t frames) {
  const std::size_t wanted = waiting_ + frames;
  if (wanted <= capacity_) return;
  if (frames > queue_.max_size() / dims_ / 2 - waiting_) throw std::bad_alloc();
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
  const std::uint64_t hops = flushed_ ? pushed_ : pushed_ - std::min(pushed_, lookahead);
  const std::size_t left = static_cast<std::size_t>(hops - produced_) * hop_;
  const std::size_t samples = left + (hops_size_ - hops_used_);
  return samples - std::min(samples, skip_);
}

Code Stream::skip(std::size_t n) PYVOC_RT {
  if (!by_sample_) return Code::kUnsupported;
  skip_ += std::min(n, std::numeric_limits<std::size_t>::max() - skip_);
  return Code::kOk;
}

bool Stream::has_work() const PYVOC_RT { return waiting_ > 0 || (flushed_ && produced_ < pushed_); }

int Stream::next_frames(std::size_t samples, const float** frames) PYVOC_RT {
  const std::size_t wanted = (samples + hop_ - 1) / hop_;
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

std::size_t Stream::take(Span<float> samples) PYVOC_RT {
  std::size_t taken = 0;
  for (;;) {
    const std::size_t n = std::min(samples.size() - taken, hops_size_ - hops_used_);
    if (n > 0) std::memcpy(samples.data() + taken, hops_.data() + hops_used_, sizeof(float) * n);
    hops_used_ += n;
    taken += n;
    if (taken == samples.size() || produced_ >= due_) return taken;
    buffered(session_->preview(hops_.data()));
  }
}

void Stream::buffered(int hops) PYVOC_RT {
  produced_ += static_cast<std::uint64_t>(hops);
  hops_size_ = static_cast<std::size_t>(hops) * hop_;
  hops_used_ = 0;
}

bool Stream::open_hop() PYVOC_RT {
  for (;;) {
    const std::size_t left_out = std::min(skip_, hops_size_ - hops_used_);
    hops_used_ += left_out;
    skip_ -= left_out;
    if (hops_used_ < hops_size_) return true;
    if (!has_work()) return false;
    const float* frame = nullptr;
    const int n = next_frames(1, &frame);
    if (session_->begin_hop(n > 0 ? frame : nullptr)) buffered(1);
  }
}

std::size_t Stream::pull(Span<float> samples) PYVOC_RT {
  const DenormalGuard guard;
  std::size_t written = 0;
  if (by_sample_) {
    Stream* self = this;
    float* const data = samples.data();
    pull_samples(&self, 1, &data, samples.size(), &written);
    return written;
  }
  for (;;) {
    written += take(samples.subspan(written, samples.size() - written));
    if (written == samples.size() || !has_work()) return written;
    const float* frames = nullptr;
    const int n = next_frames(samples.size() - written, &frames);
    buffered(n > 0 ? session_->process(frames, n, hops_.data()) : session_->finish(hops_.data()));
  }
}

void Stream::pull_batch(Stream* const* streams, std::size_t n, float* const* samples,
                        std::size_t capacity, std::size_t* written) PYVOC_RT {
  const DenormalGuard guard;
  std::fill(written, written + n, std::size_t{0});
  for (std::size_t first = 0; first < n; first += kBatch) {
    const std::size_t count = std::min(kBatch, n - first);
    const auto pull = streams[first]->by_sample_ ? pull_samples : pull_hops;
    pull(streams + first, count, samples + first, capacity, written + first);
  }
}

// n <= kBatch, as below.
void Stream::pull_hops(Stream* const* streams, std::size_t n, float* const* samples,
                       std::size_t capacity, std::size_t* written) PYVOC_RT {
  for (;;) {
    Stream* active[kBatch];
    models::Session* sessions[kBatch];
    const float* frames[kBatch];
    int counts[kBatch];
    float* hops[kBatch];
    int produced[kBatch];
    std::size_t m = 0;
    for (std::size_t i = 0; i < n; ++i) {
      Stream& stream = *streams[i];
      written[i] += stream.take(Span<float>(samples[i] + written[i], capacity - written[i]));
      if (written[i] == capacity || !stream.has_work()) continue;
      active[m] = &stream;
      sessions[m] = stream.session_.get();
      counts[m] = stream.next_frames(capacity - written[i], &frames[m]);
      hops[m] = stream.hops_.data();
      ++m;
    }
    if (m == 0) return;
    streams[0]->vocoder_->process_batch(sessions, frames, counts, hops, produced, m);
    for (std::size_t k = 0; k < m; ++k) active[k]->buffered(produced[k]);
  }
}

// All go on by the same number of samples, wherever in their hops they are.
void Stream::pull_samples(Stream* const* streams, std::size_t n, float* const* samples,
                          std::size_t capacity, std::size_t* written) PYVOC_RT {
  for (;;) {
    std::size_t active[kBatch];
    models::Session* sessions[kBatch];
    int at[kBatch];
    float* next[kBatch];
    std::size_t m = 0, count = capacity;
    for (std::size_t i = 0; i < n; ++i) {
      Stream& stream = *streams[i];
      if (written[i] == capacity || !stream.open_hop()) continue;
      active[m] = i;
      sessions[m] = stream.session_.get();
      at[m] = static_cast<int>(stream.hops_used_);
      next[m] = samples[i] + written[i];
      count = std::min({count, capacity - written[i], stream.hops_size_ - stream.hops_used_});
      ++m;
    }
    if (m == 0) return;
    streams[0]->vocoder_->run(sessions, at, next, static_cast<int>(count), m);
    for (std::size_t k = 0; k < m; ++k) {
      streams[active[k]]->hops_used_ += count;
      written[active[k]] += count;
    }
  }
}

void Stream::reset(std::uint64_t seed) PYVOC_RT {
  const DenormalGuard guard;
  session_->reset(seed);
  head_ = waiting_ = 0;
  hops_size_ = hops_used_ = skip_ = 0;
  pushed_ = produced_ = due_ = 0;
  flushed_ = false;
}

std::size_t Stream::latency_samples() const PYVOC_RT {
  return static_cast<std::size_t>(lookahead_) * hop_;
}

}  // namespace pyvoc::api
