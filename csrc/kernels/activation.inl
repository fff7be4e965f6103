// tanh and sigmoid as odd rational functions, our own minimax fits (degree 7/6 and 5/6 on a clamped
// range). Two precisions: kPrecise (1.4e-6 absolute; float layers) and kFast (8e-6 plus the tier's fast
// reciprocal, at most 6e-5; beside int8 products, whose rounding is far coarser).

namespace pyvoc::kernels {
namespace {

enum class Precision { kPrecise, kFast };

template <Precision kPrecision>
inline F32x16 tanh(F32x16 x) {
  if constexpr (kPrecision == Precision::kPrecise) {
    constexpr float kClamp = 7.2f;
    x = max(min(x, set1(kClamp)), set1(-kClamp));
    const F32x16 u = mul(x, x);
    F32x16 p = fma(u, set1(3.821386144409189e-06f), set1(0.0022537293843925f));
    p = fma(p, u, set1(0.122759610414505f));
    p = fma(p, u, set1(0.999994695186615f));
    F32x16 q = fma(u, set1(0.0001398363965563476f), set1(0.02096332050859928f));
    q = fma(q, u, set1(0.4560750126838684f));
    q = fma(q, u, set1(1.0f));
    return mul(mul(x, p), reciprocal(q));
  } else {
    constexpr float kClamp = 6.2f;
    x = max(min(x, set1(kClamp)), set1(-kClamp));
    const F32x16 u = mul(x, x);
    F32x16 p = fma(u, set1(0.0014703947817906737f), set1(0.11406761407852173f));
    p = fma(p, u, set1(0.9999644756317139f));
    F32x16 q = fma(u, set1(5.3619620302924886e-05f), set1(0.017336750403046608f));
    q = fma(q, u, set1(0.44729018211364746f));
    q = fma(q, u, set1(1.0f));
    return mul(mul(x, p), reciprocal_fast(q));
  }
}

template <Precision kPrecision>
inline F32x16 sigmoid(F32x16 x) {
  const F32x16 half = set1(0.5f);
  return fma(tanh<kPrecision>(mul(x, half)), half, half);
}

inline void tanh_f32(float* x, std::int32_t n) noexcept {
  for (std::int32_t i = 0; i < n; i += 16) store(x + i, tanh<Precision::kPrecise>(load(x + i)));
}

inline void scale_i32(const std::int32_t* sums, const float* scale, const float* offset,
                      const float* init, float* y, std::int32_t n) noexcept {
  for (std::int32_t i = 0; i < n; i += 16) {
    const F32x16 constant = add(load(init + i), load(offset + i));
    store(y + i, fma(load_float(sums + i), load(scale + i), constant));
  }
}

}  // namespace
}  // namespace pyvoc::kernels
