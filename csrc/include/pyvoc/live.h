/* Live: a microphone through a model to a loudspeaker. Comes with pyvoc.h, whose rules hold here.
 *
 * An engine with a thread of its own between two audio callbacks, which are the caller's: the input
 * callback calls pyvoc_live_write, the output callback pyvoc_live_read, a callback that has both
 * calls both, in this order; with PortAudio, give it pyvoc_live_portaudio. Neither allocates, locks
 * or makes a system call.
 *   pyvoc_live_open -> pyvoc_live_start -> { audio } -> pyvoc_live_close
 * One thread writes, one reads, one owns the engine (open, start, close, tap); stats may be asked
 * by any. Stop the audio before pyvoc_live_close. */
#ifndef PYVOC_LIVE_H_
#define PYVOC_LIVE_H_

#include "pyvoc/pyvoc.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pyvoc_live pyvoc_live;

enum {
  PYVOC_LIVE_BYPASS = 1,       /* the input itself, at the output's rate: no model */
  PYVOC_LIVE_INPUT_WAITS = 2,  /* the input is a file: written when there is room, never lost */
  PYVOC_LIVE_OUTPUT_WAITS = 4, /* the output is a file: read gives what is ready, no silence */
  PYVOC_LIVE_TWO_CLOCKS = 8,   /* two devices: follow the drift between them by resampling */
  PYVOC_LIVE_TAP = 16,         /* keep what comes in and goes out for pyvoc_live_tap_* */
  PYVOC_LIVE_FORCE = 32,       /* open even if the model is slower than real time here */
  PYVOC_LIVE_FEATURES = 64     /* the input is feature frames; implies PYVOC_LIVE_INPUT_WAITS */
};

typedef struct pyvoc_live_options {
  uint32_t struct_size;
  uint32_t flags;
  uint32_t input_rate;      /* Hz, 4000 to 384000; 0: the model's */
  uint32_t output_rate;     /* the same */
  uint32_t input_channels;  /* 1 to 64, averaged; 0: 1 */
  uint32_t output_channels; /* 1 to 64, all the same; 0: 1 */
  uint32_t block;           /* frames that the output callback asks for; 0: 10 ms of them */
  uint32_t chunk_frames;    /* feature frames that the model gets at once, 1 to 32; 0: the fewest
                             * with which it is fast enough, by measurement */
  uint32_t threads;         /* as pyvoc_stream_options.threads */
  float margin;             /* seconds of sound kept in reserve, to 1; below 0: by measurement */
  float pitch;              /* semitones, -24 to 24 */
  float formant;            /* semitones, -24 to 24; models on mel frames take none */
  uint64_t seed;
} pyvoc_live_options;

#define PYVOC_LIVE_OPTIONS_INIT \
  {sizeof(pyvoc_live_options), 0, 0, 0, 0, 0, 0, 0, 0, -1.0f, 0.0f, 0.0f, 0}

/* Allocates, and measures how fast the model is here (up to some seconds). Fails with
 * PYVOC_ERROR_UNSUPPORTED and the figure where that is slower than real time, unless forced. */
PYVOC_API pyvoc_status pyvoc_live_open(pyvoc_model* model, const pyvoc_live_options* options,
                                       pyvoc_live** live);
PYVOC_API void pyvoc_live_close(pyvoc_live* live);

/* Starts the engine's thread, at real-time priority where that is permitted. */
PYVOC_API pyvoc_status pyvoc_live_start(pyvoc_live* live);

/* [real-time] Takes PCM [frames, input_channels], interleaved; returns how many frames were taken.
 * What finds no room is lost and counted (PYVOC_LIVE_INPUT_WAITS: offer it again). NaN becomes 0,
 * what is beyond -1..1 is clipped; both are counted. */
PYVOC_API size_t pyvoc_live_write(pyvoc_live* live, const float* pcm, size_t frames);

/* [real-time] The same with feature frames in place of PCM, `stride` floats apart, where the
 * options say PYVOC_LIVE_FEATURES. */
PYVOC_API size_t pyvoc_live_write_features(pyvoc_live* live, const float* rows, size_t n_frames,
                                           size_t stride);

/* [real-time] Fills PCM [frames, output_channels], interleaved, with silence where nothing is
 * ready; returns how many frames are sound. */
PYVOC_API size_t pyvoc_live_read(pyvoc_live* live, float* pcm, size_t frames);

/* [real-time] A PortAudio callback (PaStreamCallback) for float32 samples; user_data is the
 * pyvoc_live. Either buffer may be NULL. Returns 0, paContinue. */
PYVOC_API int pyvoc_live_portaudio(const void* input, void* output, unsigned long frames,
                                   const void* time_info, unsigned long status_flags,
                                   void* user_data);

/* [real-time] Nothing will be written any more: the rest of the sound comes out. */
PYVOC_API void pyvoc_live_end_input(pyvoc_live* live);

/* [real-time] Another shift of the voice, semitones as in the options. */
PYVOC_API pyvoc_status pyvoc_live_set_shift(pyvoc_live* live, float pitch, float formant);

/* Before start: pyvoc_live_read gives these samples once, then silence, in place of the engine's
 * sound, which goes on to the tap: for measuring delays. Borrowed until close. */
PYVOC_API pyvoc_status pyvoc_live_set_probe(pyvoc_live* live, const float* samples, size_t n);

/* What was written and read so far, mono, at their rates, with PYVOC_LIVE_TAP: up to `capacity`
 * samples; returns their number. At least every 2 seconds, or samples are lost (and counted). */
PYVOC_API size_t pyvoc_live_tap_input(pyvoc_live* live, float* samples, size_t capacity);
PYVOC_API size_t pyvoc_live_tap_output(pyvoc_live* live, float* samples, size_t capacity);

/* Seconds; the fraction p50 (p99, p999) of all did not last longer. */
typedef struct pyvoc_live_times {
  uint64_t count;
  double p50, p99, p999, most;
} pyvoc_live_times;

typedef struct pyvoc_live_stats {
  uint32_t struct_size;
  uint32_t chunk_frames;    /* feature frames that the model gets at once */
  uint32_t realtime_thread; /* 1: the engine's thread has real-time priority */
  uint32_t done;            /* 1: all was read after pyvoc_live_end_input */
  uint64_t input_frames;    /* written and taken */
  uint64_t output_frames;   /* read, silence among them */
  uint64_t callbacks;       /* calls of pyvoc_live_read */
  uint64_t underruns;       /* times that the output ran dry */
  uint64_t silent_frames;   /* of silence because of that */
  uint64_t dropped_frames;  /* of output that came too late, or made up for lost time */
  uint64_t overruns;        /* writes that found no room */
  uint64_t lost_frames;     /* of input, because of that */
  uint64_t bad_samples;     /* of input: NaN, infinite, beyond -1..1 */
  uint64_t bad_features;    /* feature frames that were none; the one before was used again */
  uint64_t input_xruns;     /* that the device reported (pyvoc_live_portaudio) */
  uint64_t output_xruns;
  uint64_t tap_lost; /* samples that nobody took from the taps in time */
  float input_level; /* rms of the latest tenth of a second */
  float output_level;
  double times_real_time;        /* of the measurement before the start */
  double chunk_seconds;          /* of sound in a chunk */
  double delay;                  /* seconds from write to read of the sound read last; with
                                  * PYVOC_LIVE_INPUT_WAITS 0 */
  double input_resampler_delay;  /* parts of it, in seconds */
  double extractor_delay;        /* beyond the end of a frame */
  double lookahead_delay;        /* of the model */
  double output_resampler_delay; /* the rest is chunk_seconds, and time in the output ring */
  double margin;                 /* seconds kept in reserve; underruns enlarge it */
  double slack;                  /* the least of them left in the past half second */
  double clock_factor;           /* output clock against input clock, where they are two */
  double cpu_seconds;            /* processor time of the engine's thread */
  pyvoc_live_times response;     /* from a chunk's last sample written to its sound ready */
  pyvoc_live_times work;         /* of that, the engine's own work */
  pyvoc_live_times jitter;       /* of the output callback: off its time */
  pyvoc_live_times callback;     /* time spent in pyvoc_live_read */
} pyvoc_live_stats;

/* [real-time] Fills `stats`; set stats->struct_size before the call. */
PYVOC_API pyvoc_status pyvoc_live_get_stats(const pyvoc_live* live, pyvoc_live_stats* stats);

/* ---- the same work without thread and clock ----------------------------------------------------
 *
 * What the engine does between its two callbacks, for programs that have their own threads, or
 * none: an AudioWorklet, AAudio, CoreAudio, a plugin. Microphone samples in, loudspeaker samples
 * out, in any pieces; the model runs on the calling thread, in push:
 *   pyvoc_live_path_open -> { pyvoc_live_path_push, pyvoc_live_path_pull }* ->
 *   pyvoc_live_path_finish -> pyvoc_live_path_pull until 0 -> pyvoc_live_path_close
 * The samples do not depend on the pieces, and are those of the engine and of synthesis. In a
 * callback that pushes and pulls as much as it is given, play latency_samples of silence first:
 * then pull never runs short. One thread at a time; a concurrent call does nothing and returns 0.
 * Works in builds without threads. */
typedef struct pyvoc_live_path pyvoc_live_path;

typedef struct pyvoc_live_path_options {
  uint32_t struct_size;
  uint32_t flags;            /* of PYVOC_LIVE_*: BYPASS, FEATURES, TWO_CLOCKS */
  uint32_t input_rate;       /* Hz, 4000 to 384000; 0: the model's */
  uint32_t output_rate;      /* the same */
  uint32_t chunk_frames;     /* feature frames that the model gets at once, 1 to 32; 0: 1. More is
                              * faster with models that are no loop over samples, and later */
  uint32_t threads;          /* as pyvoc_stream_options.threads */
  uint32_t capacity_samples; /* of output that may wait for pull, at least; 0: a second of it */
  float pitch;               /* semitones, -24 to 24 */
  float formant;             /* semitones, -24 to 24; models on mel frames take none */
  uint64_t seed;
} pyvoc_live_path_options;

#define PYVOC_LIVE_PATH_OPTIONS_INIT \
  {sizeof(pyvoc_live_path_options), 0, 0, 0, 0, 0, 0, 0.0f, 0.0f, 0}

/* Allocates all that the path will need. `options` may be NULL. */
PYVOC_API pyvoc_status pyvoc_live_path_open(pyvoc_model* model,
                                            const pyvoc_live_path_options* options,
                                            pyvoc_live_path** path);
PYVOC_API void pyvoc_live_path_close(pyvoc_live_path* path);

/* [real-time] Takes mono PCM; returns how many samples were taken: fewer only when output waits
 * that was not pulled, or after finish. NaN becomes 0, what is beyond -1..1 is clipped; both are
 * counted. */
PYVOC_API size_t pyvoc_live_path_push(pyvoc_live_path* path, const float* pcm, size_t n_samples);

/* [real-time] The same with feature frames in place of PCM, `stride` floats apart, where the
 * options say PYVOC_LIVE_FEATURES. */
PYVOC_API size_t pyvoc_live_path_push_features(pyvoc_live_path* path, const float* rows,
                                               size_t n_frames, size_t stride);

/* [real-time] Nothing will be pushed any more: what the model holds back comes out. */
PYVOC_API void pyvoc_live_path_finish(pyvoc_live_path* path);

/* [real-time] Writes up to `capacity` samples (float, -1..1) at the output's rate; returns their
 * number, which is less when no more are ready. */
PYVOC_API size_t pyvoc_live_path_pull(pyvoc_live_path* path, float* samples, size_t capacity);

/* [real-time] Another shift of the voice, semitones as in the options. */
PYVOC_API pyvoc_status pyvoc_live_path_set_shift(pyvoc_live_path* path, float pitch, float formant);

/* [real-time] Output samples for each one that the nominal rates ask for, 0.995 to 1.005, where the
 * options say PYVOC_LIVE_TWO_CLOCKS: what a program that watches two devices' clocks steers with.
 */
PYVOC_API pyvoc_status pyvoc_live_path_correct(pyvoc_live_path* path, double factor);

/* [real-time] Back to the state after open. */
PYVOC_API pyvoc_status pyvoc_live_path_reset(pyvoc_live_path* path);

typedef struct pyvoc_live_path_info {
  uint32_t struct_size;
  uint32_t input_rate;      /* Hz */
  uint32_t output_rate;     /* Hz */
  uint32_t feature_dims;    /* floats per frame of pyvoc_live_path_push_features */
  uint32_t latency_samples; /* of silence at the output's rate, see above; for features instead of
                             * PCM: with as much pulled as the frames pushed are long */
  uint32_t burst_samples;   /* the most that become ready together */
  uint64_t bad_samples;     /* of input: NaN, infinite, beyond -1..1 */
  uint64_t bad_features;    /* feature frames that were none; the one before was used again */
} pyvoc_live_path_info;

/* [real-time] Fills `info`; set info->struct_size before the call. */
PYVOC_API pyvoc_status pyvoc_live_path_get_info(const pyvoc_live_path* path,
                                                pyvoc_live_path_info* info);

#ifdef __cplusplus
}
#endif
#endif /* PYVOC_LIVE_H_ */
