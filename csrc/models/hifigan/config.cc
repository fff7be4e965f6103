#include "models/hifigan/config.h"

#include <algorithm>

namespace pyvoc::models::hifigan {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr std::size_t kMaxChannels = 4096;
constexpr int kMaxStages = 8, kMaxChains = 8, kMaxBlocks = 8, kMaxRatio = 64, kMaxDilation = 1024;
constexpr const char* kPaddings[] = {"reflect", "zero"};

std::string stage_name(int k) { return "stage." + std::to_string(k); }

void read_stages(const io::Gguf& file, Config& c, Problems& problems) {
  long long hop = 1;
  int inputs = c.channels;
  for (int k = 0; k < kMaxStages && file.find_tensor(stage_name(k) + ".up.weight") != nullptr;
       ++k) {
    const std::string name = stage_name(k) + ".up.weight";
    const std::string ratio = "hifigan.stage." + std::to_string(k) + ".ratio";
    const std::string cut = "hifigan.stage." + std::to_string(k) + ".cut";
    Stage stage;
    stage.inputs = inputs;
    stage.outputs = problems.dimension(name, 1, 3, kMaxChannels);
    stage.taps = problems.dimension(name, 2, 3, 4 * kMaxRatio);
    stage.ratio = problems.integer(ratio.c_str(), 1, kMaxRatio);
    stage.cut = problems.integer(cut.c_str(), 0, kMaxRatio);
    if (!problems.none()) return;
    if (stage.taps < stage.ratio || stage.cut > stage.taps - stage.ratio) {
      problems.add(name + " has " + std::to_string(stage.taps) + " taps, too few for " + ratio +
                   " and " + cut);
      return;
    }
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

void read_chains(const io::Gguf& file, Config& c, Problems& problems) {
  for (int j = 0; j < kMaxChains; ++j) {
    const std::string chain = ".chain." + std::to_string(j) + ".block.";
    const std::string first = "stage.0" + chain + "0.first.weight";
    if (file.find_tensor(first) == nullptr) break;
    Chain found;
    found.taps = problems.dimension(first, 2, 3, nn::DilatedConv::kMostTaps);
    if (problems.none() && found.taps % 2 == 0) {
      problems.add("tensor " + first + " has an even number of taps");
    }
    const std::string key = "hifigan.chain." + std::to_string(j) + ".dilation.";
    for (int i = 0; i < kMaxBlocks; ++i) {
      const std::string block = "stage.0" + chain + std::to_string(i) + ".first.weight";
      if (file.find_tensor(block) == nullptr) break;
      found.dilations.push_back(
          problems.integer((key + std::to_string(i)).c_str(), 1, kMaxDilation));
    }
    c.chains.push_back(found);
  }
  if (c.chains.empty()) problems.add("tensor stage.0.chain.0.block.0.first.weight is missing");
}

}  // namespace

int Config::reach(const Chain& chain, std::size_t blocks) const {
  int rows = 0;
  for (std::size_t i = 0; i < blocks; ++i) {
    rows += chain.taps / 2 * (chain.dilations[i] + (paired ? 1 : 0));
  }
  return rows;
}

int Config::reach() const {
  int longest = 0;
  for (const Chain& chain : chains)
    longest = std::max(longest, reach(chain, chain.dilations.size()));
  return longest;
}

int Config::lookahead_frames() const {
  int row = hop_length - 1 + kEdgeTaps / 2;  // that the last sample of a frame depends on
  for (std::size_t k = stages.size(); k-- > 0;) {
    row = (row + reach() + stages[k].cut) / stages[k].ratio;
  }
  return row + kEdgeTaps / 2;
}

nn::RowGrid Config::up_grid(std::size_t stage) const {
  nn::RowGrid grid;
  grid.delay = kEdgeTaps / 2;
  for (std::size_t k = 0; k <= stage; ++k) {
    if (k > 0) grid.delay += reach();
    grid.rows *= stages[k].ratio;
    grid.delay = grid.delay * stages[k].ratio + stages[k].cut;
  }
  return grid;
}

nn::RowGrid Config::grid(std::size_t stage, std::size_t chain, std::size_t block,
                         bool second) const {
  nn::RowGrid grid = up_grid(stage);
  const Chain& c = chains[chain];
  grid.delay += reach(c, block) + c.taps / 2 * (c.dilations[block] + (second ? 1 : 0));
  return grid;
}

Result<Config> read_config(const io::Gguf& file) {
  Config c;
  Problems problems(file);
  const Status revision = problems.check_revision("hifigan", kSpecRevision);
  if (!revision.ok()) return revision;
  read_mel_config(problems, c);
  c.padding = problems.choice("hifigan.padding", kPaddings) == 1 ? nn::Padding::kZero
                                                                 : nn::Padding::kReflect;
  c.paired = problems.flag("hifigan.paired");
  c.leak = problems.number("hifigan.leak", 0.0, 1.0);
  c.last_leak = problems.number("hifigan.last_leak", 0.0, 1.0);
  if (!problems.none()) return problems.status();
  c.channels = problems.dimension("conv_in.weight", 0, 3, kMaxChannels);
  if (problems.none()) read_stages(file, c, problems);
  if (problems.none()) read_chains(file, c, problems);
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::hifigan
