// 15 nodes of a binary tree at once: logit = f0 tanh(w0.x + b0) + f1 tanh(w1.x + b1).

namespace pyvoc::kernels {
namespace {

inline void dual_fc_tree(const DualFcTree& t, const float* x, float* logits) noexcept {
  const float* w = t.weights;
  const float* bias = w + 32 * t.inputs;
  F32x16 a = load(bias), b = load(bias + 16), c = zero(), d = zero();
  std::int32_t i = 0;
  for (; i + 2 <= t.inputs; i += 2, w += 64) {
    const F32x16 even = set1(x[i]), odd = set1(x[i + 1]);
    a = fma(load(w), even, a);
    b = fma(load(w + 16), even, b);
    c = fma(load(w + 32), odd, c);
    d = fma(load(w + 48), odd, d);
  }
  if (i < t.inputs) {
    a = fma(load(w), set1(x[i]), a);
    b = fma(load(w + 16), set1(x[i]), b);
  }
  a = tanh<Precision::kPrecise>(add(a, c));
  b = tanh<Precision::kPrecise>(add(b, d));
  const float* factor = bias + 32;
  store(logits, fma(a, load(factor), mul(b, load(factor + 16))));
}

}  // namespace
}  // namespace pyvoc::kernels
