#include "models/wavernn/config.h"

#include <algorithm>

namespace pyvoc::models::wavernn {
namespace {

constexpr std::uint64_t kSpecRevision = 1;
constexpr std::size_t kMaxTaps = 17, kMaxRnn = 4096, kMaxCond = 1024;
constexpr int kMaxBlocks = 64, kMaxStretches = 8, kMaxStretch = 256;
constexpr const char* kModes[] = {"mol", "raw"};
constexpr int kMaxBits = 16, kMaxMixtures = 64;

// How many frames to each side a sample's upsampled mel depends on: a stretch of s repeats every
// value s times and blurs with 2 s + 1 taps, so an output depends on one value more on each side.
int reach(const std::vector<int>& stretches, int hop) {
  const auto floor_div = [](int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); };
  int first = 0, last = hop - 1;
  for (std::size_t k = stretches.size(); k-- > 0;) {
    first = floor_div(first, stretches[k]) - 1;
    last = floor_div(last, stretches[k]) + 1;
  }
  return std::max(-first, last);
}

void read_stretches(const io::Gguf& file, Config& c, Problems& problems) {
  int hop = 1;
  for (int k = 0; k < kMaxStretches; ++k) {
    const std::string name = "upsample." + std::to_string(k) + ".weight";
    if (k > 0 && file.find_tensor(name) == nullptr) break;
    const int kernel = problems.dimension(name, 0, 1, 2 * kMaxStretch + 1);
    if (!problems.none()) return;
    if (kernel < 3 || kernel % 2 == 0) {
      problems.add("tensor " + name + " has " + std::to_string(kernel) +
                   " taps, expected 2 s + 1 for a stretch of s");
      return;
    }
    c.stretches.push_back(kernel / 2);
    hop *= kernel / 2;
    if (hop > kMaxHop) break;
  }
  if (hop != c.hop_length) {
    problems.add("the stretches multiply to " + std::to_string(hop) +
                 ", which is not pyvoc.features.hop_length, " + std::to_string(c.hop_length));
  } else if (reach(c.stretches, hop) > c.pad) {
    problems.add("upsampling looks " + std::to_string(reach(c.stretches, hop)) +
                 " frames ahead, but resnet.in " + std::to_string(c.pad));
  }
}

void read_shapes(const io::Gguf& file, Config& c, Problems& problems) {
  const int taps = problems.dimension("resnet.in.weight", 2, 3, kMaxTaps);
  c.hidden = problems.dimension("resnet.in.weight", 0, 3, kMaxCond);
  c.aux = problems.dimension("fc2.input.aux", 1, 2, kMaxCond);
  const int gates = problems.dimension("rnn1.hidden.bias", 0, 1, 3 * kMaxRnn);
  c.fc = problems.dimension("fc1.input.bias", 0, 1, kMaxRnn);
  c.outputs = problems.dimension("fc3.bias", 0, 1, std::size_t{1} << kMaxBits);
  if (!problems.none()) return;
  if (taps % 2 == 0) problems.add("resnet.in.weight has an even number of taps");
  if (gates % 3 != 0) problems.add("rnn1.hidden.bias does not hold three gates");
  c.pad = taps / 2;
  c.rnn = gates / 3;
  if (c.hidden < 1 || c.aux < 1 || c.rnn < 1 || c.fc < 1 || c.outputs < 1) {
    problems.add("a layer has no outputs");
  }
  const auto block = [&](int k) { return "resnet." + std::to_string(k) + ".a.weight"; };
  while (c.blocks < kMaxBlocks && file.find_tensor(block(c.blocks)) != nullptr) ++c.blocks;
  if (problems.none()) read_stretches(file, c, problems);
}

}  // namespace

Result<Config> read_config(const io::Gguf& file) {
  Config c;
  Problems problems(file);
  const Status revision = problems.check_revision("wavernn", kSpecRevision);
  if (!revision.ok()) return revision;
  read_mel_config(problems, c);
  c.normalized = problems.flag("pyvoc.features.normalized");
  c.mode = problems.choice("wavernn.mode", kModes) == 0 ? Mode::kMol : Mode::kRaw;
  const int bits = problems.integer("wavernn.bits", 1, kMaxBits);
  c.mu_law = problems.flag("wavernn.mu_law");
  c.comb = problems.number_or(0.0f, "pyvoc.comb", 0.0, 1.0);
  if (!problems.none()) return problems.status();
  read_shapes(file, c, problems);
  if (!problems.none()) return problems.status();
  if (c.mode == Mode::kMol && (c.outputs % 3 != 0 || c.outputs > 3 * kMaxMixtures)) {
    problems.add("fc3 has " + std::to_string(c.outputs) +
                 " outputs, expected three for each of 1 to 64 logistics");
  }
  if (c.mode == Mode::kRaw && c.outputs != 1 << bits) {
    problems.add("fc3 has " + std::to_string(c.outputs) + " outputs, expected " +
                 std::to_string(1 << bits) + " for labels of " + std::to_string(bits) + " bits");
  }
  if (c.mode == Mode::kMol && c.mu_law) {
    problems.add("wavernn.mu_law is true, expected false for mode mol");
  }
  if (!problems.none()) return problems.status();
  return c;
}

}  // namespace pyvoc::models::wavernn
