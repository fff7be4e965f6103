#include "models/fargan/config.h"

#include "models/problems.h"

namespace pyvoc::models::fargan {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr int kBands = 18;
constexpr std::size_t kMaxSize = 1024;
constexpr const char* kLayouts[] = {"opus20"};

}  // namespace

Result<Config> read_config(const io::Gguf& file) {
  Config c;
  Problems problems(file);
  const Status revision = problems.check_revision("fargan", kSpecRevision);
  if (!revision.ok()) return revision;
  problems.choice("pyvoc.features.layout", kLayouts);
  problems.expect("pyvoc.features.sample_rate", kSampleRate);
  problems.expect("pyvoc.features.hop_length", kFrameSize);
  problems.expect("pyvoc.features.window_length", 2 * kFrameSize);
  problems.expect("pyvoc.features.bands", kBands);
  c.precision = problems.text("pyvoc.precision");
  const auto size = [&](const std::string& name, std::size_t axis) {
    const int n = problems.dimension(name, axis, 2, kMaxSize);
    if (n == 0 && problems.none()) problems.add("tensor " + name + " is empty");
    return n;
  };
  c.pitch_dims = size("embed_pitch.weight", 1);
  c.cond1 = size("cond.dense1.weight", 0);
  c.cond2 = size("cond.conv.weight", 0);
  c.cond = size("gain.weight", 1);
  c.fwc = size("fwc.gate.weight", 1);
  for (int k = 0; k < kGrus; ++k) {
    c.gru[k] = size("gru" + std::to_string(k + 1) + ".weight_hh", 1);
  }
  c.skip = size("skip.gate.weight", 1);
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::fargan
