// FARGAN's hyper-parameters, read from the model file's metadata and tensor shapes.
#ifndef PYVOC_MODELS_FARGAN_CONFIG_H_
#define PYVOC_MODELS_FARGAN_CONFIG_H_

#include <optional>
#include <string>

#include "base/status.h"
#include "io/gguf.h"

namespace pyvoc::models::fargan {

constexpr int kSampleRate = 16000;
constexpr int kSubframe = 40;  // samples that the network writes at a time
constexpr int kSubframes = 4;  // of a frame
constexpr int kFrameSize = kSubframe * kSubframes;
constexpr int kFeatures = 20;
constexpr int kPitchFeature = 18;
constexpr int kLeastPeriod = 32, kMostPeriod = 256;  // samples
constexpr int kPeriods = kMostPeriod - kLeastPeriod;
constexpr int kHistory = kMostPeriod;       // samples that the network can look back
constexpr int kPrediction = kSubframe + 4;  // a period ago, two more on each side
constexpr int kTaps = 3;                    // frames that the conditioning sees
constexpr int kGrus = 3;
constexpr int kGates = kGrus + 1;  // of the pitch prediction
constexpr float kPreemphasis = 0.85f;

struct PitchSizes {  // of the network that tells the pitch of features
  int phases1 = 0, phases2 = 0, channels = 0, down = 0, gru = 0;
};

struct Config {
  std::string precision;
  int pitch_dims = 0;                  // P
  int cond1 = 0, cond2 = 0, cond = 0;  // C, D, S
  int fwc = 0;                         // A
  int gru[kGrus] = {};                 // N1, N2, N3
  int skip = 0;                        // K
  std::optional<PitchSizes> pitch;     // a file may be without

  int subframe_inputs() const { return cond + kPrediction + kSubframe; }  // X
  int gru_inputs(int k) const { return (k == 0 ? fwc : gru[k - 1]) + 2 * kSubframe; }
  int skip_inputs() const { return gru[0] + gru[1] + gru[2] + fwc + 2 * kSubframe; }
};

// Every problem in one message.
Result<Config> read_config(const io::Gguf& file);

}  // namespace pyvoc::models::fargan
#endif  // PYVOC_MODELS_FARGAN_CONFIG_H_
