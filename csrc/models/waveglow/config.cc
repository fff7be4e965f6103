#include "models/waveglow/config.h"

#include "models/problems.h"
#include "nn/conv.h"

namespace pyvoc::models::waveglow {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr std::size_t kMaxHidden = 4096, kMaxBands = 512, kMaxTaps = 1 << 20;
constexpr int kMaxFlows = 64, kMaxLayers = 16, kMaxGroups = 256, kMaxHop = 16384;
constexpr double kMaxSigma = 4.0;
// What the flows look ahead is kept as inputs of their conditioning.
constexpr long long kMaxHistoryBytes = 1LL << 30;

void check_bounds(Problems& problems, const char* what, std::uint64_t value, std::uint64_t least,
                  std::uint64_t most) {
  if (value >= least && value <= most) return;
  problems.add(std::string(what) + " is " + std::to_string(value) + ", expected " +
               std::to_string(least) + " to " + std::to_string(most));
}

// Sizes that shapes tell.
void read_shapes(const io::Gguf& file, Config& c, Problems& problems) {
  const auto has = [&](const std::string& name) { return file.find_tensor(name) != nullptr; };
  const int taps = problems.dimension("upsample.weight", 2, 3, kMaxTaps);
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

int Config::lookahead_frames() const {
  return (steps_per_frame() - 1 + flows() * reach()) / steps_per_frame();
}

Result<Config> read_config(const io::Gguf& file) {
  Config c;
  Problems problems(file);
  const Status revision = problems.check_revision("waveglow", kSpecRevision);
  if (!revision.ok()) return revision;
  std::uint64_t rate = 0, hop = 0, bands = 0, groups = 0, every = 0, size = 0;
  std::string layout;
  double sigma = 0;
  problems.take(file.get_string("pyvoc.precision"), c.precision);
  problems.take(file.get_string("pyvoc.features.layout"), layout);
  problems.take(file.get_uint("pyvoc.features.sample_rate"), rate);
  problems.take(file.get_uint("pyvoc.features.hop_length"), hop);
  problems.take(file.get_uint("pyvoc.features.bands"), bands);
  problems.take(file.get_uint("waveglow.groups"), groups);
  problems.take(file.get_uint("waveglow.early_every"), every);
  problems.take(file.get_uint("waveglow.early_size"), size);
  problems.take(file.get_bool("waveglow.alternate"), c.alternate);
  problems.take(file.get_float("waveglow.sigma"), sigma);
  if (!problems.none()) return problems.status();

  if (layout != "mel") problems.add("the features are \"" + layout + "\", expected \"mel\"");
  check_bounds(problems, "pyvoc.features.sample_rate", rate, 1000, 384000);
  check_bounds(problems, "pyvoc.features.hop_length", hop, 1, kMaxHop);
  check_bounds(problems, "pyvoc.features.bands", bands, 1, kMaxBands);
  check_bounds(problems, "waveglow.groups", groups, 2, kMaxGroups);
  check_bounds(problems, "waveglow.early_every", every, 1, kMaxFlows);
  check_bounds(problems, "waveglow.early_size", size, 0, kMaxGroups);
  if (!(sigma >= 0.0 && sigma <= kMaxSigma)) problems.add("waveglow.sigma is not in 0..4");
  if (problems.none() && hop % groups != 0) {
    problems.add("the hop of " + std::to_string(hop) + " samples is not a multiple of the " +
                 std::to_string(groups) + " samples of a group");
  }
  if (!problems.none()) return problems.status();
  c.sample_rate = static_cast<int>(rate);
  c.hop_length = static_cast<int>(hop);
  c.bands = static_cast<int>(bands);
  c.groups = static_cast<int>(groups);
  c.early_every = static_cast<int>(every);
  c.early_size = static_cast<int>(size);
  c.sigma = static_cast<float>(sigma);
  read_shapes(file, c, problems);
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::waveglow
