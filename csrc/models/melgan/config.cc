#include "models/melgan/config.h"

namespace pyvoc::models::melgan {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr std::size_t kMaxChannels = 4096;
constexpr int kMaxStages = 8, kMaxBlocks = 8, kMaxRatio = 64, kMaxDilation = 2187;
constexpr double kMaxScale = 1e4;
constexpr const char* kPaddings[] = {"reflect", "zero"};

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
    stage.outputs = problems.dimension(name, 1, 3, kMaxChannels);
    const int taps = problems.dimension(name, 2, 3, 2 * kMaxRatio);
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

int Config::lookahead_frames() const PYVOC_RT {
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
  read_mel_config(problems, c);
  c.padding = problems.choice("melgan.padding", kPaddings) == 1 ? nn::Padding::kZero
                                                                : nn::Padding::kReflect;
  c.input_scale = problems.number("melgan.input_scale", -kMaxScale, kMaxScale);
  c.input_shift = problems.number("melgan.input_shift", -kMaxScale, kMaxScale);
  c.leak = problems.number("melgan.leak", 0.0, 1.0);
  const int base = problems.integer("melgan.dilation_base", 1, 16);
  if (!problems.none()) return problems.status();
  c.channels = problems.dimension("conv_in.weight", 0, 3, kMaxChannels);
  if (problems.none()) read_stages(file, c, base, problems);
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::melgan
