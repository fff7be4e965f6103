// Vocoders that are a stream of convolutions from mel frames to samples (MelGAN, HiFi-GAN): how the
// stream begins and ends, how a session drives it, and how it is timed and observed. Each has a
// generator G:
//   push(frames, n, ended)   takes frames and computes all samples that they complete
//   samples(), count(), drop(n)
//   time(groups), reset()
//   Seen, observe(&seen)     what a stage's layers get is added to seen [stages] from now on
#ifndef PYVOC_MODELS_CONV_VOCODER_H_
#define PYVOC_MODELS_CONV_VOCODER_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/team.h"
#include "kernels/table.h"
#include "models/blocks.h"
#include "models/layer_rows.h"
#include "models/loaded.h"
#include "models/mel_features.h"
#include "models/quantized_convs.h"
#include "models/timed.h"
#include "nn/conv.h"
#include "nn/rows.h"

namespace pyvoc::models {

constexpr int kEdgeTaps = 7;                     // of the first and the last convolution
constexpr int kBlockFrames = 24;                 // the most frames taken at a time
constexpr std::int64_t kSliceBytes = 192 << 10;  // of one layer's activations in a slice

// The frames of a stream, and the first convolution's place in them.
class MelStart {
 public:
  MelStart() = default;
  MelStart(Arena& arena, int bands, nn::Padding padding)
      : bands_(bands),
        rows_(arena, nn::padded(bands), kEdge, padding, 0, kBlockFrames + 3 * kEdge, nullptr) {}

  void reset() PYVOC_RT {
    rows_.reset();
    done_ = 0;
  }

  // Appends n <= kBlockFrames frames [n][bands], value x of band b as change(b, x).
  template <typename Change>
  void take(const float* frames, int n, const Change& change) PYVOC_RT {
    for (int i = 0; i < n; ++i) {
      float* row = rows_.row(rows_.end());
      for (int b = 0; b < bands_; ++b) row[b] = change(b, frames[i * bands_ + b]);
      std::fill(row + bands_, row + nn::padded(bands_), 0.0f);
      rows_.extend_to(rows_.end() + 1);
    }
  }

  // The convolution `in` of as many rows as can be computed by now; 0: none.
  std::int64_t next(bool ended, kernels::ConvInput<float>& in) PYVOC_RT {
    const std::int64_t rows = rows_.ready(ended) - done_;
    if (rows <= 0) return 0;
    in = side_by_side(rows_, done_ - kEdge, kEdgeTaps, nn::padded(bands_));
    return rows;
  }
  void computed(std::int64_t rows) PYVOC_RT {
    done_ += rows;
    rows_.drop_before(done_ - kEdge);
  }

 private:
  static constexpr int kEdge = kEdgeTaps / 2;

  int bands_ = 0;
  nn::Rows<float> rows_;
  std::int64_t done_ = 0;
};

// The last convolution, to one channel, before tanh.
struct LastConv {
  // [kEdgeTaps][channels as wide as rows are], whole vectors: what is beyond is 0
  const float* weights = nullptr;
  float bias = 0.0f;
};

// Packs what a model file has as conv_out, [1, channels, kEdgeTaps], and lists it. `width`: of the
// rows that it reads.
inline LastConv pack_last(const nn::ConvSource& source, int width, Arena& arena,
                          std::vector<PlanEntry>& plan) {
  float* weights = arena.allocate<float>(static_cast<std::size_t>(nn::padded(kEdgeTaps * width)));
  for (int i = 0; i < source.inputs; ++i) {
    for (int tap = 0; tap < kEdgeTaps; ++tap) weights[tap * width + i] = source.at(0, i, tap);
  }
  plan.push_back({"conv_out", backends::op_name(backends::Op::kConv),
                  backends::weights_name(source.type), "native", 1, kEdgeTaps * width});
  return {weights, source.bias[0]};
}

// The last convolution of a stream, and the samples that wait.
class SampleEnd {
 public:
  SampleEnd() = default;
  // `arriving`: the most rows that are appended to input() at a time. Look-ahead is in whole
  // frames: up to a frame more than what is due may wait.
  // `width`: of the rows.
  SampleEnd(Arena& arena, int width, nn::Padding padding, std::int64_t arriving, int lookahead,
            int hop_length)
      : width_(width),
        input_(arena, width_, kEdgeTaps / 2, padding, 0, arriving + 3 * (kEdgeTaps / 2), nullptr),
        samples_(arena.allocate<float>(
            static_cast<std::size_t>((kBlockFrames + lookahead + 2) * hop_length + 64))) {}

  void reset() PYVOC_RT {
    input_.reset();
    done_ = count_ = 0;
  }

  nn::Rows<float>& input() PYVOC_RT { return input_; }  // rectified
  const float* samples() const PYVOC_RT { return samples_; }
  std::int64_t count() const PYVOC_RT { return count_; }

  void run(const LastConv& conv, const kernels::KernelTable& kernels, Team& team,
           bool ended) PYVOC_RT {
    const std::int64_t rows = input_.ready(ended) - done_;
    if (rows <= 0) return;
    float* y = samples_ + count_;
    constexpr std::int64_t kPiece = 512;  // rows
    team.run(static_cast<int>((rows + kPiece - 1) / kPiece), [&](int piece) {
      const std::int64_t first = kPiece * piece;
      const int n = static_cast<int>(std::min(kPiece, rows - first));
      kernels.row_dots_f32(conv.weights, nn::padded(kEdgeTaps * width_),
                           input_.row(done_ + first - kEdgeTaps / 2), width_, n, conv.bias,
                           y + first);
      kernels.tanh_f32(y + first, nn::padded(n));
    });
    count_ += rows;
    done_ += rows;
    input_.drop_before(done_ - kEdgeTaps / 2);
  }

  void drop(std::int64_t n) PYVOC_RT {
    count_ -= n;
    std::memmove(samples_, samples_ + n, sizeof(float) * static_cast<std::size_t>(count_));
  }

 private:
  int width_ = 0;
  nn::Rows<float> input_;
  std::int64_t done_ = 0;
  float* samples_ = nullptr;
  std::int64_t count_ = 0;
};

template <typename Generator>
class GeneratorSession final : public Session {
 public:
  template <typename... Parts>
  explicit GeneratorSession(const VocoderInfo& info, const Parts&... parts)
      : lookahead_(info.lookahead_frames), hop_length_(info.hop_length), generator_(parts...) {}

  void reset(std::uint64_t /*seed*/) PYVOC_RT override {
    generator_.reset();
    pushed_ = begun_ = 0;
    samples_ = 0;
    ended_ = false;
  }

  int begin(const float* frames, int n) PYVOC_RT override {
    generator_.drop(samples_);
    generator_.push(frames, n, false);
    pushed_ += n;
    return offer(std::max<std::int64_t>(pushed_ - lookahead_ - begun_, 0));
  }

  int finish(int /*ahead*/) PYVOC_RT override {
    generator_.drop(samples_);
    if (!ended_) generator_.push(nullptr, 0, true);
    ended_ = true;
    return offer(std::min<std::int64_t>(pushed_ - begun_, kBlockFrames));
  }

  void run(int at, float* samples, int count) PYVOC_RT override {
    std::memcpy(samples, generator_.samples() + at,
                sizeof(float) * static_cast<std::size_t>(count));
  }

  bool orphaned() const PYVOC_RT override { return generator_.team().orphaned(); }

 private:
  int offer(std::int64_t hops) PYVOC_RT {
    begun_ += hops;
    samples_ = hops * hop_length_;
    return static_cast<int>(hops);
  }

  int lookahead_, hop_length_;
  Generator generator_;
  std::int64_t pushed_ = 0, begun_ = 0;  // frames, hops
  std::int64_t samples_ = 0;             // of the hops begun last
  bool ended_ = false;
};

template <typename C>
VocoderInfo describe_conv(const char* architecture, const C& config) {
  VocoderInfo info = describe_mel(architecture, config, config.lookahead_frames());
  info.block_frames = kBlockFrames;
  return info;
}

// C has `stages`; W says by `integer` whether a convolution reads bytes.
template <typename C, typename W, typename G>
class ConvVocoder : public Loaded<C, W> {
 public:
  using Loaded<C, W>::Loaded;

  std::unique_ptr<Session> open(const SessionSettings& settings) const override {
    return std::make_unique<GeneratorSession<G>>(this->info(), this->config_, this->weights_,
                                                 this->kernels_, settings.threads);
  }

  Status observe(Matrix<const float> features, std::vector<Activations>& seen) const override {
    if (this->weights_.integer) {
      return Status(Code::kUnsupported, "the model is int8 already: calibrate the float one");
    }
    const std::vector<typename G::Seen> layers = list_layers(seen);
    G generator(this->config_, this->weights_, this->kernels_, 1);
    generator.observe(&layers);
    speak(generator, features);
    return Status();
  }

  Status time_groups(Matrix<const float> features, std::vector<GroupTime>& groups) const override {
    if (groups.empty()) {
      groups.push_back({"conv_in", 0.0});
      for (std::size_t k = 0; k < this->config_.stages.size(); ++k) {
        groups.push_back({"up " + std::to_string(k), 0.0});
        groups.push_back({"stage " + std::to_string(k), 0.0});
      }
      groups.push_back({"conv_out", 0.0});
    }
    G generator(this->config_, this->weights_, this->kernels_, 1);
    generator.time(groups.data());
    speak(generator, features);
    return Status();
  }

 protected:
  // Entries in `seen` for every layer that int8 quantises, stage by stage.
  virtual std::vector<typename G::Seen> list_layers(std::vector<Activations>& seen) const = 0;

 private:
  // A whole utterance through a generator, for what it tells on the way.
  static void speak(G& generator, Matrix<const float> features) {
    for_blocks(features, kBlockFrames, [&](const float* frames, int n) {
      generator.push(frames, n, false);
      generator.drop(generator.count());
    });
    generator.push(nullptr, 0, true);
  }
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_CONV_VOCODER_H_
