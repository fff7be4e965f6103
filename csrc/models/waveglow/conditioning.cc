#include "models/waveglow/conditioning.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace pyvoc::models::waveglow {

template <typename X>
Conditioning<X>::Conditioning(const Config& config, const Weights& weights, Arena& arena)
    : c_(config), w_(weights) {
  const int bands = nn::padded(c_.bands);
  mel_ = arena.allocate<float>(static_cast<std::size_t>((c_.history - 1 + kBlockFrames) * bands));
  scratch_ = arena.allocate<float>(Upsampling::scratch(c_));
  capacity_ =
      std::int64_t{c_.flows()} * c_.reach() + 2 * std::int64_t{kBlockFrames} * c_.steps_per_frame();
  rows_ = nn::Rows<X>(arena, c_.groups * bands, 0, nn::Padding::kZero, 0, capacity_, nullptr);
}

template <typename X>
void Conditioning<X>::reset() PYVOC_RT {
  std::fill(mel_, mel_ + (c_.history - 1) * nn::padded(c_.bands), 0.0f);
  rows_.reset();
  dropped_ = 0;
}

template <typename X>
void Conditioning<X>::append(Team& team, const float* frames, std::size_t stride, int n,
                             std::int64_t done) PYVOC_RT {
  const int width = nn::padded(c_.bands), before = c_.history - 1;
  for (int i = 0; i < n; ++i) {
    float* row = mel_ + (before + i) * width;
    std::memcpy(row, frames + static_cast<std::size_t>(i) * stride,
                sizeof(float) * static_cast<std::size_t>(c_.bands));
  }
  const std::int64_t rows = std::int64_t{n} * c_.steps_per_frame();
  if (rows_.end() + rows - dropped_ > capacity_) {
    dropped_ = done;
    rows_.drop_before(dropped_);
  }
  kernels::ConvOutput out;
  if constexpr (std::is_same<X, float>::value) {
    out.value = rows_.row(rows_.end());
  } else {
    out.value_u8 = rows_.row(rows_.end());
    out.value_inverse = w_.condition.inverse;
    out.value_offset = w_.condition.offset;
  }
  w_.upsample.run(team, mel_, n, scratch_, out);
  if (seen_ != nullptr) note(rows);
  rows_.extend_to(rows_.end() + rows);
  std::memmove(mel_, mel_ + n * width, sizeof(float) * static_cast<std::size_t>(before * width));
}

// Input band * groups + position.
template <typename X>
void Conditioning<X>::note(std::int64_t n) PYVOC_RT {
  const int width = nn::padded(c_.bands);
  const X* row = rows_.row(rows_.end());
  for (std::int64_t i = 0; i < n * c_.groups; ++i, row += width) {
    Activations* seen = seen_ + i % c_.groups;
    for (int b = 0; b < c_.bands; ++b) seen[b * c_.groups].add(static_cast<float>(row[b]));
  }
}

template class Conditioning<float>;
template class Conditioning<std::uint8_t>;

}  // namespace pyvoc::models::waveglow
