// What a layer of a stream reads: rows of floats or, where its weights are int8, of bytes. So each
// layer's weights alone say in what arithmetic it is computed.
#ifndef PYVOC_MODELS_LAYER_ROWS_H_
#define PYVOC_MODELS_LAYER_ROWS_H_

#include <cstdint>

#include "models/activations.h"
#include "models/quantized_convs.h"
#include "nn/rows.h"

namespace pyvoc::models {

// What a convolution gives is rectified and goes to rows of what `quantization`'s layer reads.
inline void rectify_into(void* rows, const Quantization& quantization,
                         kernels::ConvOutput& out) PYVOC_RT {
  if (quantization.zero == nullptr) {
    out.active = static_cast<float*>(rows);
  } else {
    out.active_u8 = static_cast<std::uint8_t*>(rows);
    out.active_inverse = quantization.inverse;
    out.active_offset = quantization.offset;
  }
}

class LayerRows {
 public:
  LayerRows() = default;

  // As nn::Rows; `quantization` is the layer's.
  LayerRows(Arena& arena, int channels, int pad, nn::Padding padding, int lead,
            std::int64_t capacity, const Quantization& quantization)
      : quantization_(quantization), channels_(channels) {
    if (integer()) {
      bytes_ = {arena, channels, pad, padding, lead, capacity, quantization.zero};
    } else {
      floats_ = {arena, channels, pad, padding, lead, capacity, nullptr};
    }
  }

  bool integer() const PYVOC_RT { return quantization_.zero != nullptr; }

  // Calls f with the rows, nn::Rows<float> or nn::Rows<std::uint8_t>.
  template <typename Function>
  auto visit(const Function& f) PYVOC_RT {
    return integer() ? f(bytes_) : f(floats_);
  }

  void reset() PYVOC_RT {
    visit([](auto& rows) { rows.reset(); });
  }
  std::int64_t end() PYVOC_RT {
    return visit([](auto& rows) { return rows.end(); });
  }
  void extend_to(std::int64_t t) PYVOC_RT {
    visit([&](auto& rows) { rows.extend_to(t); });
  }
  std::int64_t ready(bool ended, int reach) PYVOC_RT {
    return visit([&](auto& rows) { return rows.ready(ended, reach); });
  }
  std::int64_t ready_windows(bool ended) PYVOC_RT {
    return visit([&](auto& rows) { return rows.ready_windows(ended); });
  }
  void drop_before(std::int64_t t) PYVOC_RT {
    visit([&](auto& rows) { rows.drop_before(t); });
  }

  // Rows from t on become what a convolution gives, or that rectified.
  void take_values(kernels::ConvOutput& out, std::int64_t t) PYVOC_RT {
    if (integer()) {
      out.value_u8 = bytes_.row(t);
      out.value_inverse = quantization_.inverse;
      out.value_offset = quantization_.offset;
    } else {
      out.value = floats_.row(t);
    }
  }
  void take_rectified(kernels::ConvOutput& out, std::int64_t t) PYVOC_RT {
    void* rows = integer() ? static_cast<void*>(bytes_.row(t)) : floats_.row(t);
    rectify_into(rows, quantization_, out);
  }

  // Adds rows [from, until) of floats to what was seen of the layer's `channels` inputs.
  void note(std::int64_t from, std::int64_t until, int channels, Activations* seen) PYVOC_RT {
    if (until > from) add_rows(floats_.row(from), until - from, channels_, channels, seen);
  }

 private:
  nn::Rows<float> floats_;
  nn::Rows<std::uint8_t> bytes_;
  Quantization quantization_;
  int channels_ = 0;
};

// `count` neighbouring rows from `first` on as one segment of a convolution's input.
template <typename X>
kernels::ConvInput<X> side_by_side(const nn::Rows<X>& rows, std::int64_t first, int count,
                                   int channels) PYVOC_RT {
  kernels::ConvInput<X> in;
  in.segments = 1;
  in.base[0] = rows.row(first);
  in.stride[0] = channels;
  in.cols[0] = count * channels;
  return in;
}

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_LAYER_ROWS_H_
