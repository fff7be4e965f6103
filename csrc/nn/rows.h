// Rows: time-major activations [row][channel] between two streaming layers. The producer appends
// rows, the consumer drops those it no longer needs; row numbers count from the start of the
// stream. One thread; nothing allocates after the constructor.
#ifndef PYVOC_NN_ROWS_H_
#define PYVOC_NN_ROWS_H_

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/arena.h"
#include "base/realtime.h"

namespace pyvoc::nn {

enum class Padding { kReflect, kZero };  // what lies beyond the ends of a signal

template <typename T>
class Rows {
 public:
  Rows() = default;

  // `pad` rows of padding at each end of the stream; a producer may write up to `lead` rows before
  // the first. `capacity`: the most rows that are held at a time, padding included. Kernels read
  // whole tiles, so kSlack rows more are booked. `zero` [channels] is what stands for 0: borrowed,
  // or nullptr for zeros.
  Rows(Arena& arena, int channels, int pad, Padding padding, int lead, std::int64_t capacity,
       const T* zero)
      : channels_(channels), pad_(pad), padding_(padding), lead_(std::max(lead, pad)), zero_(zero) {
    const auto rows = static_cast<std::size_t>(lead_ + capacity + kSlack);
    data_ = arena.allocate<T>(rows * static_cast<std::size_t>(channels));
    reset();
  }

  // Empty again.
  void reset() PYVOC_RT {
    first_ = -lead_;
    end_ = 0;
    padded_left_ = 0;
    padded_right_ = false;
  }

  // Becomes what `from` is, of the same channels and capacity.
  void copy(const Rows& from) PYVOC_RT {
    const std::int64_t rows = from.end_ + (from.padded_right_ ? pad_ : 0) - from.first_;
    std::memcpy(data_, from.data_, sizeof(T) * static_cast<std::size_t>(rows * channels_));
    first_ = from.first_;
    end_ = from.end_;
    padded_left_ = from.padded_left_;
    padded_right_ = from.padded_right_;
  }

  std::int64_t end() const PYVOC_RT { return end_; }  // rows appended so far
  T* row(std::int64_t t) PYVOC_RT { return data_ + (t - first_) * channels_; }
  const T* row(std::int64_t t) const PYVOC_RT { return data_ + (t - first_) * channels_; }

  // What the producer wrote behind the last row, up to t (exclusive), is part of the rows.
  void extend_to(std::int64_t t) PYVOC_RT { end_ = t; }

  // Up to which row (exclusive) all neighbours within `reach` <= pad are there; fills in the
  // padding that those before it need. `ended`: no row follows.
  std::int64_t ready(bool ended, int reach) PYVOC_RT {
    const std::int64_t until = ended ? end_ : end_ - reach;
    if (until <= 0) return 0;
    fill_padding(ended, reach);
    return until;
  }
  std::int64_t ready(bool ended) PYVOC_RT { return ready(ended, pad_); }

  // The same for windows (row - pad .. row) of rows and, beyond the ends, padding; not mirrored.
  std::int64_t ready_windows(bool ended) PYVOC_RT {
    if (end_ == 0) return 0;
    fill_padding(ended, pad_);
    return end_ + (ended ? pad_ : 0);
  }

  // Rows before t are not needed any more.
  void drop_before(std::int64_t t) PYVOC_RT {
    const std::int64_t until = end_ + (padded_right_ ? pad_ : 0);
    if (t <= first_) return;
    std::memmove(data_, row(t), sizeof(T) * static_cast<std::size_t>((until - t) * channels_));
    first_ = t;
  }

 private:
  static constexpr std::int64_t kSlack = 32;

  void fill_padding(bool ended, int reach) PYVOC_RT {
    while (padded_left_ < reach) fill(-++padded_left_);
    if (ended && !padded_right_) {
      padded_right_ = true;
      for (int i = 0; i < pad_; ++i) fill(end_ + i);
    }
  }

  void fill(std::int64_t t) PYVOC_RT {
    T* to = row(t);
    if (padding_ == Padding::kZero) {
      if (zero_ == nullptr) {
        std::fill(to, to + channels_, T{});
      } else {
        std::memcpy(to, zero_, sizeof(T) * static_cast<std::size_t>(channels_));
      }
      return;
    }
    // Mirrored without the edge row; a signal shorter than its padding is mirrored repeatedly.
    const std::int64_t period = std::max<std::int64_t>(2 * (end_ - 1), 1);
    std::int64_t from = ((t % period) + period) % period;
    from = std::min(from, period - from);
    std::memcpy(to, row(std::min(from, end_ - 1)), sizeof(T) * static_cast<std::size_t>(channels_));
  }

  T* data_ = nullptr;
  std::int64_t first_ = 0;  // row at data_
  std::int64_t end_ = 0;
  int channels_ = 0;
  int pad_ = 0;
  Padding padding_ = Padding::kZero;
  int lead_ = 0;
  const T* zero_ = nullptr;
  int padded_left_ = 0;  // rows of padding that are filled in
  bool padded_right_ = false;
};

}  // namespace pyvoc::nn
#endif  // PYVOC_NN_ROWS_H_
