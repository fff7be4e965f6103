// 15 nodes of a binary tree at once: logit = f0 tanh(w0.x + b0) + f1 tanh(w1.x + b1).

namespace pyvoc::kernels {
namespace {

inline F32x16 tree_logits(const DualFcTree& t, const float* x) {
  const float* w = t.weights;
  const float* bias = w + 32 * t.inputs;
  const float* factor = bias + 32;
  F32x16 first[2] = {load(bias), zero()}, second[2] = {load(bias + 16), zero()};
  std::int32_t i = 0;
  for (; i + 2 <= t.inputs; i += 2, w += 64) {
    for (int k = 0; k < 2; ++k) {
      const F32x16 input = set1(x[i + k]);
      first[k] = fma(load(w + 32 * k), input, first[k]);
      second[k] = fma(load(w + 32 * k + 16), input, second[k]);
    }
  }
  if (i < t.inputs) {
    first[0] = fma(load(w), set1(x[i]), first[0]);
    second[0] = fma(load(w + 16), set1(x[i]), second[0]);
  }
  const F32x16 a = tanh<Precision::kPrecise>(add(first[0], first[1]));
  const F32x16 b = tanh<Precision::kPrecise>(add(second[0], second[1]));
  return fma(a, load(factor), mul(b, load(factor + 16)));
}

inline void dual_fc_tree(const DualFcTree& t, const float* x, float* logits) PYVOC_RT {
  store(logits, tree_logits(t, x));
}

inline void dual_fc_path(const DualFcTree& t, const float* x, const float* thresholds,
                         std::int32_t* path) PYVOC_RT {
  const std::uint32_t taken = greater_bits(tree_logits(t, x), load(thresholds));
  std::uint32_t node = 1;
  for (int level = 0; level < 4; ++level) node = 2 * node + (taken >> node & 1u);
  *path = static_cast<std::int32_t>(node) - 16;
}

}  // namespace
}  // namespace pyvoc::kernels
