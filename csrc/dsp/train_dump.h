// TrainDump: speech frames -> feature rows, and for training the matching sample stream.
//
// What upstream's dump_data does between its files: one frame of delay, high-pass, augmentation
// (spectral tilt, gain, drawn anew every 2822 frames), pre-emphasis, dither, features; and in
// training the signal as the model will hear it, with quantisation noise fed back through the
// predictor. All draws come from one GlibcRand in upstream's order, so a seed fixes the output byte
// by byte. One thread at a time; real-time safe.
//
// Sample stream per sample: latest 2 x s16 (noisy signal t-1, clean signal t), 2019 4 x u8 mu-law
// (signal t-1, prediction t, excitation t-1 with noise, excitation t): 640 bytes per frame in both.
#ifndef PYVOC_DSP_TRAIN_DUMP_H_
#define PYVOC_DSP_TRAIN_DUMP_H_

#include <cstdint>

#include "base/realtime.h"
#include "dsp/excitation.h"
#include "dsp/glibc_rand.h"
#include "dsp/lpcnet_analysis.h"

namespace pyvoc::dsp {

constexpr int kDumpBytesPerFrame = 640;

class TrainDump {
 public:
  TrainDump(Recipe recipe, bool training, std::uint32_t seed, const kernels::KernelTable& table)
      : recipe_(recipe),
        training_(training),
        random_(seed),
        analysis_(recipe, table),
        excitation_(recipe == Recipe::kLatest ? Excitation::kSilence : 0) {}

  // Takes the next frame [160] of the file. Returns false when the 2019 recipe leaves it out of the
  // training data as silence; otherwise process() is due.
  bool accept(const std::int16_t* pcm) PYVOC_RT;

  // Processes the accepted frame; returns the rows completed (0, 1 or 4), to be read from rows()
  // and, in training, data().
  int process() PYVOC_RT;

  const float* rows() const { return analysis_.rows(); }
  int row_size() const { return analysis_.row_size(); }
  const std::uint8_t* data() const { return data_; }  // [rows, 640] bytes, little-endian

 private:
  static constexpr int kRedrawFrames = 2821;

  void redraw() PYVOC_RT;
  void draw_noise(int* noise) PYVOC_RT;
  void write_latest(const std::int16_t* pcm, const float* lpc, const int* noise,
                    std::uint8_t* out) PYVOC_RT;
  void write_2019(const std::int16_t* pcm, const float* lpc, const int* noise,
                  std::uint8_t* out) PYVOC_RT;

  Recipe recipe_;
  bool training_;
  GlibcRand random_;
  LpcnetAnalysis analysis_;

  std::int16_t next_[kFrame] = {};  // the frame read last: it is processed one call later
  std::int16_t now_[kFrame] = {};
  std::int16_t faded_[kFrame] = {};  // the frame before a silence, for the cross-fade
  bool was_silent_ = true;

  float high_pass_[2] = {}, tilt_[2] = {};  // filter memories
  float tilt_a_[2] = {}, tilt_b_[2] = {};
  float preemphasis_ = 0.0f;
  float gain_ = 1.0f, old_gain_ = 1.0f;
  float noise_std_ = 0.0f;
  int since_redraw_ = 0;

  int slot_ = 0;                                // frame within its group of four
  std::int16_t late_[kHalfFrame] = {};          // the second half of the last frame, as PCM
  std::int16_t pcm_[kSuperframe][kFrame] = {};  // delayed by half a frame
  int noise_[kSuperframe][kFrame] = {};
  float group_lpc_[kLpcOrder] = {};  // of the group's first frame
  Excitation excitation_;
  std::uint8_t data_[kSuperframe * kDumpBytesPerFrame] = {};
};

}  // namespace pyvoc::dsp
#endif  // PYVOC_DSP_TRAIN_DUMP_H_
