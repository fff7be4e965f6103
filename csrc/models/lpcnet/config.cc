#include "models/lpcnet/config.h"

#include <cmath>

#include "models/problems.h"

namespace pyvoc::models::lpcnet {
namespace {

constexpr std::uint64_t kSpecRevision = 1;

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
  problems.take(file.get_string("pyvoc.precision"), c.precision);
  problems.take(file.get_string("pyvoc.features.layout"), c.layout);

  std::string sampling;
  std::uint64_t dims = 0, lookahead = 0;
  double gamma = 0;
  problems.take(file.get_string("lpcnet.sampling"), sampling);
  problems.take(file.get_uint("lpcnet.feature_dims"), dims);
  problems.take(file.get_uint("lpcnet.lookahead"), lookahead);
  problems.take(file.get_float("lpcnet.lpc_gamma"), gamma);
  problems.take(file.get_bool("lpcnet.end_to_end"), c.end_to_end);
  if (!problems.none()) return problems.status();

  if (sampling == "tree") {
    c.sampling = Sampling::kTree;
  } else if (sampling == "softmax") {
    c.sampling = Sampling::kSoftmax;
  } else {
    problems.add("lpcnet.sampling is \"" + sampling + "\", expected tree or softmax");
  }
  if (c.layout == "lpcnet36" && dims == 20) {
    c.layout_dims = 36;
    c.pitch_feature = 18;
  } else if (c.layout == "lpcnet55" && dims == 38) {
    c.layout_dims = 55;
    c.pitch_feature = 36;
  } else {
    problems.add("features are " + c.layout + " with " + std::to_string(dims) +
                 " in use, expected lpcnet36 with 20 or lpcnet55 with 38");
  }
  if (lookahead > kMaxLookahead) problems.add("lpcnet.lookahead is beyond 8 frames");
  if (!(gamma > 0.0 && gamma <= 1.0)) problems.add("lpcnet.lpc_gamma is not in (0, 1]");
  c.feature_dims = static_cast<int>(dims);
  c.lookahead = static_cast<int>(lookahead);
  c.lpc_gamma = static_cast<float>(gamma);

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
