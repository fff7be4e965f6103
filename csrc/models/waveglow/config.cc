#include "models/waveglow/config.h"

#include "nn/conv.h"

namespace pyvoc::models::waveglow {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr std::size_t kMaxHidden = 4096, kMaxTaps = 1 << 20;
constexpr int kMaxFlows = 64, kMaxLayers = 16, kMaxGroups = 256;
constexpr double kMaxSigma = 4.0;
// What the flows look ahead is kept as inputs of their conditioning.
constexpr long long kMaxHistoryBytes = 1LL << 30;

// Sizes that shapes tell.
void read_shapes(const io::Gguf& file, Config& c, Problems& problems) {
  const auto has = [&](const std::string& name) { return file.find_tensor(name) != nullptr; };
  const int taps = problems.dimension("upsample.weight", 2, 3, kMaxTaps);
  c.apart = problems.dimension("upsample.weight", 1, 3, kMaxTaps) == 1;
  c.hidden = problems.dimension("flow.0.start.weight", 0, 3, kMaxHidden);
  if (!problems.none()) return;
  if (taps % c.hop_length != 0) {
    problems.add("upsample has " + std::to_string(taps) + " taps, expected a multiple of the hop " +
                 "of " + std::to_string(c.hop_length) + " samples");
  }
  c.history = taps / c.hop_length;
  while (c.layers < kMaxLayers &&
         has("flow.0.layer." + std::to_string(c.layers) + ".conv.weight")) {
    ++c.layers;
  }
  if (c.layers == 0) problems.add("tensor flow.0.layer.0.conv.weight is missing");
  for (int k = 0; k < kMaxFlows && has("flow." + std::to_string(k) + ".start.weight"); ++k) {
    const int channels = c.groups - c.early_size * (k / c.early_every);
    if (channels < 2 || channels % 2 != 0) {
      problems.add("flow " + std::to_string(k) + " has " + std::to_string(channels) +
                   " channels, expected an even number from 2 on");
      return;
    }
    c.channels.push_back(channels);
  }
  const long long step = 4LL * c.groups * nn::padded(c.bands);
  if (problems.none() && step * c.flows() * c.reach() > kMaxHistoryBytes) {
    problems.add(std::to_string(c.flows()) + " flows of " + std::to_string(c.layers) +
                 " layers look further ahead than this build can");
  }
}

}  // namespace

int Config::lookahead_frames() const PYVOC_RT {
  return (steps_per_frame() - 1 + flows() * reach()) / steps_per_frame();
}

Result<Config> read_config(const io::Gguf& file) {
  Config c;
  Problems problems(file);
  const Status revision = problems.check_revision("waveglow", kSpecRevision);
  if (!revision.ok()) return revision;
  read_mel_config(problems, c);
  c.groups = problems.integer("waveglow.groups", 2, kMaxGroups);
  c.early_every = problems.integer("waveglow.early_every", 1, kMaxFlows);
  c.early_size = problems.integer("waveglow.early_size", 0, kMaxGroups);
  c.alternate = problems.flag("waveglow.alternate");
  c.sigma = problems.number("waveglow.sigma", 0.0, kMaxSigma);
  if (problems.none() && c.hop_length % c.groups != 0) {
    problems.add("the hop of " + std::to_string(c.hop_length) +
                 " samples is not a multiple of the " + std::to_string(c.groups) +
                 " samples of a group");
  }
  if (!problems.none()) return problems.status();
  read_shapes(file, c, problems);
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::waveglow
