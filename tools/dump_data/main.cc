// dump_data: LPCNet training and test features from raw speech, with upstream's command line.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "dsp/dump_files.h"

namespace {

constexpr int kOk = 0, kUsage = 2, kBadInput = 3;

constexpr const char* kHelp =
    "usage: dump_data -train <speech> <features out> <pcm out> [options]\n"
    "       dump_data -test <speech> <features out> [options]\n"
    "\n"
    "Computes LPCNet features from raw 16-bit little-endian mono PCM at 16 kHz.\n"
    "\n"
    "  -train   augments the speech (gain, spectral tilt, quantisation noise), goes round the\n"
    "           input, and writes features and the sample stream the model is trained on\n"
    "  -test    goes through the input once and writes features (with dither)\n"
    "\n"
    "options:\n"
    "  --layout lpcnet36|lpcnet55   floats per frame: latest 36 (default), 2019 layout 55\n"
    "  --seed N     seed of the random draws, 0..4294967295 (default 1); a seed fixes the\n"
    "               output byte by byte\n"
    "  --frames N   -train stops after at least N frames and one full pass over the input\n"
    "               (default 5000000, i.e. 13.9 hours: 720 MB of features, 3.2 GB of data)\n"
    "  -h, --help   this text\n"
    "\n"
    "The sample stream has 640 bytes per frame: for lpcnet36 two s16 per sample (noisy signal one\n"
    "sample back, clean signal), for lpcnet55 four mu-law bytes (signal one back, prediction,\n"
    "excitation one back with noise, excitation).\n"
    "\n"
    "Outputs appear when they are complete. Exit codes: 0 done, 2 usage, 3 bad input or output.\n";

int usage_error(const std::string& message) {
  std::fprintf(stderr, "dump_data: %s\nTry 'dump_data --help'.\n", message.c_str());
  return kUsage;
}

bool parse_number(const std::string& text, std::uint64_t low, std::uint64_t high,
                  std::uint64_t* value) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos) return false;
  errno = 0;
  const unsigned long long parsed = std::strtoull(text.c_str(), nullptr, 10);
  if (errno != 0 || parsed < low || parsed > high) return false;
  *value = parsed;
  return true;
}

int run(const std::vector<std::string>& args) {
  pyvoc::dsp::DumpOptions options;
  std::string mode;
  std::vector<std::string> files;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "-h" || arg == "--help") {
      std::fputs(kHelp, stdout);
      return kOk;
    }
    if (arg == "-train" || arg == "-test") {
      if (!mode.empty()) return usage_error("give one of -train and -test, once");
      mode = arg;
      continue;
    }
    const std::size_t equals = arg.rfind("--", 0) == 0 ? arg.find('=') : std::string::npos;
    const std::string name = arg.substr(0, equals);
    if (name == "--layout" || name == "--seed" || name == "--frames") {
      std::string value;
      if (equals != std::string::npos) {
        value = arg.substr(equals + 1);
      } else if (i + 1 < args.size()) {
        value = args[++i];
      } else {
        return usage_error(name + " needs a value");
      }
      std::uint64_t number = 0;
      if (name == "--layout") {
        if (value != "lpcnet36" && value != "lpcnet55") {
          return usage_error("--layout is '" + value + "'; expected lpcnet36 or lpcnet55");
        }
        options.recipe =
            value == "lpcnet36" ? pyvoc::dsp::Recipe::kLatest : pyvoc::dsp::Recipe::k2019;
      } else if (name == "--seed") {
        if (!parse_number(value, 0, std::numeric_limits<std::uint32_t>::max(), &number)) {
          return usage_error("--seed is '" + value + "'; expected 0..4294967295");
        }
        options.seed = static_cast<std::uint32_t>(number);
      } else {
        if (!parse_number(value, 1, std::uint64_t{1} << 48, &number)) {
          return usage_error("--frames is '" + value +
                             "'; expected a number of frames, at least 1");
        }
        options.frames = number;
      }
      continue;
    }
    if (arg.size() > 1 && arg[0] == '-') return usage_error("unknown option '" + arg + "'");
    files.push_back(arg);
  }
  if (mode.empty()) return usage_error("give -train or -test");
  const std::size_t wanted = mode == "-train" ? 3 : 2;
  if (files.size() != wanted) {
    return usage_error(mode + " takes " + std::to_string(wanted) + " files, got " +
                       std::to_string(files.size()));
  }
  const auto result = mode == "-train"
                          ? pyvoc::dsp::dump_train(files[0], files[1], files[2], options)
                          : pyvoc::dsp::dump_test(files[0], files[1], options);
  if (!result.ok()) {
    std::fprintf(stderr, "dump_data: %s\n", result.status().message().c_str());
    return result.status().code() == pyvoc::Code::kArgument ? kUsage : kBadInput;
  }
  return kOk;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "dump_data: %s\n", error.what());
    return kBadInput;
  }
}
