// A stream: frames are queued by push and turned into samples by pull, so that the samples do not
// depend on how either side was cut into pieces. With a look-ahead shorter than the model's they do
// depend on the pushes: at the end of each, what is due is computed as if the stream ended there.
// One thread at a time.
#ifndef PYVOC_API_STREAM_H_
#define PYVOC_API_STREAM_H_

#include <memory>
#include <optional>
#include <vector>

#include "api/lease.h"
#include "base/realtime.h"
#include "dsp/pitch_comb.h"
#include "models/vocoder.h"

namespace pyvoc::api {

class Stream {
 public:
  // May throw std::bad_alloc.
  Stream(std::shared_ptr<const models::Vocoder> vocoder, const models::SessionSettings& settings,
         std::size_t capacity_frames);

  const models::Vocoder& vocoder() const { return *vocoder_; }

  void reserve(std::size_t frames);  // allocates
  // kOk, kFull, kFeature or kState; takes all frames or none.
  Code push(Matrix<const float> frames) PYVOC_RT;
  std::size_t available() const PYVOC_RT;
  std::size_t pull(Span<float> samples) PYVOC_RT;
  // written[i] <= capacity for each of n streams of one model.
  static void pull_batch(Stream* const* streams, std::size_t n, float* const* samples,
                         std::size_t capacity, std::size_t* written) PYVOC_RT;
  void flush() PYVOC_RT { flushed_ = true; }
  // Begins in the middle of a signal, before the first push: samples [prime_samples] and frames
  // [prime_frames], see models::Session. kOk, kFeature, kState, kUnsupported; or kArgument where a
  // sample is beyond -1..1.
  Code prime(Span<const float> samples, Matrix<const float> frames) PYVOC_RT;
  // The next n samples are not synthesised; kUnsupported where a model cannot.
  Code skip(std::size_t n) PYVOC_RT;
  void reset(std::uint64_t seed) PYVOC_RT;
  void set_draws(Span<const float> draws) PYVOC_RT { session_->set_draws(draws); }
  std::size_t latency_samples() const PYVOC_RT;

  BusyFlag& busy() PYVOC_RT { return busy_; }
  bool orphaned() const PYVOC_RT { return session_->orphaned(); }  // see models::Session

 private:
  // As pull_batch, for as many streams as the model is handed at once.
  static void pull_group(Stream* const* streams, std::size_t n, float* const* samples,
                         std::size_t capacity, std::size_t* written) PYVOC_RT;
  // The next `count` samples of n streams, wherever in their hops they are.
  static void run_group(Stream* const* streams, std::size_t n, float* const* samples,
                        std::size_t count) PYVOC_RT;
  // What is left of the hop that the next sample is in.
  std::size_t rest() const PYVOC_RT { return hop_ - used_ % hop_; }
  static void comb_group(Stream* const* streams, std::size_t n) PYVOC_RT;
  bool has_work() const PYVOC_RT;  // a hop can be computed
  // Of the session, when nothing more is pushed.
  std::uint64_t all_hops() const PYVOC_RT {
    return pushed_ == 0 ? 0 : pushed_ + (early_ > 0 ? 1 : 0);
  }
  // Samples of the last hop that are behind the signal.
  std::size_t beyond() const PYVOC_RT { return early_ > 0 ? hop_ - early_ : 0; }
  // Takes frames out of the queue, as many as `samples` samples need and the model accepts; their
  // number is 0 beyond the end.
  int next_frames(std::size_t samples, const float** frames) PYVOC_RT;
  // Begins hops when those that were begun are used up, as many as `samples` samples need and the
  // model begins at a time; whether there are samples to run.
  bool begin(std::size_t samples) PYVOC_RT;
  bool ahead() const PYVOC_RT { return lookahead_ < vocoder_->info().lookahead_frames; }

  std::shared_ptr<const models::Vocoder> vocoder_;
  std::unique_ptr<models::Session> session_;
  std::optional<dsp::PitchComb> comb_;  // wants whole hops:
  std::vector<float> combed_;           // the rest of one, as far as it was run
  std::size_t ready_ = 0;               // samples of combed_, its last ones, not given out yet
  BusyFlag busy_;
  std::size_t dims_, hop_, block_, early_;
  int lookahead_;
  std::vector<float> queue_;  // ring of capacity_ frames
  std::vector<char> ends_;    // of each: whether it was the last one of a push
  std::size_t capacity_ = 0, head_ = 0, waiting_ = 0;
  std::size_t begun_ = 0, used_ = 0;         // samples of the hops begun last; run or left out
  std::size_t lead_;                         // of the next hop that are before the signal
  std::size_t skip_ = 0;                     // samples still to be left out
  std::uint64_t pushed_ = 0, produced_ = 0;  // frames in, hops out
  std::uint64_t due_ = 0;                    // hops that a short look-ahead has made due
  bool flushed_ = false;
};

}  // namespace pyvoc::api
#endif  // PYVOC_API_STREAM_H_
