#include "models/fargan/config.h"

#include <algorithm>

#include "dsp/pitch_network.h"
#include "models/problems.h"

namespace pyvoc::models::fargan {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr int kBands = 18;
constexpr std::size_t kMaxSize = 1024;
constexpr const char* kLayouts[] = {"opus20"};

bool has_pitch(const io::Gguf& file) {
  const auto& tensors = file.tensors();
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const io::Tensor& t) { return t.name.rfind("pitch.", 0) == 0; });
}

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
  c.precision = problems.precision();
  const auto size = [&](const std::string& name, std::size_t axis, std::size_t dims = 2,
                        std::size_t most = kMaxSize) {
    const int n = problems.dimension(name, axis, dims, most);
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
  if (has_pitch(file)) {
    c.pitch.emplace();
    c.pitch->phases1 = size("pitch.phases1.weight", 0);
    c.pitch->phases2 = size("pitch.phases2.weight", 0);
    c.pitch->channels = size("pitch.conv1.weight", 0, 4, dsp::kMostPitchChannels);
    c.pitch->down = size("pitch.down.weight", 0);
    c.pitch->gru = size("pitch.gru.weight_hh", 1);
  }
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::fargan
