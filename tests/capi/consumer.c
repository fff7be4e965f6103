/* A plain C99 program against the installed library: the contract of pyvoc.h, call by call.
 * usage: consumer [MODEL.gguf]; without a model the stream part is left out. Exit 0: all held. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pyvoc/pyvoc.h"

static int failures = 0, checks = 0;

static void expect(int held, const char* what, int line) {
  ++checks;
  if (!held) {
    ++failures;
    fprintf(stderr, "consumer.c:%d: %s (last error: \"%s\")\n", line, what, pyvoc_last_error());
  }
}
#define EXPECT(condition) expect((condition) != 0, #condition, __LINE__)
/* The call fails with `status` and leaves a sentence that holds `word`. */
#define EXPECT_ERROR(call, status, word) \
  expect((call) == (status) && strstr(pyvoc_last_error(), word) != NULL, #call, __LINE__)

static void check_system(void) {
  char version[32];
  const char* json = NULL;
  snprintf(version, sizeof version, "%d.%d.%d", PYVOC_VERSION_MAJOR, PYVOC_VERSION_MINOR,
           PYVOC_VERSION_PATCH);
  EXPECT(strcmp(pyvoc_version(), version) == 0);
  EXPECT(pyvoc_last_error() != NULL);
  EXPECT(pyvoc_system_info(&json) == PYVOC_OK);
  EXPECT(json != NULL && json[0] == '{' && strstr(json, "scalar") != NULL);
  EXPECT(pyvoc_system_info(NULL) == PYVOC_ERROR_ARGUMENT);
}

static void check_bad_models(void) {
  static const unsigned char garbage[64] = "GGUF but nothing more";
  pyvoc_model* model = NULL;
  EXPECT(pyvoc_model_load(NULL, &model) == PYVOC_ERROR_ARGUMENT);
  EXPECT(pyvoc_model_load("model.gguf", NULL) == PYVOC_ERROR_ARGUMENT);
  EXPECT_ERROR(pyvoc_model_load("no/such/model.gguf", &model), PYVOC_ERROR_IO,
               "no/such/model.gguf");
  EXPECT(pyvoc_model_load_memory(NULL, 64, &model) == PYVOC_ERROR_ARGUMENT);
  EXPECT(pyvoc_model_load_memory(garbage, sizeof garbage, &model) == PYVOC_ERROR_MODEL);
  EXPECT(pyvoc_model_load_memory(garbage + 1, 0, &model) != PYVOC_OK);
  EXPECT(model == NULL);
  pyvoc_model_release(NULL);
  pyvoc_stream_close(NULL);
  pyvoc_extractor_close(NULL);
  pyvoc_denoiser_close(NULL);
  pyvoc_live_close(NULL);
}

static void check_live(pyvoc_model* model) {
  static float pcm[320];
  pyvoc_live* live = NULL;
  pyvoc_live_options options = PYVOC_LIVE_OPTIONS_INIT;
  pyvoc_live_stats stats;
  options.pitch = 99.0f;
  EXPECT_ERROR(pyvoc_live_open(model, &options, &live), PYVOC_ERROR_ARGUMENT, "99");
  options.pitch = 0.0f;
  options.flags = PYVOC_LIVE_BYPASS | PYVOC_LIVE_INPUT_WAITS | PYVOC_LIVE_OUTPUT_WAITS;
  EXPECT(pyvoc_live_open(model, &options, &live) == PYVOC_OK);
  if (live == NULL) return;
  EXPECT(pyvoc_live_start(live) == PYVOC_OK);
  EXPECT(pyvoc_live_start(live) == PYVOC_ERROR_STATE);
  EXPECT(pyvoc_live_write(live, pcm, 320) == 320);
  pyvoc_live_end_input(live);
  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  do {
    pyvoc_live_read(live, pcm, 320);
    EXPECT(pyvoc_live_get_stats(live, &stats) == PYVOC_OK);
  } while (!stats.done && failures == 0);
  EXPECT(stats.input_frames == 320 && stats.underruns == 0);
  pyvoc_live_close(live);
}

static void check_extractor(const char* layout, size_t dims) {
  enum { kSamples = 4000 };
  static float pcm[kSamples];
  pyvoc_extractor* extractor = NULL;
  pyvoc_extractor_info info;
  float *once, *pieces;
  size_t i, room, n_once = 0, n_pieces = 0, n = 0;
  for (i = 0; i < kSamples; ++i) pcm[i] = 0.3f * (float)sin(0.05 * (double)i);
  EXPECT(pyvoc_extractor_open(layout, &extractor) == PYVOC_OK);
  if (extractor == NULL) return;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  EXPECT(pyvoc_extractor_get_info(extractor, &info) == PYVOC_OK);
  pyvoc_extractor_info older = {0}; /* of a caller that knows two fields */
  older.struct_size = 2 * sizeof(uint32_t);
  EXPECT(pyvoc_extractor_get_info(extractor, &older) == PYVOC_OK);
  EXPECT(older.sample_rate == info.sample_rate && older.hop_length == 0);
  older.struct_size = 0;
  EXPECT(pyvoc_extractor_get_info(extractor, &older) == PYVOC_ERROR_ARGUMENT);
  EXPECT(info.feature_dims == dims && info.sample_rate == 16000 && info.hop_length == 160);

  room = pyvoc_extractor_frames_after(extractor, kSamples);
  EXPECT(room > 0);
  once = calloc((room + 8) * dims, sizeof *once);
  pieces = calloc((room + 8) * dims, sizeof *pieces);
  EXPECT(once != NULL && pieces != NULL);
  if (once != NULL && pieces != NULL) {
    EXPECT(pyvoc_extractor_push(extractor, pcm, kSamples, once, room - 1, &n) ==
           PYVOC_ERROR_ARGUMENT);
    EXPECT(pyvoc_extractor_push(extractor, pcm, kSamples, once, room, &n_once) == PYVOC_OK);
    EXPECT(n_once <= room);
    EXPECT(pyvoc_extractor_reset(extractor) == PYVOC_OK);
    for (i = 0; i < kSamples; i += 37) {
      const size_t some = kSamples - i < 37 ? kSamples - i : 37;
      EXPECT(pyvoc_extractor_push(extractor, pcm + i, some, pieces + n_pieces * dims,
                                  room + 8 - n_pieces, &n) == PYVOC_OK);
      n_pieces += n;
    }
    EXPECT(n_pieces == n_once);
    EXPECT(memcmp(once, pieces, n_once * dims * sizeof *once) == 0);
    pcm[3] = (float)NAN;
    EXPECT(pyvoc_extractor_push(extractor, pcm, 160, pieces, room, &n) == PYVOC_ERROR_AUDIO);
  }
  free(pieces);
  free(once);
  pyvoc_extractor_close(extractor);
}

static void check_extractors(void) {
  pyvoc_extractor* extractor = NULL;
  check_extractor("lpcnet36", 36);
  check_extractor("lpcnet55", 55);
  check_extractor("lpcnet20", 20);
  EXPECT_ERROR(pyvoc_extractor_open("lpcnet37", &extractor), PYVOC_ERROR_ARGUMENT, "lpcnet36");
  EXPECT(pyvoc_extractor_open(NULL, &extractor) == PYVOC_ERROR_ARGUMENT);
  EXPECT(extractor == NULL);
}

static void check_denoiser(void) {
  enum { kSamples = 3000, kBins = 513 };
  static float pcm[kSamples], once[kSamples], pieces[kSamples], bias[kBins];
  pyvoc_denoiser_options options = PYVOC_DENOISER_OPTIONS_INIT;
  pyvoc_denoiser* denoiser = NULL;
  size_t i, n = 0, total = 0;
  for (i = 0; i < kSamples; ++i) pcm[i] = 0.3f * (float)sin(0.05 * (double)i);
  EXPECT_ERROR(pyvoc_denoiser_bias(pcm, 512, bias, kBins), PYVOC_ERROR_AUDIO, "513");
  EXPECT(pyvoc_denoiser_bias(pcm, kSamples, bias, kBins) == PYVOC_OK);
  EXPECT(options.strength > 0.09f && options.strength < 0.11f);
  options.strength = (float)NAN;
  EXPECT_ERROR(pyvoc_denoiser_open(bias, kBins, &options, &denoiser), PYVOC_ERROR_ARGUMENT,
               "strength");
  options.strength = 1.0f;
  EXPECT(denoiser == NULL);
  EXPECT(pyvoc_denoiser_open(bias, kBins, &options, &denoiser) == PYVOC_OK);
  if (denoiser == NULL) return;
  EXPECT(pyvoc_denoiser_latency_samples(denoiser) == 1023);
  EXPECT(pyvoc_denoiser_push(denoiser, pcm, kSamples, once, kSamples, &total) == PYVOC_OK);
  EXPECT(total + pyvoc_denoiser_samples_after(denoiser, 0) == kSamples);
  EXPECT(pyvoc_denoiser_flush(denoiser, once + total, kSamples - total, &n) == PYVOC_OK);
  EXPECT(total + n == kSamples);
  EXPECT(pyvoc_denoiser_push(denoiser, pcm, 1, pieces, 1, &n) == PYVOC_ERROR_STATE);
  EXPECT(pyvoc_denoiser_reset(denoiser) == PYVOC_OK);
  total = 0;
  for (i = 0; i < kSamples; i += 37) {
    const size_t some = kSamples - i < 37 ? kSamples - i : 37;
    EXPECT(pyvoc_denoiser_push(denoiser, pcm + i, some, pieces + total, kSamples - total, &n) ==
           PYVOC_OK);
    total += n;
  }
  EXPECT(pyvoc_denoiser_flush(denoiser, pieces + total, kSamples - total, &n) == PYVOC_OK);
  EXPECT(total + n == kSamples && memcmp(once, pieces, sizeof once) == 0);
  pyvoc_denoiser_close(denoiser);
}

static void pull_all(pyvoc_stream* stream, float* out, size_t piece, size_t* total) {
  size_t n = 0;
  do {
    EXPECT(pyvoc_stream_pull(stream, out + *total, piece, &n) == PYVOC_OK);
    EXPECT(n <= piece);
    *total += n;
  } while (n > 0);
}

static void check_stream(pyvoc_model* model, const pyvoc_model_info* info) {
  enum { kFrames = 7 };
  const size_t expected = (size_t)kFrames * info->hop_length;
  const size_t dims = info->feature_dims;
  pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
  pyvoc_stream* stream = NULL;
  float* frames = calloc(kFrames * dims, sizeof *frames);
  float* first = calloc(expected + info->hop_length, sizeof *first);
  float* second = calloc(expected + info->hop_length, sizeof *second);
  size_t i, n_first = 0, n_second = 0;
  EXPECT(frames != NULL && first != NULL && second != NULL);
  options.seed = 5;
  options.capacity_frames = kFrames;
  EXPECT(pyvoc_stream_open(model, &options, &stream) == PYVOC_OK);
  if (stream != NULL && frames != NULL && first != NULL && second != NULL) {
    /* At once. */
    EXPECT(pyvoc_stream_available(stream) == 0);
    EXPECT(pyvoc_stream_push(stream, frames, kFrames, dims) == PYVOC_OK);
    EXPECT(pyvoc_stream_push(stream, frames, kFrames, dims) == PYVOC_ERROR_FULL);
    EXPECT(pyvoc_stream_available(stream) + pyvoc_stream_latency_samples(stream) >= expected);
    EXPECT(pyvoc_stream_flush(stream) == PYVOC_OK);
    EXPECT(pyvoc_stream_push(stream, frames, 1, dims) == PYVOC_ERROR_STATE);
    EXPECT(pyvoc_stream_available(stream) == expected);
    pull_all(stream, first, expected + info->hop_length, &n_first);
    EXPECT(n_first == expected);
    for (i = 0; i < n_first; ++i) EXPECT(first[i] >= -1.0f && first[i] <= 1.0f);
    /* Frame by frame, in odd pieces, from the same seed: the same samples. */
    EXPECT(pyvoc_stream_reset(stream, 5) == PYVOC_OK);
    for (i = 0; i < kFrames; ++i) {
      EXPECT(pyvoc_stream_push(stream, frames + i * dims, 1, dims) == PYVOC_OK);
      pull_all(stream, second, 33, &n_second);
    }
    EXPECT(pyvoc_stream_flush(stream) == PYVOC_OK);
    pull_all(stream, second, 33, &n_second);
    EXPECT(n_second == expected);
    EXPECT(memcmp(first, second, expected * sizeof *first) == 0);
    EXPECT(pyvoc_stream_prime(stream, first, n_first, frames, 0, dims) ==
           (info->prime_samples == 0 ? PYVOC_ERROR_UNSUPPORTED : PYVOC_ERROR_ARGUMENT));
    EXPECT(pyvoc_stream_prime(stream, NULL, n_first, frames, 0, dims) == PYVOC_ERROR_ARGUMENT);
    /* Refused frames leave the stream as it was. */
    EXPECT(pyvoc_stream_reset(stream, 5) == PYVOC_OK);
    frames[1] = (float)INFINITY;
    EXPECT(pyvoc_stream_push(stream, frames, 1, dims) == PYVOC_ERROR_FEATURE);
    EXPECT(pyvoc_stream_available(stream) == 0);
    EXPECT(pyvoc_stream_push(stream, NULL, 1, dims) == PYVOC_ERROR_ARGUMENT);
    EXPECT(pyvoc_stream_push(stream, frames, 1, dims - 1) == PYVOC_ERROR_ARGUMENT);
    EXPECT(pyvoc_stream_reserve(stream, 100) == PYVOC_OK);
  }
  pyvoc_stream_close(stream);
  stream = NULL;
  options.lookahead_given = 1;
  options.lookahead_frames = info->lookahead_frames;
  EXPECT(pyvoc_stream_open(model, &options, &stream) == PYVOC_OK);
  EXPECT(pyvoc_stream_latency_samples(stream) == info->latency_samples);
  pyvoc_stream_close(stream);
  stream = NULL;
  options.lookahead_frames = 65536;
  EXPECT(pyvoc_stream_open(model, &options, &stream) == PYVOC_ERROR_ARGUMENT);
  options.struct_size = 2;
  EXPECT(pyvoc_stream_open(model, &options, &stream) == PYVOC_ERROR_ARGUMENT);
  EXPECT(pyvoc_stream_open(NULL, NULL, &stream) == PYVOC_ERROR_ARGUMENT);
  EXPECT(stream == NULL);
  free(second);
  free(first);
  free(frames);
}

static void check_model(const char* path) {
  pyvoc_model* model = NULL;
  pyvoc_stream* stream = NULL;
  pyvoc_model_info info;
  const char* json = NULL;
  EXPECT(pyvoc_model_load(path, &model) == PYVOC_OK);
  if (model == NULL) return;
  memset(&info, 0, sizeof info);
  EXPECT(pyvoc_model_get_info(model, &info) == PYVOC_ERROR_ARGUMENT);
  info.struct_size = sizeof info;
  EXPECT(pyvoc_model_get_info(model, &info) == PYVOC_OK);
  EXPECT(info.architecture != NULL && info.precision != NULL && info.feature_layout != NULL);
  EXPECT(info.feature_dims > 0 && info.feature_dims <= info.layout_dims && info.hop_length > 0);
  EXPECT(pyvoc_model_describe(model, &json) == PYVOC_OK && json != NULL && json[0] == '{');
  check_stream(model, &info);
  /* A stream keeps its model alive. */
  EXPECT(pyvoc_stream_open(model, NULL, &stream) == PYVOC_OK);
  check_live(model);
  pyvoc_model_release(model);
  if (stream != NULL) EXPECT(pyvoc_stream_flush(stream) == PYVOC_OK);
  pyvoc_stream_close(stream);
}

int main(int argc, char** argv) {
  check_system();
  check_bad_models();
  check_extractors();
  check_denoiser();
  if (argc > 1) check_model(argv[1]);
  printf("%d checks, %d failed\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
