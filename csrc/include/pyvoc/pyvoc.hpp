// pyvoc.hpp: C++17 over pyvoc.h, header only. Owners (Model, Stream, Folds, Live, ...) release in
// their destructors and can be moved, not copied; every failure is thrown as pyvoc::Exception.
//
// Shapes, units, threads and the real-time promises are those of pyvoc.h. Arrays are a pointer and
// a size and stay the caller's. The audio thread, which must not throw, calls the try_* functions:
// they are noexcept and return the status.
//
//   pyvoc::Model model("voice.gguf");
//   pyvoc::Stream stream(model);
//   stream.push(frames, n_frames, stride);
//   const std::size_t n = stream.pull(samples, capacity);
#ifndef PYVOC_PYVOC_HPP_
#define PYVOC_PYVOC_HPP_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "pyvoc/pyvoc.h"

namespace pyvoc {
// The runtime's own classes live in namespace pyvoc too; the inline namespace keeps the linker from
// taking one for the other when both are in a program.
inline namespace cpp_v0 {

// A status other than PYVOC_OK, with the sentence of pyvoc_last_error.
class Exception : public std::runtime_error {
 public:
  Exception(pyvoc_status status, const std::string& message)
      : std::runtime_error(message), status_(status) {}
  pyvoc_status status() const noexcept { return status_; }

 private:
  pyvoc_status status_;
};

// Throws unless `status` is PYVOC_OK. Call it on the thread that made the call, right after it.
inline void check(pyvoc_status status) {
  if (status != PYVOC_OK) throw Exception(status, pyvoc_last_error());
}

inline std::string version() { return pyvoc_version(); }

// JSON; see pyvoc_system_info.
inline std::string system_info() {
  const char* json = nullptr;
  check(pyvoc_system_info(&json));
  return json;
}

namespace detail {
template <typename T, void (*kRelease)(T*)>
struct Releaser {
  void operator()(T* handle) const noexcept { kRelease(handle); }
};
template <typename T, void (*kRelease)(T*)>
using Handle = std::unique_ptr<T, Releaser<T, kRelease>>;
}  // namespace detail

// A loaded model: immutable, may be used from any number of threads.
class Model {
 public:
  explicit Model(const char* path) {
    pyvoc_model* model = nullptr;
    check(pyvoc_model_load(path, &model));
    handle_.reset(model);
  }
  explicit Model(const std::string& path) : Model(path.c_str()) {}

  // From memory, which is not needed afterwards.
  static Model from_memory(const void* data, std::size_t size) {
    pyvoc_model* model = nullptr;
    check(pyvoc_model_load_memory(data, size, &model));
    return Model(model);
  }

  // The strings in it live as long as the model.
  pyvoc_model_info info() const {
    pyvoc_model_info info{};
    info.struct_size = sizeof info;
    check(pyvoc_model_get_info(handle_.get(), &info));
    return info;
  }

  // JSON; see pyvoc_model_describe.
  std::string describe() const {
    const char* json = nullptr;
    check(pyvoc_model_describe(handle_.get(), &json));
    return json;
  }

  // Teacher-forced distributions, probabilities [n_samples, distribution_size]; rows of `features`
  // are `stride` floats apart.
  void predict(const float* features, std::size_t frames, std::size_t stride, const float* pcm,
               std::size_t n_samples, float* probabilities) const {
    check(pyvoc_model_predict(handle_.get(), features, frames, stride, pcm, n_samples,
                              probabilities));
  }

  // From audio to noise [n_samples]; log_scales and log_dets [info().flows].
  void forward(const float* features, std::size_t frames, std::size_t stride, const float* pcm,
               std::size_t n_samples, std::uint32_t threads, float* noise, double* log_scales,
               double* log_dets) const {
    check(pyvoc_model_forward(handle_.get(), features, frames, stride, pcm, n_samples, threads,
                              noise, log_scales, log_dets));
  }

  pyvoc_model* get() const noexcept { return handle_.get(); }

 private:
  explicit Model(pyvoc_model* model) : handle_(model) {}

  detail::Handle<pyvoc_model, pyvoc_model_release> handle_;
};

// Frames in, samples out. One thread at a time. Keeps its model alive.
class Stream {
 public:
  explicit Stream(const Model& model, std::uint64_t seed = 0, std::uint32_t capacity_frames = 0,
                  std::uint32_t threads = 1) {
    pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
    options.capacity_frames = capacity_frames;
    options.seed = seed;
    options.threads = threads;
    open(model, options);
  }

  // With all that a stream can be asked for.
  Stream(const Model& model, const pyvoc_stream_options& options) { open(model, options); }

  // Allocates: not for the audio thread.
  void reserve(std::size_t frames) { check(pyvoc_stream_reserve(handle_.get(), frames)); }

  // `n_frames` rows, `stride` floats apart: all of them, or an exception and none.
  void push(const float* frames, std::size_t n_frames, std::size_t stride) {
    check(try_push(frames, n_frames, stride));
  }

  // Up to `capacity` samples; how many were written.
  std::size_t pull(float* samples, std::size_t capacity) {
    std::size_t written = 0;
    check(try_pull(samples, capacity, &written));
    return written;
  }

  void flush() { check(try_flush()); }
  // Goes on where a signal ended: `frames` are rows `stride` floats apart.
  void prime(const float* samples, std::size_t n_samples, const float* frames, std::size_t n_frames,
             std::size_t stride) {
    check(pyvoc_stream_prime(handle_.get(), samples, n_samples, frames, n_frames, stride));
  }
  void skip(std::size_t n) { check(pyvoc_stream_skip(handle_.get(), n)); }
  void reset(std::uint64_t seed = 0) { check(try_reset(seed)); }

  // [real-time] The same without exceptions.
  [[nodiscard]] pyvoc_status try_push(const float* frames, std::size_t n_frames,
                                      std::size_t stride) noexcept {
    return pyvoc_stream_push(handle_.get(), frames, n_frames, stride);
  }
  [[nodiscard]] pyvoc_status try_pull(float* samples, std::size_t capacity,
                                      std::size_t* written) noexcept {
    return pyvoc_stream_pull(handle_.get(), samples, capacity, written);
  }
  [[nodiscard]] pyvoc_status try_flush() noexcept { return pyvoc_stream_flush(handle_.get()); }
  [[nodiscard]] pyvoc_status try_reset(std::uint64_t seed) noexcept {
    return pyvoc_stream_reset(handle_.get(), seed);
  }

  std::size_t available() const noexcept { return pyvoc_stream_available(handle_.get()); }
  std::size_t latency_samples() const noexcept {
    return pyvoc_stream_latency_samples(handle_.get());
  }

  // As pyvoc_stream_set_draws: borrowed until they are used up, reset or the stream closes.
  void set_draws(const float* draws, std::size_t n) {
    check(pyvoc_stream_set_draws(handle_.get(), draws, n));
  }

  pyvoc_stream* get() const noexcept { return handle_.get(); }

 private:
  void open(const Model& model, const pyvoc_stream_options& options) {
    pyvoc_stream* stream = nullptr;
    check(pyvoc_stream_open(model.get(), &options, &stream));
    handle_.reset(stream);
  }

  detail::Handle<pyvoc_stream, pyvoc_stream_close> handle_;
};

// Pulls from `n` streams of one model in lockstep: samples[i] has room for `capacity`, written[i]
// is stored for each.
inline void pull_batch(Stream* const* streams, std::size_t n, float* const* samples,
                       std::size_t capacity, std::size_t* written) {
  std::vector<pyvoc_stream*> handles(n);
  for (std::size_t i = 0; i < n; ++i) handles[i] = streams[i]->get();
  check(pyvoc_stream_pull_batch(handles.data(), n, samples, capacity, written));
}

// One utterance as several streams; immutable.
class Folds {
 public:
  Folds(const Model& model, std::size_t frames, const pyvoc_folds_options& options) {
    pyvoc_folds* folds = nullptr;
    check(pyvoc_folds_open(model.get(), frames, &options, &folds));
    handle_.reset(folds);
  }

  pyvoc_folds_info info() const {
    pyvoc_folds_info info{};
    info.struct_size = sizeof info;
    check(pyvoc_folds_get_info(handle_.get(), &info));
    return info;
  }

  pyvoc_fold operator[](std::size_t i) const {
    pyvoc_fold fold{};
    fold.struct_size = sizeof fold;
    check(pyvoc_folds_get(handle_.get(), i, &fold));
    return fold;
  }

  // parts[i] has fold i's samples, `samples` room for the utterance.
  void join(const float* const* parts, std::size_t n, float* samples, std::size_t capacity) const {
    check(pyvoc_folds_join(handle_.get(), parts, n, samples, capacity));
  }

 private:
  detail::Handle<pyvoc_folds, pyvoc_folds_close> handle_;
};

// PCM in, frames out. One thread at a time.
class Extractor {
 public:
  explicit Extractor(const char* layout) {
    pyvoc_extractor* extractor = nullptr;
    check(pyvoc_extractor_open(layout, &extractor));
    handle_.reset(extractor);
  }
  explicit Extractor(const std::string& layout) : Extractor(layout.c_str()) {}

  // Of the features that the model reads.
  explicit Extractor(const Model& model) {
    pyvoc_extractor* extractor = nullptr;
    check(pyvoc_extractor_open_for_model(model.get(), &extractor));
    handle_.reset(extractor);
  }
  // Of any mel recipe; recipe.struct_size is set.
  explicit Extractor(const pyvoc_mel_recipe& recipe) {
    pyvoc_extractor* extractor = nullptr;
    check(pyvoc_extractor_open_mel(&recipe, &extractor));
    handle_.reset(extractor);
  }

  pyvoc_extractor_info info() const {
    pyvoc_extractor_info info{};
    info.struct_size = sizeof info;
    check(pyvoc_extractor_get_info(handle_.get(), &info));
    return info;
  }

  // The most frames that pushing `n_samples` now (or, with 0, flushing) can complete.
  std::size_t frames_after(std::size_t n_samples) const noexcept {
    return pyvoc_extractor_frames_after(handle_.get(), n_samples);
  }

  // Writes completed frames [capacity_frames, feature_dims]; how many.
  std::size_t push(const float* pcm, std::size_t n_samples, float* frames,
                   std::size_t capacity_frames) {
    std::size_t written = 0;
    check(pyvoc_extractor_push(handle_.get(), pcm, n_samples, frames, capacity_frames, &written));
    return written;
  }
  std::size_t flush(float* frames, std::size_t capacity_frames) {
    std::size_t written = 0;
    check(pyvoc_extractor_flush(handle_.get(), frames, capacity_frames, &written));
    return written;
  }
  void reset() { check(pyvoc_extractor_reset(handle_.get())); }

  pyvoc_extractor* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<pyvoc_extractor, pyvoc_extractor_close> handle_;
};

// Samples in, samples out, without a model's hum. One thread at a time.
class Denoiser {
 public:
  // bias [bins]: of `denoiser_bias`.
  explicit Denoiser(const std::vector<float>& bias, float strength = 0.1f,
                    std::uint32_t hop_length = 0) {
    pyvoc_denoiser_options options = PYVOC_DENOISER_OPTIONS_INIT;
    options.strength = strength;
    options.hop_length = hop_length;
    pyvoc_denoiser* denoiser = nullptr;
    check(pyvoc_denoiser_open(bias.data(), bias.size(), &options, &denoiser));
    handle_.reset(denoiser);
  }

  std::size_t latency_samples() const noexcept {
    return pyvoc_denoiser_latency_samples(handle_.get());
  }

  // The samples that pushing `n_samples` now (or, with 0, flushing) completes.
  std::size_t samples_after(std::size_t n_samples) const noexcept {
    return pyvoc_denoiser_samples_after(handle_.get(), n_samples);
  }

  // Writes the samples completed; how many.
  std::size_t push(const float* pcm, std::size_t n_samples, float* samples, std::size_t capacity) {
    std::size_t written = 0;
    check(try_push(pcm, n_samples, samples, capacity, &written));
    return written;
  }
  std::size_t flush(float* samples, std::size_t capacity) {
    std::size_t written = 0;
    check(try_flush(samples, capacity, &written));
    return written;
  }
  void reset() { check(pyvoc_denoiser_reset(handle_.get())); }

  // [real-time] The same without exceptions.
  [[nodiscard]] pyvoc_status try_push(const float* pcm, std::size_t n_samples, float* samples,
                                      std::size_t capacity, std::size_t* written) noexcept {
    return pyvoc_denoiser_push(handle_.get(), pcm, n_samples, samples, capacity, written);
  }
  [[nodiscard]] pyvoc_status try_flush(float* samples, std::size_t capacity,
                                       std::size_t* written) noexcept {
    return pyvoc_denoiser_flush(handle_.get(), samples, capacity, written);
  }

  pyvoc_denoiser* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<pyvoc_denoiser, pyvoc_denoiser_close> handle_;
};

// The bias [fft_length / 2 + 1] of a hum; see pyvoc_denoiser_bias.
inline std::vector<float> denoiser_bias(const float* hum, std::size_t n_samples,
                                        std::size_t fft_length = 1024) {
  std::vector<float> bias(fft_length / 2 + 1);
  check(pyvoc_denoiser_bias(hum, n_samples, bias.data(), bias.size()));
  return bias;
}

// Samples at one rate in, samples at another out. One thread at a time.
class Resampler {
 public:
  // Hz.
  Resampler(std::uint32_t from_rate, std::uint32_t to_rate) {
    pyvoc_resampler* resampler = nullptr;
    check(pyvoc_resampler_open(from_rate, to_rate, &resampler));
    handle_.reset(resampler);
  }

  // Of the input.
  std::size_t latency_samples() const noexcept {
    return pyvoc_resampler_latency_samples(handle_.get());
  }

  // The most samples that pushing `n_samples` now (or, with 0, flushing) completes.
  std::size_t samples_after(std::size_t n_samples) const noexcept {
    return pyvoc_resampler_samples_after(handle_.get(), n_samples);
  }

  // Writes the samples completed; how many.
  std::size_t push(const float* pcm, std::size_t n_samples, float* samples, std::size_t capacity) {
    std::size_t written = 0;
    check(try_push(pcm, n_samples, samples, capacity, &written));
    return written;
  }
  std::size_t flush(float* samples, std::size_t capacity) {
    std::size_t written = 0;
    check(try_flush(samples, capacity, &written));
    return written;
  }
  void correct(double factor) { check(pyvoc_resampler_correct(handle_.get(), factor)); }
  void reset() { check(pyvoc_resampler_reset(handle_.get())); }

  // [real-time] The same without exceptions.
  [[nodiscard]] pyvoc_status try_push(const float* pcm, std::size_t n_samples, float* samples,
                                      std::size_t capacity, std::size_t* written) noexcept {
    return pyvoc_resampler_push(handle_.get(), pcm, n_samples, samples, capacity, written);
  }
  [[nodiscard]] pyvoc_status try_flush(float* samples, std::size_t capacity,
                                       std::size_t* written) noexcept {
    return pyvoc_resampler_flush(handle_.get(), samples, capacity, written);
  }

  pyvoc_resampler* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<pyvoc_resampler, pyvoc_resampler_close> handle_;
};

// Microphone samples in, loudspeaker samples out, on the caller's thread; see pyvoc/live.h. One
// thread at a time. Keeps its model alive.
class LivePath {
 public:
  LivePath(const Model& model, const pyvoc_live_path_options& options) {
    pyvoc_live_path* path = nullptr;
    check(pyvoc_live_path_open(model.get(), &options, &path));
    handle_.reset(path);
  }

  // [real-time] How many samples, or frames `stride` floats apart, were taken.
  std::size_t push(const float* pcm, std::size_t n_samples) noexcept {
    return pyvoc_live_path_push(handle_.get(), pcm, n_samples);
  }
  std::size_t push_features(const float* rows, std::size_t n, std::size_t stride) noexcept {
    return pyvoc_live_path_push_features(handle_.get(), rows, n, stride);
  }
  void finish() noexcept { pyvoc_live_path_finish(handle_.get()); }
  // [real-time] How many samples were written.
  std::size_t pull(float* samples, std::size_t capacity) noexcept {
    return pyvoc_live_path_pull(handle_.get(), samples, capacity);
  }

  // Semitones.
  void set_shift(float pitch, float formant) {
    check(pyvoc_live_path_set_shift(handle_.get(), pitch, formant));
  }
  void correct(double factor) { check(pyvoc_live_path_correct(handle_.get(), factor)); }
  void reset() { check(pyvoc_live_path_reset(handle_.get())); }
  pyvoc_live_path_info info() const {
    pyvoc_live_path_info info{};
    info.struct_size = sizeof info;
    check(pyvoc_live_path_get_info(handle_.get(), &info));
    return info;
  }

  pyvoc_live_path* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<pyvoc_live_path, pyvoc_live_path_close> handle_;
};

// Live sound: an engine between two audio callbacks, see pyvoc/live.h. Keeps its model alive. Stop
// the audio before it is destroyed.
class Live {
 public:
  Live(const Model& model, const pyvoc_live_options& options) {
    pyvoc_live* live = nullptr;
    check(pyvoc_live_open(model.get(), &options, &live));
    handle_.reset(live);
  }

  void start() { check(pyvoc_live_start(handle_.get())); }

  // [real-time] For the callbacks; how many frames were taken, or are sound.
  std::size_t write(const float* pcm, std::size_t frames) noexcept {
    return pyvoc_live_write(handle_.get(), pcm, frames);
  }
  std::size_t write_features(const float* rows, std::size_t n, std::size_t stride) noexcept {
    return pyvoc_live_write_features(handle_.get(), rows, n, stride);
  }
  std::size_t read(float* pcm, std::size_t frames) noexcept {
    return pyvoc_live_read(handle_.get(), pcm, frames);
  }
  void end_input() noexcept { pyvoc_live_end_input(handle_.get()); }

  // Semitones.
  void set_shift(float pitch, float formant) {
    check(pyvoc_live_set_shift(handle_.get(), pitch, formant));
  }
  // Borrowed until the engine is destroyed.
  void set_probe(const float* samples, std::size_t n) {
    check(pyvoc_live_set_probe(handle_.get(), samples, n));
  }
  std::size_t tap_input(float* samples, std::size_t capacity) noexcept {
    return pyvoc_live_tap_input(handle_.get(), samples, capacity);
  }
  std::size_t tap_output(float* samples, std::size_t capacity) noexcept {
    return pyvoc_live_tap_output(handle_.get(), samples, capacity);
  }
  pyvoc_live_stats stats() const {
    pyvoc_live_stats stats{};
    stats.struct_size = sizeof stats;
    check(pyvoc_live_get_stats(handle_.get(), &stats));
    return stats;
  }

  pyvoc_live* get() const noexcept { return handle_.get(); }

 private:
  detail::Handle<pyvoc_live, pyvoc_live_close> handle_;
};

}  // namespace cpp_v0
}  // namespace pyvoc
#endif  // PYVOC_PYVOC_HPP_
