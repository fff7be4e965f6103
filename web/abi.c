/* The WebAssembly module is the C ABI and nothing else. JavaScript (src/module.js) reads and writes
 * its structs by offset: here the compiler holds those offsets against the header. */
#include <stddef.h>

#include "pyvoc/pyvoc.h"

#define AT(type, member, offset) \
  _Static_assert(offsetof(type, member) == (offset), #type "." #member)
#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)

SIZE(pyvoc_model_info, 68);
AT(pyvoc_model_info, architecture, 4);
AT(pyvoc_model_info, precision, 8);
AT(pyvoc_model_info, feature_layout, 12);
AT(pyvoc_model_info, layout_dims, 16);
AT(pyvoc_model_info, sample_rate, 20);
AT(pyvoc_model_info, hop_length, 24);
AT(pyvoc_model_info, feature_dims, 28);
AT(pyvoc_model_info, lookahead_frames, 32);
AT(pyvoc_model_info, draws_per_sample, 36);
AT(pyvoc_model_info, takes_sigma, 44);
AT(pyvoc_model_info, latency_samples, 52);

SIZE(pyvoc_stream_options, 40);
AT(pyvoc_stream_options, capacity_frames, 4);
AT(pyvoc_stream_options, seed, 8);
AT(pyvoc_stream_options, sigma_given, 20);
AT(pyvoc_stream_options, sigma, 24);

SIZE(pyvoc_extractor_info, 20);
AT(pyvoc_extractor_info, sample_rate, 4);
AT(pyvoc_extractor_info, hop_length, 8);
AT(pyvoc_extractor_info, feature_dims, 12);
AT(pyvoc_extractor_info, latency_samples, 16);

SIZE(pyvoc_live_path_options, 48);
AT(pyvoc_live_path_options, flags, 4);
AT(pyvoc_live_path_options, input_rate, 8);
AT(pyvoc_live_path_options, output_rate, 12);
AT(pyvoc_live_path_options, chunk_frames, 16);
AT(pyvoc_live_path_options, capacity_samples, 24);
AT(pyvoc_live_path_options, pitch, 28);
AT(pyvoc_live_path_options, formant, 32);
AT(pyvoc_live_path_options, seed, 40);

SIZE(pyvoc_live_path_info, 40);
AT(pyvoc_live_path_info, input_rate, 4);
AT(pyvoc_live_path_info, output_rate, 8);
AT(pyvoc_live_path_info, feature_dims, 12);
AT(pyvoc_live_path_info, latency_samples, 16);
AT(pyvoc_live_path_info, burst_samples, 20);
AT(pyvoc_live_path_info, bad_samples, 24);
