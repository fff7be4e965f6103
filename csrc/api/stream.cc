#include "api/stream.h"

#include <algorithm>
#include <cstring>

#include "base/denormals.h"

namespace pyvoc::api {
namespace {

constexpr std::size_t kBatch = 16;  // streams handed to the model at once

}  // namespace

Stream::Stream(std::shared_ptr<const models::Vocoder> vocoder, std::uint64_t seed,
               std::size_t capacity_frames)
    : vocoder_(std::move(vocoder)),
      session_(vocoder_->open(seed)),
      dims_(static_cast<std::size_t>(vocoder_->info().feature_dims)),
      hop_(static_cast<std::size_t>(vocoder_->info().hop_length)),
      hop_buffer_(hop_),
      hop_used_(hop_) {
  reserve(capacity_frames);
}

void Stream::reserve(std::size_t frames) {
  const std::size_t wanted = waiting_ + frames;
  if (wanted <= capacity_) return;
  if (frames > queue_.max_size() / dims_ / 2 - waiting_) throw std::bad_alloc();
  std::vector<float> queue(wanted * dims_);
  for (std::size_t i = 0; i < waiting_; ++i) {
    const float* from = queue_.data() + (head_ + i) % capacity_ * dims_;
    std::copy(from, from + dims_, queue.data() + i * dims_);
  }
  queue_.swap(queue);
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
    std::memcpy(queue_.data() + (head_ + waiting_) % capacity_ * dims_,
                frames.data() + i * frames.stride(), sizeof(float) * dims_);
    ++waiting_;
  }
  pushed_ += frames.rows();
  return Code::kOk;
}

std::size_t Stream::available() const PYVOC_RT {
  const std::uint64_t lookahead = static_cast<std::uint64_t>(vocoder_->info().lookahead_frames);
  const std::uint64_t hops = flushed_ ? pushed_ : pushed_ - std::min(pushed_, lookahead);
  return static_cast<std::size_t>(hops - produced_) * hop_ + (hop_ - hop_used_);
}

bool Stream::has_work() const PYVOC_RT { return waiting_ > 0 || (flushed_ && produced_ < pushed_); }

const float* Stream::next_frame() PYVOC_RT {
  if (waiting_ == 0) return nullptr;
  const float* frame = queue_.data() + head_ * dims_;
  head_ = (head_ + 1) % capacity_;
  --waiting_;
  return frame;
}

std::size_t Stream::take(Span<float> samples) PYVOC_RT {
  const std::size_t n = std::min(samples.size(), hop_ - hop_used_);
  if (n > 0) std::memcpy(samples.data(), hop_buffer_.data() + hop_used_, sizeof(float) * n);
  hop_used_ += n;
  return n;
}

void Stream::synthesize_hop() PYVOC_RT {
  const float* frame = next_frame();
  const bool produced = frame != nullptr ? session_->process(frame, hop_buffer_.data())
                                         : session_->finish(hop_buffer_.data());
  if (produced) {
    ++produced_;
    hop_used_ = 0;
  }
}

std::size_t Stream::pull(Span<float> samples) PYVOC_RT {
  const DenormalGuard guard;
  std::size_t written = 0;
  for (;;) {
    written += take(samples.subspan(written, samples.size() - written));
    if (written == samples.size() || !has_work()) return written;
    synthesize_hop();
  }
}

void Stream::pull_batch(Stream* const* streams, std::size_t n, float* const* samples,
                        std::size_t capacity, std::size_t* written) PYVOC_RT {
  const DenormalGuard guard;
  std::fill(written, written + n, std::size_t{0});
  for (std::size_t first = 0; first < n; first += kBatch) {
    const std::size_t count = std::min(kBatch, n - first);
    for (;;) {
      Stream* active[kBatch];
      models::Session* sessions[kBatch];
      const float* frames[kBatch];
      float* hops[kBatch];
      bool produced[kBatch];
      std::size_t m = 0;
      for (std::size_t i = first; i < first + count; ++i) {
        Stream& stream = *streams[i];
        written[i] += stream.take(Span<float>(samples[i] + written[i], capacity - written[i]));
        if (written[i] == capacity || !stream.has_work()) continue;
        active[m] = &stream;
        sessions[m] = stream.session_.get();
        frames[m] = stream.next_frame();
        hops[m] = stream.hop_buffer_.data();
        ++m;
      }
      if (m == 0) break;
      streams[first]->vocoder_->process_batch(sessions, frames, hops, produced, m);
      for (std::size_t k = 0; k < m; ++k) {
        if (!produced[k]) continue;
        ++active[k]->produced_;
        active[k]->hop_used_ = 0;
      }
    }
  }
}

void Stream::reset(std::uint64_t seed) PYVOC_RT {
  const DenormalGuard guard;
  session_->reset(seed);
  head_ = waiting_ = 0;
  hop_used_ = hop_;
  pushed_ = produced_ = 0;
  flushed_ = false;
}

std::size_t Stream::latency_samples() const PYVOC_RT {
  return static_cast<std::size_t>(vocoder_->info().lookahead_frames) * hop_;
}

}  // namespace pyvoc::api
