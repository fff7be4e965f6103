/* copy: speech in, the model's copy of it out; the smallest app that has a model and its features.
 *
 *   copy MODEL.gguf < IN.s16 > OUT.s16
 *
 * Raw 16-bit mono at the model's rate. Exit code 0, or 1 with a sentence on stderr. */
#include <stdio.h>
#include <stdlib.h>

#include "pyvoc/pyvoc.h"

enum { PIECE = 160, MOST_FRAMES = 16, MOST_DIMS = 256 };

static int failed(void) {
  fprintf(stderr, "copy: %s\n", pyvoc_last_error());
  return 1;
}

/* Pulls all that the stream can give. */
static int drain(pyvoc_stream* stream) {
  float samples[PIECE];
  size_t n, i;
  do {
    if (pyvoc_stream_pull(stream, samples, PIECE, &n) != PYVOC_OK) return failed();
    for (i = 0; i < n; ++i) {
      const float scaled = 32767.0f * samples[i];
      const short word = (short)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
      putchar(word & 0xff);
      putchar((word >> 8) & 0xff);
    }
  } while (n > 0);
  return 0;
}

static int copy(pyvoc_stream* stream, pyvoc_extractor* extractor, size_t dims) {
  static float pcm[PIECE], frames[MOST_FRAMES * MOST_DIMS];
  unsigned char bytes[2 * PIECE];
  size_t n, i, got;
  do {
    got = fread(bytes, 2, PIECE, stdin);
    for (i = 0; i < got; ++i) {
      pcm[i] = (float)(short)(bytes[2 * i] | bytes[2 * i + 1] << 8) / 32768.0f;
    }
    if (got > 0) {
      if (pyvoc_extractor_push(extractor, pcm, got, frames, MOST_FRAMES, &n) != PYVOC_OK) {
        return failed();
      }
    } else if (pyvoc_extractor_flush(extractor, frames, MOST_FRAMES, &n) != PYVOC_OK) {
      return failed();
    }
    if (pyvoc_stream_push(stream, frames, n, dims) != PYVOC_OK) return failed();
    if (got == 0 && pyvoc_stream_flush(stream) != PYVOC_OK) return failed();
    if (drain(stream) != 0) return 1;
  } while (got > 0);
  return 0;
}

int main(int argc, char** argv) {
  pyvoc_model* model = NULL;
  pyvoc_stream* stream = NULL;
  pyvoc_extractor* extractor = NULL;
  pyvoc_extractor_info info = {sizeof info, 0, 0, 0, 0};
  int code = 1;
  if (argc != 2) {
    fprintf(stderr, "usage: copy MODEL.gguf < IN.s16 > OUT.s16\n");
    return 1;
  }
  if (pyvoc_model_load(argv[1], &model) != PYVOC_OK ||
      pyvoc_stream_open(model, NULL, &stream) != PYVOC_OK ||
      pyvoc_extractor_open_for_model(model, &extractor) != PYVOC_OK ||
      pyvoc_extractor_get_info(extractor, &info) != PYVOC_OK) {
    failed();
  } else if (info.feature_dims <= MOST_DIMS) {
    code = copy(stream, extractor, info.feature_dims);
  }
  pyvoc_extractor_close(extractor);
  pyvoc_stream_close(stream);
  pyvoc_model_release(model);
  return code;
}
