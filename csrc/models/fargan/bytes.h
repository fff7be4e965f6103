// What the int8 layers read: every activation here is within -1..1, and in steps of 1/127.
#ifndef PYVOC_MODELS_FARGAN_BYTES_H_
#define PYVOC_MODELS_FARGAN_BYTES_H_

#include <cstdint>

#include "base/realtime.h"
#include "kernels/table.h"
#include "nn/linear.h"

namespace pyvoc::models::fargan {

constexpr int kZero = 127;  // the byte of 0

// u[i] = round(127 x[i]) + 127, i < n padded.
inline void to_bytes(const kernels::KernelTable& kernels, const float* x, int n,
                     std::uint8_t* u) PYVOC_RT {
  kernels.bytes_f32(x, 127.0f, 127.0f, nn::padded(n), u);
}

}  // namespace pyvoc::models::fargan
#endif  // PYVOC_MODELS_FARGAN_BYTES_H_
