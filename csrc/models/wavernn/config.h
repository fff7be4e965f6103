// WaveRNN's hyper-parameters, from metadata and tensor shapes.
#ifndef PYVOC_MODELS_WAVERNN_CONFIG_H_
#define PYVOC_MODELS_WAVERNN_CONFIG_H_

#include <vector>

#include "models/mel_features.h"

namespace pyvoc::models::wavernn {

enum class Mode {
  kMol,  // the outputs are a mixture of logistics
  kRaw,  // logits of labels
};

struct Config : MelConfig {
  bool normalized = false;  // mel values are 0..1
  Mode mode = Mode::kMol;
  bool mu_law = false;  // labels are mu-law codes
  float comb = 0.0f;    // strength of the pitch comb
  int rnn = 0, fc = 0;  // R, F
  int hidden = 0;       // D, of the residual network
  int aux = 0;          // A, a quarter of its output
  int blocks = 0;
  int pad = 0;  // P, frames that the network sees to each side
  int outputs = 0;
  std::vector<int> stretches;

  int taps() const { return 2 * pad + 1; }
  int mixtures() const { return mode == Mode::kMol ? outputs / 3 : 0; }
};

// Every problem in one message.
Result<Config> read_config(const io::Gguf& file);

}  // namespace pyvoc::models::wavernn
#endif  // PYVOC_MODELS_WAVERNN_CONFIG_H_
