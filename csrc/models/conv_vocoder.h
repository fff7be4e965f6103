// Vocoders that are a stream of convolutions from mel frames to samples (MelGAN, HiFi-GAN): what
// their last layer is, how a session drives them, and how they are timed and observed. Each has a
// generator G<X>, X being what convolutions between the first and the last read, float or uint8:
//   push(frames, n, ended)   takes frames and computes all samples that they complete
//   samples(), count(), drop(n)
//   time(groups), reset()
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
#include "models/loaded.h"
#include "models/timed.h"
#include "nn/conv.h"
#include "nn/rows.h"

namespace pyvoc::models {

constexpr int kEdgeTaps = 7;      // of the first and the last convolution
constexpr int kBlockFrames = 24;  // the most frames taken at a time

// The last convolution, to one channel, before tanh.
struct LastConv {
  const float* weights = nullptr;  // [kEdgeTaps][channels padded to nn::kVector]
  float bias = 0.0f;
};

// Packs what a model file has as [1, channels, kEdgeTaps].
inline LastConv pack_last(const nn::ConvSource& source, Arena& arena) {
  const int channels = nn::padded(source.inputs);
  float* weights =
      arena.allocate<float>(std::size_t{kEdgeTaps} * static_cast<std::size_t>(channels));
  for (int i = 0; i < source.inputs; ++i) {
    for (int tap = 0; tap < kEdgeTaps; ++tap) weights[tap * channels + i] = source.at(0, i, tap);
  }
  return {weights, source.bias[0]};
}

// The last convolution of a stream, and the samples that wait.
class SampleEnd {
 public:
  SampleEnd() = default;
  // `arriving`: the most rows that are appended to input() at a time. Look-ahead is in whole
  // frames: up to a frame more than what is due may wait.
  SampleEnd(Arena& arena, int channels, nn::Padding padding, std::int64_t arriving, int lookahead,
            int hop_length)
      : channels_(nn::padded(channels)),
        input_(arena, channels_, kEdgeTaps / 2, padding, 0, arriving + 3 * (kEdgeTaps / 2),
               nullptr),
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
      kernels.row_dots_f32(conv.weights, kEdgeTaps * channels_,
                           input_.row(done_ + first - kEdgeTaps / 2), channels_, n, conv.bias,
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
  int channels_ = 0;
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

// C has `stages`; W says by `integer` whether convolutions read bytes.
template <typename C, typename W, template <typename> class G>
class ConvVocoder : public Loaded<C, W> {
 public:
  using Loaded<C, W>::Loaded;

  std::unique_ptr<Session> open(const SessionSettings& settings) const override {
    if (this->weights_.integer) return open_with<G<std::uint8_t>>(settings.threads);
    return open_with<G<float>>(settings.threads);
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
    if (this->weights_.integer) {
      time<G<std::uint8_t>>(features, groups.data());
    } else {
      time<G<float>>(features, groups.data());
    }
    return Status();
  }

 protected:
  // A whole utterance through a generator, for what it tells on the way.
  template <typename Generator>
  static void speak(Generator& generator, Matrix<const float> features) {
    for_blocks(features, kBlockFrames, [&](const float* frames, int n) {
      generator.push(frames, n, false);
      generator.drop(generator.count());
    });
    generator.push(nullptr, 0, true);
  }

 private:
  template <typename Generator>
  std::unique_ptr<Session> open_with(int threads) const {
    return std::make_unique<GeneratorSession<Generator>>(this->info(), this->config_,
                                                         this->weights_, this->kernels_, threads);
  }

  template <typename Generator>
  void time(Matrix<const float> features, GroupTime* groups) const {
    Generator generator(this->config_, this->weights_, this->kernels_, 1);
    generator.time(groups);
    speak(generator, features);
  }
};

}  // namespace pyvoc::models
#endif  // PYVOC_MODELS_CONV_VOCODER_H_
