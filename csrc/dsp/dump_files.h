// dump_files: TrainDump between files, as `dump_data` and `pyvoc dump-data` run it.
//
// Input: raw 16-bit little-endian mono PCM at 16 kHz. Outputs are complete or absent. Not real-time
// safe; any number of threads on different outputs.
#ifndef PYVOC_DSP_DUMP_FILES_H_
#define PYVOC_DSP_DUMP_FILES_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "dsp/lpcnet_analysis.h"

namespace pyvoc::dsp {

// Upstream goes round the input until it has this many frames (13.9 hours) and one full pass.
constexpr std::uint64_t kDefaultTrainFrames = 5000000;

struct DumpOptions {
  Recipe recipe = Recipe::kLatest;
  std::uint32_t seed = 1;
  std::uint64_t frames = kDefaultTrainFrames;  // training: the least to produce
  // Called now and then with the frames done and the least there will be; may throw to give up.
  std::function<void(std::uint64_t, std::uint64_t)> progress;
};

struct DumpReport {
  std::uint64_t frames = 0;  // processed
  std::uint64_t rows = 0;    // written, row_size floats each
  std::uint64_t passes = 0;  // over the input, the last one possibly cut short
  int row_size = 0;
};

// Features with dither, each file frame once: upstream's `-test`.
Result<DumpReport> dump_test(const std::string& speech, const std::string& features,
                             const DumpOptions& options);

// Features and sample stream with augmentation: upstream's `-train`.
Result<DumpReport> dump_train(const std::string& speech, const std::string& features,
                              const std::string& data, const DumpOptions& options);

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_DUMP_FILES_H_
