// LPCNet's hyper-parameters, read from the model file's metadata and tensor shapes.
#ifndef PYVOC_MODELS_LPCNET_CONFIG_H_
#define PYVOC_MODELS_LPCNET_CONFIG_H_

#include <string>

#include "base/status.h"
#include "io/gguf.h"

namespace pyvoc::models::lpcnet {

constexpr int kFrameSize = 160;
constexpr int kSampleRate = 16000;
constexpr int kLpcOrder = 16;
constexpr int kBands = 18;
constexpr int kLevels = 256;           // mu-law codes
constexpr int kSilence = 128;          // the code of zero
constexpr int kMaxLookahead = 8;       // frames
constexpr float kPreemphasis = 0.85f;  // Valin & Skoglund 2019

enum class Sampling {
  kTree,     // xiph/LPCNet latest: 8 binary decisions
  kSoftmax,  // 2019: 256 classes, temperature from the pitch correlation
};

struct Config {
  Sampling sampling = Sampling::kTree;
  std::string precision;
  std::string layout;     // "lpcnet36" or "lpcnet55"
  int layout_dims = 0;    // 36 or 55
  int feature_dims = 0;   // F
  int pitch_feature = 0;  // column of the pitch; the next one is the pitch correlation
  int lookahead = 0;
  float lpc_gamma = 1.0f;
  bool end_to_end = false;
  float comb = 0.0f;                                   // strength of the pitch comb
  int gru_a = 0, gru_b = 0, cond = 0, pitch_dims = 0;  // N, M, C, P
  int conv1_kernel = 0, conv2_kernel = 0;
};

Result<Config> read_config(const io::Gguf& file);

}  // namespace pyvoc::models::lpcnet
#endif  // PYVOC_MODELS_LPCNET_CONFIG_H_
