/* fold: a whole utterance through WaveRNN in folds, spoken in lockstep and joined (C99).
 *
 *   fold [--upstream] MODEL.gguf MEL.f32 OUT.s16 TARGET OVERLAP
 *
 * MEL: raw little-endian float32 frames. OUT: raw signed 16-bit little-endian mono. --upstream:
 * cross-fades, length and fade-out as fatchord/WaveRNN has them; TARGET 0 and OVERLAP 0 do not
 * fold.
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage.
 */
#if !defined(_WIN32)
#define _XOPEN_SOURCE 700 /* lstat */
#endif

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if !defined(_WIN32)
#include <sys/stat.h>
#endif

#include "pyvoc/pyvoc.h"

enum { LOCKSTEP = 16 }; /* streams that share the weights at once */

static int report(const char* what) {
  fprintf(stderr, "fold: %s: %s\n", what, pyvoc_last_error());
  return 0;
}

/* The frames of a file [*n_frames, dims]; NULL and a message if it has none. */
static float* read_frames(const char* path, size_t dims, size_t* n_frames) {
  FILE* in = fopen(path, "rb");
  float* frames = NULL;
  long size = -1;
  *n_frames = 0;
  if (in != NULL && fseek(in, 0, SEEK_END) == 0) size = ftell(in);
  if (size > 0 && (size_t)size % (dims * sizeof(float)) == 0) {
    *n_frames = (size_t)size / (dims * sizeof(float));
    frames = malloc((size_t)size);
    rewind(in);
  }
  if (frames != NULL && fread(frames, dims * sizeof(float), *n_frames, in) != *n_frames) {
    free(frames);
    frames = NULL;
  }
  if (in != NULL) fclose(in);
  if (frames == NULL) {
    fprintf(stderr, "fold: %s: cannot be read as frames of %lu floats\n", path,
            (unsigned long)dims);
  }
  return frames;
}

/* Opens the stream of a fold, with all its frames. */
static pyvoc_stream* open_fold(pyvoc_model* model, const pyvoc_fold* fold, const float* frames,
                               size_t dims, unsigned long long seed) {
  pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
  pyvoc_stream* stream = NULL;
  options.capacity_frames = (uint32_t)fold->frames;
  options.seed = seed;
  if (pyvoc_stream_open(model, &options, &stream) == PYVOC_OK &&
      pyvoc_stream_skip(stream, fold->skip) == PYVOC_OK &&
      pyvoc_stream_push(stream, frames + fold->first_frame * dims, fold->frames, dims) ==
          PYVOC_OK &&
      pyvoc_stream_flush(stream) == PYVOC_OK) {
    return stream;
  }
  report("fold");
  pyvoc_stream_close(stream);
  return NULL;
}

/* Speaks folds `first` .. `first + n` in lockstep. Each gets `length` samples: where a fold is
 * shorter, its stream says what follows, which joining does not read. */
static int speak(pyvoc_model* model, const pyvoc_folds* folds, size_t first, size_t n,
                 size_t length, const float* frames, size_t dims, float** parts) {
  pyvoc_stream* streams[LOCKSTEP] = {NULL};
  size_t written[LOCKSTEP], opened = 0;
  int ok = 1;
  while (ok && opened < n) {
    pyvoc_fold fold;
    memset(&fold, 0, sizeof fold);
    fold.struct_size = sizeof fold;
    ok = pyvoc_folds_get(folds, first + opened, &fold) == PYVOC_OK || report("fold");
    if (ok) {
      streams[opened] = open_fold(model, &fold, frames, dims, first + opened);
      ok = streams[opened] != NULL;
      opened += (size_t)ok;
    }
  }
  if (ok && pyvoc_stream_pull_batch(streams, n, parts + first, length, written) != PYVOC_OK) {
    ok = report("speaking");
  }
  while (opened > 0) pyvoc_stream_close(streams[--opened]);
  return ok;
}

/* Removes what is half written, where it is a file: as root one could remove a device too. */
static void remove_file(const char* path) {
#if !defined(_WIN32)
  struct stat found;
  if (lstat(path, &found) != 0 || !S_ISREG(found.st_mode)) return;
#endif
  remove(path);
}

static int write_pcm(const char* path, const float* samples, size_t n) {
  FILE* out = fopen(path, "wb");
  size_t i;
  int ok = out != NULL;
  for (i = 0; ok && i < n; ++i) {
    const float scaled = floorf(32768.0f * samples[i] + 0.5f);
    const long word = scaled >= 32767.0f ? 32767L : scaled <= -32768.0f ? -32768L : (long)scaled;
    const unsigned bits = (unsigned)(word & 0xffffL);
    ok = putc((int)(bits & 0xffu), out) != EOF && putc((int)(bits >> 8), out) != EOF;
  }
  if (out != NULL && fclose(out) != 0) ok = 0;
  if (!ok) {
    fprintf(stderr, "fold: %s: cannot write: %s\n", path, strerror(errno));
    if (out != NULL) remove_file(path);
  }
  return ok;
}

static int run(pyvoc_model* model, const pyvoc_folds_options* options, const char* mel,
               const char* target) {
  pyvoc_model_info info;
  pyvoc_folds_info all;
  pyvoc_folds* folds = NULL;
  float *frames, *samples = NULL, *memory = NULL, **parts = NULL;
  size_t n_frames = 0, i;
  int ok;
  memset(&info, 0, sizeof info);
  memset(&all, 0, sizeof all);
  info.struct_size = sizeof info;
  all.struct_size = sizeof all;
  if (pyvoc_model_get_info(model, &info) != PYVOC_OK) return report("model");
  frames = read_frames(mel, info.layout_dims, &n_frames);
  if (frames == NULL) return 0;
  ok = (pyvoc_folds_open(model, n_frames, options, &folds) == PYVOC_OK &&
        pyvoc_folds_get_info(folds, &all) == PYVOC_OK) ||
       report(mel);
  if (ok) {
    samples = malloc(all.samples * sizeof *samples);
    memory = malloc(all.count * all.length * sizeof *memory);
    parts = malloc(all.count * sizeof *parts);
    ok = samples != NULL && memory != NULL && parts != NULL;
    if (!ok) fprintf(stderr, "fold: out of memory\n");
  }
  for (i = 0; ok && i < all.count; ++i) parts[i] = memory + i * all.length;
  for (i = 0; ok && i < all.count; i += LOCKSTEP) {
    const size_t n = all.count - i < LOCKSTEP ? all.count - i : LOCKSTEP;
    ok = speak(model, folds, i, n, all.length, frames, info.layout_dims, parts);
  }
  if (ok && pyvoc_folds_join(folds, (const float* const*)parts, all.count, samples, all.samples) !=
                PYVOC_OK) {
    ok = report("joining");
  }
  ok = ok && write_pcm(target, samples, all.samples);
  free(parts);
  free(memory);
  free(samples);
  pyvoc_folds_close(folds);
  free(frames);
  return ok;
}

int main(int argc, char** argv) {
  pyvoc_folds_options options = PYVOC_FOLDS_OPTIONS_INIT;
  pyvoc_model* model = NULL;
  char *end_target = NULL, *end_overlap = NULL;
  int ok;
  if (argc > 1 && strcmp(argv[1], "--upstream") == 0) {
    options.upstream = 1;
    --argc;
    ++argv;
  }
  if (argc == 6) {
    options.target = strtoull(argv[4], &end_target, 10);
    options.overlap = strtoull(argv[5], &end_overlap, 10);
  }
  if (argc != 6 || *end_target != '\0' || *end_overlap != '\0') {
    fprintf(stderr, "usage: fold [--upstream] MODEL.gguf MEL.f32 OUT.s16 TARGET OVERLAP\n");
    return 2;
  }
  ok = pyvoc_model_load(argv[1], &model) == PYVOC_OK || report(argv[1]);
  ok = ok && run(model, &options, argv[2], argv[3]);
  pyvoc_model_release(model);
  return ok ? 0 : 1;
}
