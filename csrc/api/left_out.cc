// What a build may leave out (base/parts.h): the C ABI is whole all the same. Opening says what is
// missing; so there is never a handle, and the other functions do nothing.
#include "api/error.h"
#include "base/parts.h"
#include "pyvoc/pyvoc.h"

using pyvoc::Code;
using pyvoc::api::fail;

extern "C" {

#if !PYVOC_HAS_LIVE || !PYVOC_HAS_THREADS
namespace {
pyvoc_status no_engine() { return fail(Code::kUnsupported, "this build has no live engine"); }
}  // namespace

pyvoc_status pyvoc_live_open(pyvoc_model*, const pyvoc_live_options*, pyvoc_live**) {
  return no_engine();
}
void pyvoc_live_close(pyvoc_live*) {}
pyvoc_status pyvoc_live_start(pyvoc_live*) { return no_engine(); }
size_t pyvoc_live_write(pyvoc_live*, const float*, size_t) { return 0; }
size_t pyvoc_live_write_features(pyvoc_live*, const float*, size_t, size_t) { return 0; }
size_t pyvoc_live_read(pyvoc_live*, float*, size_t) { return 0; }
int pyvoc_live_portaudio(const void*, void*, unsigned long, const void*, unsigned long, void*) {
  return 0;
}
void pyvoc_live_end_input(pyvoc_live*) {}
pyvoc_status pyvoc_live_set_shift(pyvoc_live*, float, float) { return no_engine(); }
pyvoc_status pyvoc_live_set_probe(pyvoc_live*, const float*, size_t) { return no_engine(); }
size_t pyvoc_live_tap_input(pyvoc_live*, float*, size_t) { return 0; }
size_t pyvoc_live_tap_output(pyvoc_live*, float*, size_t) { return 0; }
pyvoc_status pyvoc_live_get_stats(const pyvoc_live*, pyvoc_live_stats*) { return no_engine(); }
#endif

#if !PYVOC_HAS_LIVE
namespace {
pyvoc_status no_path() { return fail(Code::kUnsupported, "this build has no live sound"); }
}  // namespace

pyvoc_status pyvoc_live_path_open(pyvoc_model*, const pyvoc_live_path_options*, pyvoc_live_path**) {
  return no_path();
}
void pyvoc_live_path_close(pyvoc_live_path*) {}
size_t pyvoc_live_path_push(pyvoc_live_path*, const float*, size_t) { return 0; }
size_t pyvoc_live_path_push_features(pyvoc_live_path*, const float*, size_t, size_t) { return 0; }
void pyvoc_live_path_finish(pyvoc_live_path*) {}
size_t pyvoc_live_path_pull(pyvoc_live_path*, float*, size_t) { return 0; }
pyvoc_status pyvoc_live_path_set_shift(pyvoc_live_path*, float, float) { return no_path(); }
pyvoc_status pyvoc_live_path_correct(pyvoc_live_path*, double) { return no_path(); }
pyvoc_status pyvoc_live_path_reset(pyvoc_live_path*) { return no_path(); }
pyvoc_status pyvoc_live_path_get_info(const pyvoc_live_path*, pyvoc_live_path_info*) {
  return no_path();
}
#endif

#if !PYVOC_HAS_FOLDS
namespace {
pyvoc_status no_folds() { return fail(Code::kUnsupported, "this build has no folding"); }
}  // namespace

pyvoc_status pyvoc_folds_open(const pyvoc_model*, size_t, const pyvoc_folds_options*,
                              pyvoc_folds**) {
  return no_folds();
}
void pyvoc_folds_close(pyvoc_folds*) {}
pyvoc_status pyvoc_folds_get_info(const pyvoc_folds*, pyvoc_folds_info*) { return no_folds(); }
pyvoc_status pyvoc_folds_get(const pyvoc_folds*, size_t, pyvoc_fold*) { return no_folds(); }
pyvoc_status pyvoc_folds_join(const pyvoc_folds*, const float* const*, size_t, float*, size_t) {
  return no_folds();
}
#endif

#if !PYVOC_HAS_DENOISER
namespace {
pyvoc_status no_denoiser() { return fail(Code::kUnsupported, "this build has no denoiser"); }
}  // namespace

pyvoc_status pyvoc_denoiser_bias(const float*, size_t, float*, size_t) { return no_denoiser(); }
pyvoc_status pyvoc_denoiser_open(const float*, size_t, const pyvoc_denoiser_options*,
                                 pyvoc_denoiser**) {
  return no_denoiser();
}
void pyvoc_denoiser_close(pyvoc_denoiser*) {}
size_t pyvoc_denoiser_latency_samples(const pyvoc_denoiser*) { return 0; }
size_t pyvoc_denoiser_samples_after(const pyvoc_denoiser*, size_t) { return 0; }
pyvoc_status pyvoc_denoiser_push(pyvoc_denoiser*, const float*, size_t, float*, size_t, size_t*) {
  return no_denoiser();
}
pyvoc_status pyvoc_denoiser_flush(pyvoc_denoiser*, float*, size_t, size_t*) {
  return no_denoiser();
}
pyvoc_status pyvoc_denoiser_reset(pyvoc_denoiser*) { return no_denoiser(); }
#endif

}  // extern "C"
