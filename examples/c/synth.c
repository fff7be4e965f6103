/* synth: features in, speech out, through pyvoc.h alone (C99).
 *
 *   synth [--seed N] [--dims N] MODEL.gguf FEATURES.f32|- [OUT.s16|-]
 *
 * FEATURES: raw little-endian float32 frames, as `pyvoc features` and dump_data write them. A frame
 * has --dims floats: those of the model's layout (36 or 55 for LPCNet) or only those that the model
 * reads (20). Without --dims a file's size tells, and where it does not, or in a pipe, frames are
 * of the layout. OUT: raw signed 16-bit little-endian mono at the model's sample rate; "-" or
 * nothing is stdout. One frame is read, pushed and heard at a time, so it also works at the end of
 * a pipe. OUT appears when it is complete, never half written; a device or a pipe is written as it
 * is.
 *
 * Exit codes: 0 done, 2 wrong usage, 3 bad input or a file that cannot be read or written,
 * 4 valid but not supported here, 5 out of memory.
 */
#if !defined(_WIN32)
#define _XOPEN_SOURCE 700 /* lstat, realpath */
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

enum { EXIT_USAGE = 2, EXIT_INPUT = 3, EXIT_UNSUPPORTED = 4, EXIT_NO_MEMORY = 5 };

typedef struct job {
  const char* model_path;
  const char* features_path; /* NULL: stdin */
  const char* output_path;   /* NULL: stdout */
  unsigned long long seed;
  unsigned long long dims; /* floats per frame; 0: by the file's size */
} job;

static int usage(const char* problem) {
  fprintf(stderr,
          "synth: %s\n"
          "usage: synth [--seed N] [--dims N] MODEL.gguf FEATURES.f32|- [OUT.s16|-]\n",
          problem);
  return EXIT_USAGE;
}

/* The library's last error on stderr, and the exit code for it. */
static int report(pyvoc_status status) {
  fprintf(stderr, "synth: %s\n", pyvoc_last_error());
  if (status == PYVOC_ERROR_UNSUPPORTED) return EXIT_UNSUPPORTED;
  if (status == PYVOC_ERROR_MEMORY) return EXIT_NO_MEMORY;
  return EXIT_INPUT;
}

static int report_file(const char* what, const char* path) {
  fprintf(stderr, "synth: %s: %s: %s\n", path, what, strerror(errno));
  return EXIT_INPUT;
}

/* Samples (-1..1) as 16-bit words, rounded and clamped. */
static int write_samples(FILE* out, const float* samples, size_t n) {
  size_t i;
  for (i = 0; i < n; ++i) {
    const float scaled = floorf(32768.0f * samples[i] + 0.5f);
    const long word = scaled >= 32767.0f ? 32767L : scaled <= -32768.0f ? -32768L : (long)scaled;
    const unsigned bits = (unsigned)(word & 0xffffL);
    if (putc((int)(bits & 0xffu), out) == EOF || putc((int)(bits >> 8), out) == EOF) return 0;
  }
  return 1;
}

/* Pulls and writes all that the stream can give; `samples` has room for `capacity`. */
static int drain(pyvoc_stream* stream, float* samples, size_t capacity, FILE* out,
                 const char* out_name, unsigned long long* total) {
  for (;;) {
    size_t written = 0;
    const pyvoc_status status = pyvoc_stream_pull(stream, samples, capacity, &written);
    if (status != PYVOC_OK) return report(status);
    if (written == 0) return 0;
    if (!write_samples(out, samples, written)) return report_file("cannot write", out_name);
    *total += written;
  }
}

/* Floats per frame of `in`, or 0 after a message. */
static size_t frame_dims(const job* work, const pyvoc_model_info* info, FILE* in,
                         const char* in_name) {
  const unsigned long whole = info->layout_dims, least = info->feature_dims;
  long size;
  if (work->dims != 0) {
    if (work->dims >= least && work->dims <= 65536) return (size_t)work->dims;
    fprintf(stderr, "synth: --dims is %llu, expected %lu (what the model reads) to 65536\n",
            work->dims, least);
    return 0;
  }
  if (whole == least || fseek(in, 0, SEEK_END) != 0) return whole; /* a pipe has no size */
  size = ftell(in);
  rewind(in);
  if (size <= 0 || (unsigned long)size % (least * sizeof(float)) != 0) return whole;
  if ((unsigned long)size % (whole * sizeof(float)) != 0) return least;
  fprintf(stderr, "synth: %s: taken for frames of %lu floats; --dims %lu if they have those only\n",
          in_name, whole, least);
  return whole;
}

/* Reads frames of `dims` floats until the end of `in`; the model reads the first info->feature_dims
 * of them. */
static int run(pyvoc_stream* stream, const pyvoc_model_info* info, size_t dims, float* frame,
               float* samples, FILE* in, const char* in_name, FILE* out, const char* out_name) {
  const size_t frame_size = dims * sizeof(float);
  unsigned long long frames = 0, total = 0;
  pyvoc_status status;
  int code;
  for (;;) {
    const size_t got = fread(frame, 1, frame_size, in);
    if (ferror(in)) return report_file("cannot read", in_name);
    if (got == 0) break;
    if (got != frame_size) {
      fprintf(stderr,
              "synth: %s: ends after %llu frames and %lu bytes; expected frames of %lu bytes "
              "(%lu floats, layout %s)\n",
              in_name, frames, (unsigned long)got, (unsigned long)frame_size, (unsigned long)dims,
              info->feature_layout);
      return EXIT_INPUT;
    }
    status = pyvoc_stream_push(stream, frame, 1, dims);
    if (status != PYVOC_OK) {
      fprintf(stderr, "synth: %s: frame %llu:\n", in_name, frames);
      return report(status);
    }
    ++frames;
    code = drain(stream, samples, info->hop_length, out, out_name, &total);
    if (code != 0) return code;
  }
  if (frames == 0) {
    fprintf(stderr, "synth: %s: no frames; expected %lu floats each (layout %s)\n", in_name,
            (unsigned long)dims, info->feature_layout);
    return EXIT_INPUT;
  }
  status = pyvoc_stream_flush(stream);
  if (status != PYVOC_OK) return report(status);
  code = drain(stream, samples, info->hop_length, out, out_name, &total);
  if (code != 0) return code;
  if (fflush(out) != 0) return report_file("cannot write", out_name);
  fprintf(stderr, "synth: %s, %llu frames -> %llu samples at %lu Hz\n", info->architecture, frames,
          total, (unsigned long)info->sample_rate);
  return 0;
}

/* Opens the model and the stream and runs the job between two open files. */
static int synthesize(const job* work, FILE* in, const char* in_name, FILE* out,
                      const char* out_name) {
  pyvoc_model* model = NULL;
  pyvoc_stream* stream = NULL;
  pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
  pyvoc_model_info info;
  float *frame = NULL, *samples = NULL;
  size_t dims;
  int code;
  pyvoc_status status = pyvoc_model_load(work->model_path, &model);
  if (status != PYVOC_OK) return report(status);

  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  options.seed = work->seed;
  status = pyvoc_model_get_info(model, &info);
  if (status == PYVOC_OK) status = pyvoc_stream_open(model, &options, &stream);
  if (status != PYVOC_OK) {
    code = report(status);
  } else if ((dims = frame_dims(work, &info, in, in_name)) == 0) {
    code = EXIT_USAGE;
  } else {
    frame = malloc(dims * sizeof *frame);
    samples = malloc(info.hop_length * sizeof *samples);
    if (frame == NULL || samples == NULL) {
      fprintf(stderr, "synth: out of memory\n");
      code = EXIT_NO_MEMORY;
    } else {
      code = run(stream, &info, dims, frame, samples, in, in_name, out, out_name);
    }
  }
  free(samples);
  free(frame);
  pyvoc_stream_close(stream);
  pyvoc_model_release(model);
  return code;
}

/* Two texts in one, to be freed; NULL: out of memory. */
static char* joined(const char* text, const char* more) {
  char* both = malloc(strlen(text) + strlen(more) + 1);
  if (both != NULL) strcat(strcpy(both, text), more);
  return both;
}

/* The file that a complete one may take the name of, to be freed: `path` with its links followed.
 * NULL: there is something else, a device, a pipe or what a name of an open file ("/dev/stdout")
 * stands for, which a rename would replace by a file. */
static char* replaceable(const char* path) {
#if !defined(_WIN32)
  struct stat found;
  if (strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0) return NULL;
  if (stat(path, &found) == 0) return S_ISREG(found.st_mode) ? realpath(path, NULL) : NULL;
  if (lstat(path, &found) == 0) return NULL; /* a link to what is not there yet */
#endif
  return joined(path, "");
}

/* The same into "<file>.part", which takes the file's name once it is complete; or straight into
 * what is no file. */
static int synthesize_to_file(const job* work, FILE* in, const char* in_name) {
  char* target = replaceable(work->output_path);
  char* partial = target == NULL ? NULL : joined(target, ".part");
  const char* name = partial == NULL ? work->output_path : partial;
  FILE* out = target != NULL && partial == NULL ? NULL : fopen(name, "wb");
  int code;
  if (out == NULL) {
    code = report_file("cannot write", name);
  } else {
    code = synthesize(work, in, in_name, out, work->output_path);
    if (fclose(out) != 0 && code == 0) code = report_file("cannot write", work->output_path);
    if (partial != NULL && code == 0 && rename(partial, target) != 0) {
      code = report_file("cannot create", work->output_path);
    }
    if (partial != NULL && code != 0) remove(partial);
  }
  free(partial);
  free(target);
  return code;
}

static int parse(int argc, char** argv, job* work) {
  const char* names[3] = {NULL, NULL, NULL};
  int n = 0, i;
  work->seed = work->dims = 0;
  for (i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--seed") == 0 || strcmp(argv[i], "--dims") == 0) {
      unsigned long long* number = argv[i][2] == 's' ? &work->seed : &work->dims;
      char* end;
      if (i + 1 == argc || argv[i + 1][0] < '0' || argv[i + 1][0] > '9') {
        return usage("--seed and --dims take a non-negative integer");
      }
      errno = 0;
      *number = strtoull(argv[++i], &end, 10);
      if (errno != 0 || *end != '\0') {
        return usage("--seed and --dims take a non-negative integer");
      }
    } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
      return usage("unknown option");
    } else if (n == 3) {
      return usage("too many arguments");
    } else {
      names[n++] = argv[i];
    }
  }
  if (n < 2) return usage("MODEL and FEATURES are missing");
  work->model_path = names[0];
  work->features_path = strcmp(names[1], "-") == 0 ? NULL : names[1];
  work->output_path = names[2] == NULL || strcmp(names[2], "-") == 0 ? NULL : names[2];
  return 0;
}

int main(int argc, char** argv) {
  job work;
  FILE* in;
  const char* in_name;
  int code = parse(argc, argv, &work);
  if (code != 0) return code;
  in = work.features_path == NULL ? stdin : fopen(work.features_path, "rb");
  in_name = work.features_path == NULL ? "<stdin>" : work.features_path;
  if (in == NULL) return report_file("cannot open", in_name);
  code = work.output_path == NULL ? synthesize(&work, in, in_name, stdout, "<stdout>")
                                  : synthesize_to_file(&work, in, in_name);
  if (in != stdin) fclose(in);
  return code;
}
