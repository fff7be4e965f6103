// What a live engine is asked for, and what it tells.
#ifndef PYVOC_API_LIVE_SETTINGS_H_
#define PYVOC_API_LIVE_SETTINGS_H_

#include <cstddef>
#include <cstdint>

namespace pyvoc::api {

struct LiveSettings {
  double input_rate = 0.0, output_rate = 0.0;  // Hz
  std::size_t input_channels = 1, output_channels = 1;
  std::size_t block = 0;  // samples that the output asks for at once
  std::size_t chunk = 0;  // frames that the model gets at once; 0: chosen by measurement
  double margin = -1.0;   // seconds kept in the output ring; below 0: chosen by measurement
  float pitch = 0.0f, formant = 0.0f;  // semitones
  int threads = 1;
  std::uint64_t seed = 0;
  bool bypass = false;             // the input itself, no model
  bool input_is_features = false;  // frames in place of PCM; the input waits
  bool input_waits = false;        // the input is a file: nothing is lost or dropped
  bool output_waits = false;       // the output is a file: no silence where nothing is ready
  bool two_clocks = false;         // input and output are different devices
  bool tap = false;                // keep what came in and what went out, for recording
  bool force = false;              // even if the model is slower than real time here
};

// Seconds.
struct LiveDelays {
  double input_resampler = 0.0, extractor = 0.0, lookahead = 0.0, output_resampler = 0.0;
};

}  // namespace pyvoc::api
#endif  // PYVOC_API_LIVE_SETTINGS_H_
