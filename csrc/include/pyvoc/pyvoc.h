/* pyvoc: a real-time neural vocoder runtime. The C ABI (C99).
 *
 * Order of use
 *   pyvoc_model_load -> pyvoc_stream_open -> { pyvoc_stream_push, pyvoc_stream_pull }* ->
 *   pyvoc_stream_flush -> pyvoc_stream_pull until 0 -> pyvoc_stream_close -> pyvoc_model_release
 *
 * Ownership: every `*_load`/`*_open` result is released by the matching `*_release`/`*_close`,
 * which accept NULL. A stream keeps its model alive. Strings returned as `const char*` belong to
 * the library: they live as long as the object they came from (or, for pyvoc_last_error, until the
 * next call on the same thread).
 *
 * Threads: a model is immutable and may be used from any number of threads. A stream, an extractor,
 * a denoiser or a resampler belongs to one thread at a time; a concurrent call is refused with
 * PYVOC_ERROR_BUSY.
 * Real time: the functions marked [real-time] do not allocate, lock, log or block (unless the
 * environment variable PYVOC_BACKEND or the build gives layers to a vendor's library).
 *
 * Errors: functions return PYVOC_OK (0) or a code; pyvoc_last_error() has the sentence. The out
 * parameters are written on success only, unless a function says otherwise.
 *
 * Structs that callers fill begin with `struct_size`: set it to sizeof(the struct) and zero the
 * rest; the *_INIT macros do so.
 */
#ifndef PYVOC_PYVOC_H_
#define PYVOC_PYVOC_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(PYVOC_SHARED)
#ifdef PYVOC_BUILDING
#define PYVOC_API __declspec(dllexport)
#else
#define PYVOC_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define PYVOC_API __attribute__((visibility("default")))
#else
#define PYVOC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define PYVOC_VERSION_MAJOR 0
#define PYVOC_VERSION_MINOR 1
#define PYVOC_VERSION_PATCH 0

typedef enum pyvoc_status {
  PYVOC_OK = 0,
  PYVOC_ERROR_ARGUMENT = 1,    /* a null pointer, a bad size, an unknown name */
  PYVOC_ERROR_MODEL = 2,       /* a model file that is damaged or not what its header says */
  PYVOC_ERROR_FEATURE = 3,     /* features of the wrong layout, size or value (NaN, Inf, absurd) */
  PYVOC_ERROR_AUDIO = 4,       /* audio of the wrong layout, rate or value */
  PYVOC_ERROR_UNSUPPORTED = 5, /* valid, but this build or machine does not do it */
  PYVOC_ERROR_IO = 6,          /* the operating system refused a file */
  PYVOC_ERROR_MEMORY = 7,      /* out of memory */
  PYVOC_ERROR_BUSY = 8,        /* the stream is in use by another thread */
  PYVOC_ERROR_FULL = 9,        /* no room for the pushed frames: pull first, or reserve more */
  PYVOC_ERROR_STATE = 10       /* the call is out of order (push after flush, ...) */
} pyvoc_status;

typedef struct pyvoc_model pyvoc_model;
typedef struct pyvoc_stream pyvoc_stream;
typedef struct pyvoc_extractor pyvoc_extractor;
typedef struct pyvoc_denoiser pyvoc_denoiser;
typedef struct pyvoc_folds pyvoc_folds;
typedef struct pyvoc_resampler pyvoc_resampler;

/* "0.1.0". */
PYVOC_API const char* pyvoc_version(void);

/* The last error of the calling thread as one sentence, or "" (never NULL). */
PYVOC_API const char* pyvoc_last_error(void);

/* A JSON object on this machine: cpu, tiers (built, supported, active; "asked_for": taken only
 * where PYVOC_ISA names it, as it rounds more), the kernel table slot by slot, backends, what they
 * are and why one is unavailable (which loads their libraries). Resolves the kernel table; fails
 * with PYVOC_ERROR_UNSUPPORTED when the environment variable PYVOC_ISA names an unknown or
 * unsupported tier. */
PYVOC_API pyvoc_status pyvoc_system_info(const char** json);

/* ---- models ---------------------------------------------------------------------------------- */

typedef struct pyvoc_model_info {
  uint32_t struct_size;
  const char* architecture;   /* "lpcnet" */
  const char* precision;      /* "f32", "bf16", "int8": what the file holds */
  const char* feature_layout; /* layout of the model's feature files: "lpcnet36", "opus20" */
  uint32_t layout_dims;       /* floats per frame in files of that layout: 36, 55 */
  uint32_t sample_rate;       /* Hz */
  uint32_t hop_length;        /* samples per frame */
  uint32_t feature_dims;      /* floats per frame that the model reads: the first 20, 38 */
  uint32_t lookahead_frames;  /* frames that must be pushed beyond the one being heard */
  uint32_t draws_per_sample;  /* draws per sample when they are given; 0: not stochastic */
  uint32_t distribution_size; /* floats per sample of pyvoc_model_predict; 0: no such output */
  uint32_t takes_sigma;       /* 1: starts from normal noise, see pyvoc_stream_options.sigma */
  uint32_t flows;             /* doubles per sum of pyvoc_model_forward; 0: no such direction */
  uint32_t latency_samples;   /* pyvoc_stream_latency_samples with the model's own look-ahead */
  uint32_t prime_samples;     /* that pyvoc_stream_prime wants; 0: the model cannot */
  uint32_t prime_frames;      /* the same */
  uint32_t pitch_network;     /* 1: it brings a network for the pitch in features of audio */
} pyvoc_model_info;

/* Loads a pyvoc GGUF model; the file is read, checked and packed for this machine. */
PYVOC_API pyvoc_status pyvoc_model_load(const char* path, pyvoc_model** model);

/* The same from memory of any alignment, which is not needed after the call. */
PYVOC_API pyvoc_status pyvoc_model_load_memory(const void* data, size_t size, pyvoc_model** model);

PYVOC_API void pyvoc_model_release(pyvoc_model* model);

/* Fills `info`; set info->struct_size before the call. */
PYVOC_API pyvoc_status pyvoc_model_get_info(const pyvoc_model* model, pyvoc_model_info* info);

/* A JSON object: metadata, the tensors, the plan (layer, shape, precision, backend, kernel). */
PYVOC_API pyvoc_status pyvoc_model_describe(const pyvoc_model* model, const char** json);

/* Teacher-forced output distributions of an autoregressive model.
 * features: `frames` rows, `stride` floats apart (>= feature_dims); pcm: the signal that is fed
 * back, n_samples floats in -1..1 aligned with the frames (sample i belongs to frame i /
 * hop_length), n_samples <= frames * hop_length. probabilities [n_samples, distribution_size]:
 * for LPCNet P(class | the past), each row sums to 1, classes are mu-law excitation codes; for
 * WaveRNN the last layer's outputs: logits of labels, or a mixture of logistics (all weights'
 * logits, all means, all logarithms of scales). */
PYVOC_API pyvoc_status pyvoc_model_predict(const pyvoc_model* model, const float* features,
                                           size_t frames, size_t stride, const float* pcm,
                                           size_t n_samples, float* probabilities);

/* The other direction of a flow-based model (WaveGlow): from audio to the noise that synthesis
 * would make it of, for its likelihood. features and pcm as above, n_samples being whole steps (the
 * `groups` of the model). Writes noise [n_samples], in the order of pyvoc_stream_set_draws but
 * scaled; log_scales [flows]: for each flow, flow 0 first, the logarithms of the scales of all
 * steps, added up; log_dets [flows]: steps times the logarithm of the determinant of its 1x1
 * convolution. The logarithm of pcm's probability density is that of the noise's under
 * N(0, sigma^2), plus all log_scales, plus all log_dets. threads as in pyvoc_stream_options. After
 * an error what was written means nothing. PYVOC_ERROR_UNSUPPORTED: there is no such direction, or
 * a determinant is not positive. PYVOC_ERROR_MODEL: the noise is not finite. */
PYVOC_API pyvoc_status pyvoc_model_forward(const pyvoc_model* model, const float* features,
                                           size_t frames, size_t stride, const float* pcm,
                                           size_t n_samples, uint32_t threads, float* noise,
                                           double* log_scales, double* log_dets);

/* ---- streams: frames in, samples out --------------------------------------------------------- */

/* threads: that may work on this stream, the caller's among them; 0 is 1, at most 64. Models whose
 * samples are too little work each (LPCNet) use one. In a lockstep one stream's threads serve all.
 * The samples do not depend on it. Helpers poll: busily for a moment after each pull, then every
 * few milliseconds until the stream is closed. Fewer lookahead_frames than the model's own: at the
 * end of each push, the samples that are due are computed as if the stream ended there; they depend
 * on the pushes then, and each push costs a pass over the look-ahead that is missing. */
typedef struct pyvoc_stream_options {
  uint32_t struct_size;
  uint32_t capacity_frames; /* room for pushed frames that were not pulled yet; 0: 64 */
  uint64_t seed;            /* of the random draws; 0 is upstream's fixed seed where there is one */
  uint32_t threads;
  uint32_t sigma_given; /* 1: `sigma` counts, in place of what the model file says */
  float sigma;          /* 0 to 4: standard deviation of the noise of a model that takes_sigma */
  uint32_t lookahead_given;  /* 1: `lookahead_frames` counts, in place of the model's own */
  uint32_t lookahead_frames; /* 0 to 65535; fewer than the model's own: WaveGlow only */
} pyvoc_stream_options;

#define PYVOC_STREAM_OPTIONS_INIT {sizeof(pyvoc_stream_options), 0, 0, 0, 0, 0.0f, 0, 0}

/* `options` may be NULL. In a process that was forked, a stream that has helpers may be closed and
 * nothing else: the threads are its parent's, and other calls give PYVOC_ERROR_STATE. */
PYVOC_API pyvoc_status pyvoc_stream_open(pyvoc_model* model, const pyvoc_stream_options* options,
                                         pyvoc_stream** stream);
PYVOC_API void pyvoc_stream_close(pyvoc_stream* stream);

/* Makes room for `frames` more frames beyond those waiting. Allocates: not for the audio thread. */
PYVOC_API pyvoc_status pyvoc_stream_reserve(pyvoc_stream* stream, size_t frames);

/* [real-time] Appends `n_frames` rows, `stride` floats apart, of which the first feature_dims are
 * read: all rows or, with PYVOC_ERROR_FULL or PYVOC_ERROR_FEATURE (NaN, absurd values), none. */
PYVOC_API pyvoc_status pyvoc_stream_push(pyvoc_stream* stream, const float* frames, size_t n_frames,
                                         size_t stride);

/* [real-time] Samples that pull can give now. */
PYVOC_API size_t pyvoc_stream_available(const pyvoc_stream* stream);

/* [real-time] Synthesises up to `capacity` samples into `samples` and stores their number, which is
 * less only when frames run out. They are finite floats where full scale is 1. No family but
 * WaveGlow leaves -1..1; its samples are not limited, as upstream's, but for a damaged model's,
 * which end at +-100: clip them before they become integers. Whatever the sizes pushed and pulled,
 * the samples are the same (but for a short look-ahead, see pyvoc_stream_options). A model that
 * goes sample by sample (LPCNet, WaveRNN) synthesises as many as are pulled, but whole hops where
 * its file asks for a comb ("pyvoc.comb" among the metadata of pyvoc_model_describe): the first
 * sample of a hop takes the time of all. */
PYVOC_API pyvoc_status pyvoc_stream_pull(pyvoc_stream* stream, float* samples, size_t capacity,
                                         size_t* written);

/* [real-time] Pulls the same number of samples from `n` streams of ONE model in lockstep, sharing
 * the weights while they are in cache: samples[i] has room for `capacity`, written[i] is stored for
 * each. Each stream yields exactly what pyvoc_stream_pull would. */
PYVOC_API pyvoc_status pyvoc_stream_pull_batch(pyvoc_stream* const* streams, size_t n,
                                               float* const* samples, size_t capacity,
                                               size_t* written);

/* [real-time] Ends the input: the frames held back for look-ahead become available, with the last
 * frame repeated beyond the end. n frames pushed give n * hop_length samples in all. */
PYVOC_API pyvoc_status pyvoc_stream_flush(pyvoc_stream* stream);

/* [real-time] Goes on where a signal ended, say at the gap that a lost packet left: takes its last
 * samples (float, -1..1) and its last frames, `stride` floats apart, at least as many as the
 * model's prime_samples and prime_frames; of more, the last ones count. After open or reset, before
 * the first push. The samples end where a stream would stand that had been given those frames:
 * latency_samples before the end of the last frame's hop. Each frame pushed then gives hop_length
 * samples at once, and flush latency_samples more.
 * PYVOC_ERROR_UNSUPPORTED: the model cannot (all but FARGAN). PYVOC_ERROR_STATE: too late.
 * PYVOC_ERROR_ARGUMENT: too few, or a sample beyond -1..1. PYVOC_ERROR_FEATURE as for push. After
 * an error nothing has changed. */
PYVOC_API pyvoc_status pyvoc_stream_prime(pyvoc_stream* stream, const float* samples,
                                          size_t n_samples, const float* frames, size_t n_frames,
                                          size_t stride);

/* [real-time] Leaves out the next `n` samples: they are not synthesised and take no draws, the
 * frames are heard all the same. PYVOC_ERROR_UNSUPPORTED for models that do not go sample by sample
 * (all but WaveRNN). With a comb the rest of a hop that was begun is synthesised already. */
PYVOC_API pyvoc_status pyvoc_stream_skip(pyvoc_stream* stream, size_t n);

/* [real-time] Back to the state after open, with a new seed. Draws given and samples still to be
 * left out are dropped. */
PYVOC_API pyvoc_status pyvoc_stream_reset(pyvoc_stream* stream, uint64_t seed);

/* [real-time] How many samples the output lags the input because of look-ahead. */
PYVOC_API size_t pyvoc_stream_latency_samples(const pyvoc_stream* stream);

/* Gives the random draws from outside, draws_per_sample for each sample: `n` uniforms in [0, 1), in
 * the order of the samples. A model that takes_sigma (WaveGlow) wants standard normal numbers, for
 * n samples from the beginning of the stream, in upstream's order: steps = n / groups; the noise of
 * the last flow [channels, steps], then what joins it, part after part [early_size, steps]. The
 * array is borrowed until it is used up, reset or closed; after its end the stream goes on with its
 * own generator. With a comb, draws are taken a hop at a time: what is given in the middle of one
 * counts, and is borrowed, from the next on. */
PYVOC_API pyvoc_status pyvoc_stream_set_draws(pyvoc_stream* stream, const float* draws, size_t n);

/* ---- folding: one utterance as several streams --------------------------------------------------
 *
 * A network whose samples depend on each other (WaveRNN) makes several at a time faster than one
 * after the other. Folds are parts of an utterance that overlap, each spoken from the beginning
 * state by a stream of its own:
 *   pyvoc_folds_open -> for each fold { pyvoc_stream_open, skip, push, flush } ->
 *   pyvoc_stream_pull_batch -> pyvoc_folds_join -> pyvoc_folds_close */

typedef struct pyvoc_folds_options {
  uint32_t struct_size;
  uint32_t upstream; /* 1: divided and joined as fatchord/WaveRNN does, its cross-fades at both ends
                      * of every fold, a hop less than there are frames, the end faded out */
  uint64_t target;   /* samples between two overlaps, at most; 0: one fold, the whole */
  uint64_t overlap;  /* samples, less than the target */
} pyvoc_folds_options;

#define PYVOC_FOLDS_OPTIONS_INIT {sizeof(pyvoc_folds_options), 0, 11000, 550}

typedef struct pyvoc_folds_info {
  uint32_t struct_size;
  uint64_t count;   /* folds */
  uint64_t samples; /* of the utterance after joining */
  uint64_t length;  /* samples of the longest fold; with `upstream` of each, heard or not */
} pyvoc_folds_info;

typedef struct pyvoc_fold {
  uint32_t struct_size;
  uint64_t start;       /* where it begins, a sample of the utterance */
  uint64_t samples;     /* to be pulled */
  uint64_t first_frame; /* of those to be pushed, the look-ahead on both sides among them */
  uint64_t frames;
  uint64_t skip; /* for pyvoc_stream_skip, before the first pull */
} pyvoc_fold;

/* Divides an utterance of `frames` frames. `options` may be NULL. PYVOC_ERROR_ARGUMENT: an overlap
 * that is not less than the target, or folds that are longer than the utterance (not with
 * `upstream`, which needs 21 frames); PYVOC_ERROR_UNSUPPORTED: as pyvoc_stream_skip. */
PYVOC_API pyvoc_status pyvoc_folds_open(const pyvoc_model* model, size_t frames,
                                        const pyvoc_folds_options* options, pyvoc_folds** folds);
PYVOC_API void pyvoc_folds_close(pyvoc_folds* folds);
PYVOC_API pyvoc_status pyvoc_folds_get_info(const pyvoc_folds* folds, pyvoc_folds_info* info);

/* Fold `i` < count; set fold->struct_size before the call. */
PYVOC_API pyvoc_status pyvoc_folds_get(const pyvoc_folds* folds, size_t i, pyvoc_fold* fold);

/* Joins what was pulled, parts[i] fold i's samples for all `n` = count of them, into `samples`,
 * whose capacity is that of the utterance or more. Joins keep the power and never exceed full
 * scale (with `upstream` they may). */
PYVOC_API pyvoc_status pyvoc_folds_join(const pyvoc_folds* folds, const float* const* parts,
                                        size_t n, float* samples, size_t capacity);

/* ---- feature extraction: PCM in, frames out -------------------------------------------------- */

typedef struct pyvoc_extractor_info {
  uint32_t struct_size;
  uint32_t sample_rate;     /* Hz the PCM must have */
  uint32_t hop_length;      /* samples per frame */
  uint32_t feature_dims;    /* floats per frame */
  uint32_t latency_samples; /* how far a frame's centre lies behind the newest sample it needed */
} pyvoc_extractor_info;

/* layout: "lpcnet36" (xiph/LPCNet latest, 36 floats), "lpcnet20" (its first 20), "lpcnet55"
 * (2019), "opus20" (FARGAN: as lpcnet20, the pitch in octaves; a model with a pitch_network has
 * better ones, pyvoc_extractor_open_for_model), or the mel frames of "mel-nvidia"
 * (Tacotron 2, WaveGlow, MelGAN: 22050 Hz, 80 bands, natural logarithm), "mel-descript"
 * (melgan-neurips: log10, up to 11025 Hz), "mel-fatchord" (WaveRNN: hop 275, decibels mapped to
 * 0..1) or "mel-hifigan" (HiFi-GAN: as "mel-nvidia", but each frame's centre is half a hop
 * later). */
PYVOC_API pyvoc_status pyvoc_extractor_open(const char* layout, pyvoc_extractor** extractor);

/* The extractor of a model's own features: what pyvoc_stream_push wants. The model may be released
 * before the extractor is closed. */
PYVOC_API pyvoc_status pyvoc_extractor_open_for_model(const pyvoc_model* model,
                                                      pyvoc_extractor** extractor);

typedef enum pyvoc_mel_log {
  PYVOC_MEL_LN = 0,
  PYVOC_MEL_LOG10 = 1,
  PYVOC_MEL_DB = 2 /* 20 log10 of amplitudes, 10 log10 of powers */
} pyvoc_mel_log;

typedef enum pyvoc_mel_padding {
  PYVOC_MEL_REFLECT = 0, /* mirrored, the edge not repeated */
  PYVOC_MEL_ZERO = 1
} pyvoc_mel_padding;

/* How mel frames are computed. Always: periodic Hann window centred in the transform, Slaney mel
 * scale, filters of unit area, clamp at `floor` before the logarithm. The number of frames is
 * 1 + (samples + 2 pad - fft_length) / hop_length. */
typedef struct pyvoc_mel_recipe {
  uint32_t struct_size;
  uint32_t sample_rate;   /* Hz */
  uint32_t hop_length;    /* samples */
  uint32_t window_length; /* samples, <= fft_length */
  uint32_t fft_length;    /* a power of two, 16 to 16384 */
  uint32_t bands;
  float fmin;          /* Hz */
  float fmax;          /* Hz, up to half the rate */
  uint32_t log;        /* pyvoc_mel_log */
  float floor;         /* > 0 */
  uint32_t power;      /* 1: of magnitudes; 2: of powers */
  uint32_t padding;    /* pyvoc_mel_padding */
  uint32_t pad;        /* samples added at each end */
  uint32_t normalized; /* decibels only: (dB - ref_db - min_db) / -min_db, clipped to 0..1 */
  float ref_db;
  float min_db;  /* < 0 */
  float epsilon; /* >= 0: magnitudes are sqrt(re^2 + im^2 + epsilon) */
} pyvoc_mel_recipe;

/* The extractor of any mel recipe. */
PYVOC_API pyvoc_status pyvoc_extractor_open_mel(const pyvoc_mel_recipe* recipe,
                                                pyvoc_extractor** extractor);

PYVOC_API void pyvoc_extractor_close(pyvoc_extractor* extractor);
PYVOC_API pyvoc_status pyvoc_extractor_get_info(const pyvoc_extractor* extractor,
                                                pyvoc_extractor_info* info);

/* The most frames that pushing `n_samples` now (or, with 0, flushing) can complete. */
PYVOC_API size_t pyvoc_extractor_frames_after(const pyvoc_extractor* extractor, size_t n_samples);

/* [real-time] Feeds PCM (float, -1..1, mono, any number of samples). Writes completed frames
 * [capacity_frames, feature_dims]; needs capacity_frames >=
 * pyvoc_extractor_frames_after(n_samples). */
PYVOC_API pyvoc_status pyvoc_extractor_push(pyvoc_extractor* extractor, const float* pcm,
                                            size_t n_samples, float* frames, size_t capacity_frames,
                                            size_t* written);

/* [real-time] Ends the signal: writes the frames that were held back; needs capacity_frames >=
 * pyvoc_extractor_frames_after(0). LPCNet's layouts drop an incomplete last hop, as upstream does;
 * mel recipes pad the end. */
PYVOC_API pyvoc_status pyvoc_extractor_flush(pyvoc_extractor* extractor, float* frames,
                                             size_t capacity_frames, size_t* written);

/* [real-time] Back to the state after open. */
PYVOC_API pyvoc_status pyvoc_extractor_reset(pyvoc_extractor* extractor);

/* ---- denoising: samples in, samples out ---------------------------------------------------------
 *
 * A model's hum, what it makes of no speech, is subtracted from the magnitudes of a short-time
 * Fourier transform; the phases stay (as the denoiser of NVIDIA's WaveGlow, which hears the hum in
 * what the model makes of 88 mel frames of zeros without noise). */

typedef struct pyvoc_denoiser_options {
  uint32_t struct_size;
  uint32_t hop_length; /* samples, at most a quarter of the transform; 0: a quarter of it */
  float strength;      /* 0 to 1: the part of the bias that is subtracted */
} pyvoc_denoiser_options;

#define PYVOC_DENOISER_OPTIONS_INIT {sizeof(pyvoc_denoiser_options), 0, 0.1f}

/* The bias of a hum: the magnitudes of its first frame. `bins` is half the transform's length, a
 * power of two from 16 to 16384, and one: 513 for upstream's 1024 points. The hum (float, -1..1)
 * has at least `bins` samples. */
PYVOC_API pyvoc_status pyvoc_denoiser_bias(const float* hum, size_t n_samples, float* bias,
                                           size_t bins);

/* A denoiser for audio of the rate that the bias is of; the transform has 2 (bins - 1) points.
 * `options` may be NULL. */
PYVOC_API pyvoc_status pyvoc_denoiser_open(const float* bias, size_t bins,
                                           const pyvoc_denoiser_options* options,
                                           pyvoc_denoiser** denoiser);
PYVOC_API void pyvoc_denoiser_close(pyvoc_denoiser* denoiser);

/* [real-time] The most that the output lags the input: one less than the transform's length. Input
 * in whole hops is followed at the transform's length less one hop. */
PYVOC_API size_t pyvoc_denoiser_latency_samples(const pyvoc_denoiser* denoiser);

/* [real-time] The samples that pushing `n_samples` now (or, with 0, flushing) completes. */
PYVOC_API size_t pyvoc_denoiser_samples_after(const pyvoc_denoiser* denoiser, size_t n_samples);

/* [real-time] Feeds samples (float, -1..1, any number) and writes the ones completed; needs
 * capacity >= pyvoc_denoiser_samples_after(n_samples). `samples` must not overlap `pcm`. Output is
 * aligned, n samples give n samples, and the same ones whatever the sizes pushed. */
PYVOC_API pyvoc_status pyvoc_denoiser_push(pyvoc_denoiser* denoiser, const float* pcm,
                                           size_t n_samples, float* samples, size_t capacity,
                                           size_t* written);

/* [real-time] Ends the signal and writes the rest; needs capacity >=
 * pyvoc_denoiser_samples_after(0). */
PYVOC_API pyvoc_status pyvoc_denoiser_flush(pyvoc_denoiser* denoiser, float* samples,
                                            size_t capacity, size_t* written);

/* [real-time] Back to the state after open. */
PYVOC_API pyvoc_status pyvoc_denoiser_reset(pyvoc_denoiser* denoiser);

/* ---- resampling ------------------------------------------------------------------------------
 *
 * Band-limited interpolation, flat to 0.41 of the lower rate, 80 dB down from half of it. The
 * output is aligned: output sample j lies at input time j * from_rate / to_rate. */

/* Rates in Hz, 4000 to 384000. */
PYVOC_API pyvoc_status pyvoc_resampler_open(uint32_t from_rate, uint32_t to_rate,
                                            pyvoc_resampler** resampler);
PYVOC_API void pyvoc_resampler_close(pyvoc_resampler* resampler);

/* [real-time] Input samples that an output sample waits for. */
PYVOC_API size_t pyvoc_resampler_latency_samples(const pyvoc_resampler* resampler);

/* [real-time] The most samples that pushing `n_samples` now (or, with 0, flushing) completes. */
PYVOC_API size_t pyvoc_resampler_samples_after(const pyvoc_resampler* resampler, size_t n_samples);

/* [real-time] Feeds samples (float, -1..1, any number) and writes the ones completed; needs
 * capacity >= pyvoc_resampler_samples_after(n_samples). `samples` must not overlap `pcm`. The
 * samples do not depend on the sizes pushed. */
PYVOC_API pyvoc_status pyvoc_resampler_push(pyvoc_resampler* resampler, const float* pcm,
                                            size_t n_samples, float* samples, size_t capacity,
                                            size_t* written);

/* [real-time] Ends the signal and writes the rest; needs capacity >=
 * pyvoc_resampler_samples_after(0). */
PYVOC_API pyvoc_status pyvoc_resampler_flush(pyvoc_resampler* resampler, float* samples,
                                             size_t capacity, size_t* written);

/* [real-time] From here on `factor` output samples, 0.995 to 1.005, for each one that the rates ask
 * for: two devices' clocks are never the same. */
PYVOC_API pyvoc_status pyvoc_resampler_correct(pyvoc_resampler* resampler, double factor);

/* [real-time] Back to the state after open. */
PYVOC_API pyvoc_status pyvoc_resampler_reset(pyvoc_resampler* resampler);

#ifdef __cplusplus
}
#endif

#include "pyvoc/live.h" /* pyvoc_live_*: live sound */

#endif /* PYVOC_PYVOC_H_ */
