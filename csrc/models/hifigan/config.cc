#include "models/hifigan/config.h"

#include <algorithm>

namespace pyvoc::models::hifigan {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr std::size_t kMaxChannels = 4096;
constexpr std::size_t kMaxStages = 8, kMaxChains = 8, kMaxBlocks = 8;
constexpr int kMaxRatio = 64, kMaxDilation = 1024;
constexpr const char* kFirst = ".chain.0.block.0.first.weight";
constexpr const char* kPaddings[] = {"reflect", "zero"};

// What is between separators. (A string stream brings locales along, 100 KB of a small program.)
std::vector<std::string> pieces(const std::string& text, char separator) {
  std::vector<std::string> found;
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find(separator, start), text.size());
    found.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return found;
}

// Whole numbers with spaces between; none where the text is something else.
std::vector<int> numbers(const std::string& text) {
  std::vector<int> found;
  for (const std::string& word : pieces(text, ' ')) {
    if (word.empty()) continue;
    const bool digits = word.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || word.size() > 5 || found.size() >= 64) return {};
    found.push_back(std::stoi(word));
  }
  return found;
}

void read_stages(const io::Gguf& file, Config& c, Problems& problems) {
  const std::vector<int> ratios = numbers(problems.text("hifigan.ratios"));
  const std::vector<int> cuts = numbers(problems.text("hifigan.cuts"));
  if (ratios.empty() || ratios.size() > kMaxStages || cuts.size() != ratios.size()) {
    problems.add("hifigan.ratios and hifigan.cuts are not as many numbers, 1 to 8");
    return;
  }
  long long hop = 1;
  int inputs = c.channels;
  for (std::size_t k = 0; k < ratios.size(); ++k) {
    const std::string name = "stage." + std::to_string(k) + ".up.weight";
    Stage stage;
    stage.inputs = inputs;
    stage.outputs = problems.dimension(name, 1, 3, kMaxChannels);
    stage.taps = problems.dimension(name, 2, 3, 4 * kMaxRatio);
    stage.hidden = stage.outputs;
    if (c.paired) {
      stage.hidden = problems.dimension("stage." + std::to_string(k) + kFirst, 0, 3, kMaxChannels);
    }
    stage.ratio = ratios[k];
    stage.cut = cuts[k];
    if (!problems.none()) return;
    if (stage.outputs < 1 || stage.hidden < 1 || stage.ratio < 1 || stage.ratio > kMaxRatio ||
        stage.taps < stage.ratio + stage.cut) {
      problems.add("tensor " + name + " has " + std::to_string(stage.taps) +
                   " taps, too few for a ratio of " + std::to_string(stage.ratio) + " and " +
                   std::to_string(stage.cut) + " samples that are cut");
      return;
    }
    inputs = stage.outputs;
    hop *= stage.ratio;
    c.stages.push_back(stage);
    if (hop > kMaxHop) break;
  }
  if (hop != c.hop_length) {
    problems.add("the stages upsample by " + std::to_string(hop) +
                 ", which is not pyvoc.features.hop_length, " + std::to_string(c.hop_length));
  }
  if (file.find_tensor("stage." + std::to_string(ratios.size()) + ".up.weight") != nullptr) {
    problems.add("there are more stages than hifigan.ratios has");
  }
}

void read_chains(Config& c, Problems& problems) {
  const std::vector<std::string> chains = pieces(problems.text("hifigan.dilations"), ',');
  for (std::size_t j = 0; j < chains.size(); ++j) {
    Chain found;
    found.dilations = numbers(chains[j]);
    const auto wrong = [](int d) { return d < 1 || d > kMaxDilation; };
    if (j >= kMaxChains || found.dilations.empty() || found.dilations.size() > kMaxBlocks ||
        std::any_of(found.dilations.begin(), found.dilations.end(), wrong)) {
      problems.add("hifigan.dilations are not up to 8 chains of up to 8 numbers");
      return;
    }
    const std::string name = "stage.0.chain." + std::to_string(j) + ".block.0.first.weight";
    found.taps = problems.dimension(name, 2, 3, nn::DilatedConv::kMostTaps);
    if (!problems.none()) return;
    if (found.taps % 2 == 0) problems.add("tensor " + name + " has an even number of taps");
    c.chains.push_back(found);
  }
  if (c.chains.empty()) problems.add("hifigan.dilations is empty");
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

int Config::lookahead_frames() const PYVOC_RT {
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
  if (problems.none()) read_chains(c, problems);
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::hifigan
