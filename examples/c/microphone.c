/* microphone: microphone to loudspeaker through a voice, on ALSA (Linux; C99): what a Raspberry Pi
 * does with a USB headset.
 *
 *   microphone MODEL.gguf [CAPTURE [PLAYBACK]] [--rate HZ] [--period FRAMES] [--buffer PERIODS]
 *              [--pitch SEMITONES] [--seconds N]
 *
 * CAPTURE and PLAYBACK are ALSA's names (arecord -L, aplay -L), "default" unless given. One loop,
 * no thread: a period is read, pushed through the model, written. The microphone sets the pace;
 * what must be written ahead, so that neither the path nor the device runs short, is silence at
 * first. Ctrl-C ends. Where both are one device they have one clock; of two, the loudspeaker's will
 * run short or full after a while, which is counted, and begins anew (docs/live.md has an engine
 * that follows two clocks).
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage. */
#define _GNU_SOURCE /* what ALSA's headers want of C99's */
#include <alsa/asoundlib.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pyvoc/pyvoc.h"

typedef struct settings {
  const char *model, *capture, *playback;
  unsigned rate, period, periods;
  double pitch, seconds;
} settings;

static volatile sig_atomic_t stopped = 0;

static void stop(int number) {
  (void)number;
  stopped = 1;
}

static int failed(const char* what, const char* why) {
  fprintf(stderr, "microphone: %s: %s\n", what, why);
  return 0;
}

/* A number that follows a flag. */
static int number(const char* text, double least, double most, double* value) {
  char* end = NULL;
  if (text == NULL) return 0;
  *value = strtod(text, &end);
  return end != text && *end == '\0' && *value >= least && *value <= most;
}

static int parse(int argc, char** argv, settings* s) {
  int i, names = 0;
  double value;
  for (i = 1; i < argc; ++i) {
    if (strncmp(argv[i], "--", 2) != 0) {
      const char** place[] = {&s->model, &s->capture, &s->playback};
      if (names == 3) return 0;
      *place[names++] = argv[i];
      if (names == 2) s->playback = argv[i];
    } else if (strcmp(argv[i], "--rate") == 0 && number(argv[i + 1], 4000, 384000, &value)) {
      s->rate = (unsigned)value, ++i;
    } else if (strcmp(argv[i], "--period") == 0 && number(argv[i + 1], 16, 16384, &value)) {
      s->period = (unsigned)value, ++i;
    } else if (strcmp(argv[i], "--buffer") == 0 && number(argv[i + 1], 2, 64, &value)) {
      s->periods = (unsigned)value, ++i;
    } else if (strcmp(argv[i], "--pitch") == 0 && number(argv[i + 1], -24, 24, &value)) {
      s->pitch = value, ++i;
    } else if (strcmp(argv[i], "--seconds") == 0 && number(argv[i + 1], 0.01, 1e6, &value)) {
      s->seconds = value, ++i;
    } else {
      return 0;
    }
  }
  return names > 0;
}

/* A device with 16-bit mono; ALSA's plugins convert where the hardware has something else. */
static snd_pcm_t* open_device(const char* name, snd_pcm_stream_t direction, const settings* s) {
  snd_pcm_t* pcm = NULL;
  snd_pcm_hw_params_t* hardware;
  snd_pcm_sw_params_t* software;
  snd_pcm_uframes_t period = s->period, buffer = (snd_pcm_uframes_t)s->period * s->periods;
  int code = snd_pcm_open(&pcm, name, direction, 0);
  snd_pcm_hw_params_alloca(&hardware);
  snd_pcm_sw_params_alloca(&software);
  if (code < 0 || (code = snd_pcm_hw_params_any(pcm, hardware)) < 0 ||
      (code = snd_pcm_hw_params_set_access(pcm, hardware, SND_PCM_ACCESS_RW_INTERLEAVED)) < 0 ||
      (code = snd_pcm_hw_params_set_format(pcm, hardware, SND_PCM_FORMAT_S16)) < 0 ||
      (code = snd_pcm_hw_params_set_channels(pcm, hardware, 1)) < 0 ||
      (code = snd_pcm_hw_params_set_rate(pcm, hardware, s->rate, 0)) < 0 ||
      (code = snd_pcm_hw_params_set_period_size_near(pcm, hardware, &period, NULL)) < 0 ||
      (code = snd_pcm_hw_params_set_buffer_size_near(pcm, hardware, &buffer)) < 0 ||
      (code = snd_pcm_hw_params(pcm, hardware)) < 0 ||
      (code = snd_pcm_sw_params_current(pcm, software)) < 0 ||
      /* The loudspeaker begins when one period is left free, not at the first sample. */
      (code = snd_pcm_sw_params_set_start_threshold(
           pcm, software, direction == SND_PCM_STREAM_PLAYBACK ? buffer - period : 1)) < 0 ||
      (code = snd_pcm_sw_params(pcm, software)) < 0) {
    failed(name, snd_strerror(code));
    if (pcm != NULL) snd_pcm_close(pcm);
    return NULL;
  }
  return pcm;
}

/* Writes all of n frames; an output that ran dry goes on. Counts that in *dry. */
static int play(snd_pcm_t* pcm, const short* frames, snd_pcm_uframes_t n, unsigned* dry) {
  while (n > 0 && !stopped) {
    snd_pcm_sframes_t done = snd_pcm_writei(pcm, frames, n);
    if (done < 0) {
      *dry += done == -EPIPE;
      done = snd_pcm_recover(pcm, (int)done, 1);
      if (done < 0) return failed("playback", snd_strerror((int)done));
      continue;
    }
    frames += done;
    n -= (snd_pcm_uframes_t)done;
  }
  return 1;
}

static int pass(snd_pcm_t* microphone, snd_pcm_t* loudspeaker, pyvoc_live_path* path,
                const settings* s) {
  pyvoc_live_path_info info = {.struct_size = sizeof info};
  const double most = s->seconds * s->rate;
  double heard = 0.0;
  unsigned lost = 0, dry = 0, i;
  size_t n;
  short* words = calloc(s->period, sizeof *words);
  float* samples = calloc(s->period, sizeof *samples);
  int ok = words != NULL && samples != NULL;
  if (!ok) failed("memory", "there is none");
  if (ok && pyvoc_live_path_get_info(path, &info) != PYVOC_OK) {
    ok = failed(s->model, pyvoc_last_error());
  }
  /* By this much the voice lies behind; what the first pulls lack was played as silence. */
  for (n = info.latency_samples; ok && n > 0; n -= n < s->period ? n : s->period) {
    ok = play(loudspeaker, words, n < s->period ? n : s->period, &dry);
  }
  if (ok) {
    printf("%u Hz, %.1f ms in the voice, %.1f in the buffers; Ctrl-C ends\n", s->rate,
           1e3 * info.latency_samples / s->rate, 1e3 * s->period * s->periods / s->rate);
    fflush(stdout);
  }
  while (ok && !stopped && (s->seconds <= 0.0 || heard < most)) {
    snd_pcm_sframes_t got = snd_pcm_readi(microphone, words, s->period);
    if (got < 0) {
      lost += got == -EPIPE;
      got = snd_pcm_recover(microphone, (int)got, 1);
      if (got < 0) ok = failed("capture", snd_strerror((int)got));
      continue;
    }
    if (got == 0) break; /* a file that ended */
    for (i = 0; i < (unsigned)got; ++i) samples[i] = (float)words[i] / 32768.0f;
    pyvoc_live_path_push(path, samples, (size_t)got);
    n = pyvoc_live_path_pull(path, samples, (size_t)got);
    for (i = 0; i < n; ++i) {
      const float scaled = 32767.0f * samples[i];
      words[i] = (short)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
    }
    ok = play(loudspeaker, words, n, &dry);
    heard += (double)got;
  }
  if (ok) {
    snd_pcm_drain(loudspeaker);
    printf("%.1f s heard; the input ran full %u times, the output dry %u times\n", heard / s->rate,
           lost, dry);
  }
  free(words);
  free(samples);
  return ok;
}

int main(int argc, char** argv) {
  settings s = {NULL, "default", "default", 48000, 480, 4, 0.0, 0.0};
  struct sched_param priority = {.sched_priority = 20};
  pyvoc_model* model = NULL;
  pyvoc_live_path* path = NULL;
  pyvoc_live_path_options options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  snd_pcm_t *microphone = NULL, *loudspeaker = NULL;
  int ok = 0;
  if (!parse(argc, argv, &s)) {
    fprintf(stderr,
            "usage: microphone MODEL.gguf [CAPTURE [PLAYBACK]] [--rate HZ] [--period FRAMES]\n"
            "                  [--buffer PERIODS] [--pitch SEMITONES] [--seconds N]\n");
    return 2;
  }
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  options.input_rate = options.output_rate = s.rate;
  options.pitch = (float)s.pitch;
  if (pyvoc_model_load(s.model, &model) != PYVOC_OK ||
      pyvoc_live_path_open(model, &options, &path) != PYVOC_OK) {
    failed(s.model, pyvoc_last_error());
  } else {
    microphone = open_device(s.capture, SND_PCM_STREAM_CAPTURE, &s);
    if (microphone != NULL) loudspeaker = open_device(s.playback, SND_PCM_STREAM_PLAYBACK, &s);
    if (loudspeaker != NULL) {
      if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0) {
        fprintf(stderr, "microphone: no real-time priority here; other programs may interrupt\n");
      }
      ok = pass(microphone, loudspeaker, path, &s);
    }
  }
  if (loudspeaker != NULL) snd_pcm_close(loudspeaker);
  if (microphone != NULL) snd_pcm_close(microphone);
  pyvoc_live_path_close(path);
  pyvoc_model_release(model);
  return ok ? 0 : 1;
}
