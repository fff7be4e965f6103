/* left_out MODEL.gguf: whether a build without live sound, folds, denoiser and mel frames says so
 * where they are asked for. Exit code 0 when every call is refused with a sentence. */
#include <stdio.h>
#include <string.h>

#include "pyvoc/pyvoc.h"

static int refused(pyvoc_status status, const char* word) {
  if (status == PYVOC_ERROR_UNSUPPORTED && strstr(pyvoc_last_error(), word) != NULL) return 1;
  fprintf(stderr, "status %d, \"%s\"; expected %s\n", (int)status, pyvoc_last_error(), word);
  return 0;
}

int main(int argc, char** argv) {
  pyvoc_model* model = NULL;
  pyvoc_live* live = NULL;
  pyvoc_live_path* path = NULL;
  pyvoc_folds* folds = NULL;
  pyvoc_denoiser* denoiser = NULL;
  pyvoc_extractor* extractor = NULL;
  const float bias[513] = {0.0f};
  int good;
  if (argc != 2 || pyvoc_model_load(argv[1], &model) != PYVOC_OK) {
    fprintf(stderr, "%s\n", pyvoc_last_error());
    return 1;
  }
  good = refused(pyvoc_live_open(model, NULL, &live), "live engine") &&
         refused(pyvoc_live_path_open(model, NULL, &path), "live sound") &&
         refused(pyvoc_folds_open(model, 100, NULL, &folds), "folding") &&
         refused(pyvoc_denoiser_open(bias, 513, NULL, &denoiser), "denoiser") &&
         refused(pyvoc_extractor_open("mel-nvidia", &extractor), "mel frames");
  good = good && live == NULL && path == NULL && folds == NULL && denoiser == NULL &&
         extractor == NULL && pyvoc_live_read(NULL, NULL, 1) == 0;
  pyvoc_model_release(model);
  return good ? 0 : 1;
}
