#include "models/melgan/config.h"

#include <cmath>

#include "models/problems.h"

namespace pyvoc::models::melgan {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr std::size_t kMaxChannels = 4096, kMaxBands = 512;
constexpr int kMaxStages = 8, kMaxBlocks = 8, kMaxRatio = 64, kMaxHop = 16384, kMaxDilation = 2187;

void read_stages(const io::Gguf& file, Config& c, int base, Problems& problems) {
  const auto has = [&](const std::string& name) { return file.find_tensor(name) != nullptr; };
  int blocks = 0;
  while (blocks < kMaxBlocks && has("stage.0.block." + std::to_string(blocks) + ".conv.weight")) {
    ++blocks;
  }
  if (blocks == 0) problems.add("tensor stage.0.block.0.conv.weight is missing");
  int dilation = 1;
  for (int j = 0; j < blocks; ++j) {
    c.dilations.push_back(dilation);
    if (j + 1 < blocks && dilation > kMaxDilation / base) {
      problems.add("dilations go beyond " + std::to_string(kMaxDilation));
      return;
    }
    dilation *= base;
  }
  long long hop = 1;
  int inputs = c.channels;
  for (int k = 0; k < kMaxStages && has("stage." + std::to_string(k) + ".up.weight"); ++k) {
    const std::string name = "stage." + std::to_string(k) + ".up.weight";
    Stage stage;
    stage.inputs = inputs;
    stage.outputs = problems.dimension(name.c_str(), 1, 3, kMaxChannels);
    const int taps = problems.dimension(name.c_str(), 2, 3, 2 * kMaxRatio);
    if (!problems.none()) return;
    if (taps % 2 != 0) {
      problems.add("tensor " + name + " has an odd number of taps, expected twice the ratio");
      return;
    }
    stage.ratio = taps / 2;
    inputs = stage.outputs;
    hop *= stage.ratio;
    c.stages.push_back(stage);
    if (hop > kMaxHop) break;
  }
  if (c.stages.empty()) problems.add("tensor stage.0.up.weight is missing");
  if (hop != c.hop_length) {
    problems.add("the stages upsample by " + std::to_string(hop) +
                 ", which is not pyvoc.features.hop_length, " + std::to_string(c.hop_length));
  }
}

}  // namespace

int Config::lookahead_frames() const {
  int reach = 0;  // what one stage's outputs depend on, in its inputs
  for (int dilation : dilations) reach += dilation * (kBlockTaps / 2);
  int row = hop_length - 1 + kEdgeTaps / 2;
  for (std::size_t k = stages.size(); k-- > 0;) {
    row = (row + reach + stages[k].cut()) / stages[k].ratio;
  }
  return row + kEdgeTaps / 2;
}

nn::RowGrid Config::grid(std::size_t stage, std::size_t block) const {
  nn::RowGrid grid;
  grid.delay = kEdgeTaps / 2;
  for (std::size_t k = 0; k <= stage; ++k) {
    grid.rows *= stages[k].ratio;
    grid.delay = grid.delay * stages[k].ratio + stages[k].cut();
    for (std::size_t j = 0; j < dilations.size(); ++j) {
      if (k < stage || j <= block) grid.delay += dilations[j];
    }
  }
  return grid;
}

Result<Config> read_config(const io::Gguf& file) {
  Config c;
  Problems problems(file);
  const Status revision = problems.check_revision("melgan", kSpecRevision);
  if (!revision.ok()) return revision;
  std::uint64_t rate = 0, hop = 0, bands = 0, base = 0;
  std::string layout, padding;
  double scale = 0, shift = 0, leak = 0;
  problems.take(file.get_string("pyvoc.precision"), c.precision);
  problems.take(file.get_string("pyvoc.features.layout"), layout);
  problems.take(file.get_uint("pyvoc.features.sample_rate"), rate);
  problems.take(file.get_uint("pyvoc.features.hop_length"), hop);
  problems.take(file.get_uint("pyvoc.features.bands"), bands);
  problems.take(file.get_string("melgan.padding"), padding);
  problems.take(file.get_float("melgan.input_scale"), scale);
  problems.take(file.get_float("melgan.input_shift"), shift);
  problems.take(file.get_float("melgan.leak"), leak);
  problems.take(file.get_uint("melgan.dilation_base"), base);
  if (!problems.none()) return problems.status();

  if (layout != "mel") problems.add("the features are \"" + layout + "\", expected \"mel\"");
  if (rate < 1000 || rate > 384000) problems.add("the sample rate is " + std::to_string(rate));
  if (hop < 1 || hop > kMaxHop) problems.add("the hop length is " + std::to_string(hop));
  if (bands < 1 || bands > kMaxBands) problems.add("there are " + std::to_string(bands) + " bands");
  if (padding != "reflect" && padding != "zero") {
    problems.add("melgan.padding is \"" + padding + "\", expected reflect or zero");
  }
  if (!(leak >= 0.0 && leak <= 1.0)) problems.add("melgan.leak is not in 0..1");
  if (!(std::fabs(scale) <= 1e4 && std::fabs(shift) <= 1e4)) {
    problems.add("melgan.input_scale or melgan.input_shift is absurd");
  }
  if (base < 1 || base > 16) problems.add("melgan.dilation_base is " + std::to_string(base));
  if (!problems.none()) return problems.status();
  c.sample_rate = static_cast<int>(rate);
  c.hop_length = static_cast<int>(hop);
  c.bands = static_cast<int>(bands);
  c.padding = padding == "zero" ? nn::Padding::kZero : nn::Padding::kReflect;
  c.input_scale = static_cast<float>(scale);
  c.input_shift = static_cast<float>(shift);
  c.leak = static_cast<float>(leak);
  c.channels = problems.dimension("conv_in.weight", 0, 3, kMaxChannels);
  if (problems.none()) read_stages(file, c, static_cast<int>(base), problems);
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::melgan
