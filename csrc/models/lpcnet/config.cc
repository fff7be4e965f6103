#include "models/lpcnet/config.h"

#include "models/problems.h"

namespace pyvoc::models::lpcnet {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr const char* kSamplings[] = {"tree", "softmax"};
constexpr int kMostDims = 55;
constexpr double kLeastGamma = 0.5;

}  // namespace

Result<Config> read_config(const io::Gguf& file) {
  Config c;
  Problems problems(file);
  const Status revision = problems.check_revision("lpcnet", kSpecRevision);
  if (!revision.ok()) return revision;
  problems.expect("pyvoc.features.sample_rate", kSampleRate);
  problems.expect("pyvoc.features.hop_length", kFrameSize);
  problems.expect("pyvoc.features.window_length", 2 * kFrameSize);
  problems.expect("pyvoc.features.bands", kBands);
  problems.expect("pyvoc.features.lpc_order", kLpcOrder);
  c.precision = problems.precision();
  c.layout = problems.text("pyvoc.features.layout");
  const bool tree = problems.choice("lpcnet.sampling", kSamplings) == 0;
  c.sampling = tree ? Sampling::kTree : Sampling::kSoftmax;
  c.feature_dims = problems.integer("lpcnet.feature_dims", 1, kMostDims);
  c.lookahead = problems.integer("lpcnet.lookahead", 0, kMaxLookahead);
  c.lpc_gamma = problems.number("lpcnet.lpc_gamma", kLeastGamma, 1.0);
  c.end_to_end = problems.flag("lpcnet.end_to_end");
  c.comb = problems.number_or(0.0f, "pyvoc.comb", 0.0, 1.0);
  if (!problems.none()) return problems.status();

  if (c.layout == "lpcnet36" && c.feature_dims == 20) {
    c.layout_dims = 36;
    c.pitch_feature = 18;
  } else if (c.layout == "lpcnet55" && c.feature_dims == 38) {
    c.layout_dims = 55;
    c.pitch_feature = 36;
  } else {
    problems.add("features are " + c.layout + " with " + std::to_string(c.feature_dims) +
                 " in use, expected lpcnet36 with 20 or lpcnet55 with 38");
  }

  c.gru_a = problems.dimension("gru_a.bias_hh", 0, 1, 3 * 4096) / 3;
  c.gru_b = problems.dimension("gru_b.bias_hh", 0, 1, 3 * 4096) / 3;
  c.cond = problems.dimension("dense2.bias", 0, 1, 1024);
  c.pitch_dims = problems.dimension("embed_pitch.weight", 1, 2, 1024);
  c.conv1_kernel = problems.dimension("conv1.weight", 2, 3, 9);
  c.conv2_kernel = problems.dimension("conv2.weight", 2, 3, 9);
  if (c.gru_a % 8 != 0 || c.gru_b % 8 != 0) {
    problems.add("GRU sizes " + std::to_string(c.gru_a) + " and " + std::to_string(c.gru_b) +
                 " are not multiples of 8");
  }
  if (c.end_to_end && c.cond < kLpcOrder) {
    problems.add("end-to-end LPC needs 16 condition values");
  }
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::lpcnet
