/* JNI: the natives of pyvoc.Native (Vocoder.kt), over pyvoc.h alone.
 *
 * A handle is the address of an object of the C library. Vocoder.kt sees to it that none is used
 * after it was closed and that ranges lie inside their arrays. What may run in an audio thread
 * (stream push and pull, the live path) allocates nothing: arrays are copied a piece at a time. */
#include <jni.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pyvoc/pyvoc.h"

enum { PIECE = 1024 }; /* floats on the stack */

static void* at(jlong handle) { return (void*)(intptr_t)handle; }
static jlong handle_of(const void* object) { return (jlong)(intptr_t)object; }

static jsize least(jsize a, jsize b) { return a < b ? a : b; }

/* 1 where a call succeeded; otherwise 0, and a VocoderException is on its way. */
static int done(JNIEnv* env, pyvoc_status status) {
  jclass type;
  jmethodID make;
  jstring sentence;
  jobject thrown = NULL;
  if (status == PYVOC_OK) return 1;
  type = (*env)->FindClass(env, "pyvoc/VocoderException");
  if (type == NULL) return 0; /* that says so itself */
  make = (*env)->GetMethodID(env, type, "<init>", "(ILjava/lang/String;)V");
  sentence = (*env)->NewStringUTF(env, pyvoc_last_error());
  if (make != NULL && sentence != NULL) {
    thrown = (*env)->NewObject(env, type, make, (jint)status, sentence);
  }
  if (thrown != NULL) (*env)->Throw(env, (jthrowable)thrown);
  return 0;
}

static jstring version(JNIEnv* env, jclass type) {
  (void)type;
  return (*env)->NewStringUTF(env, pyvoc_version());
}

/* ---- models ---- */

static jlong model_load(JNIEnv* env, jclass type, jstring path) {
  pyvoc_model* model = NULL;
  const char* name = (*env)->GetStringUTFChars(env, path, NULL);
  pyvoc_status status;
  (void)type;
  if (name == NULL) return 0;
  status = pyvoc_model_load(name, &model);
  (*env)->ReleaseStringUTFChars(env, path, name);
  return done(env, status) ? handle_of(model) : 0;
}

static jlong model_load_memory(JNIEnv* env, jclass type, jobject buffer, jint size) {
  pyvoc_model* model = NULL;
  const void* data = (*env)->GetDirectBufferAddress(env, buffer);
  (void)type;
  return done(env, pyvoc_model_load_memory(data, (size_t)size, &model)) ? handle_of(model) : 0;
}

static void model_release(JNIEnv* env, jclass type, jlong model) {
  (void)env, (void)type;
  pyvoc_model_release(at(model));
}

/* numbers: rate, hop, floats per frame, frames of look-ahead, samples of latency. Returns the
 * family, the precision and the layout of the features, with blanks between. */
static jstring model_info(JNIEnv* env, jclass type, jlong model, jintArray numbers) {
  pyvoc_model_info info = {.struct_size = sizeof info};
  char words[256];
  jint values[5];
  (void)type;
  if (!done(env, pyvoc_model_get_info(at(model), &info))) return NULL;
  values[0] = (jint)info.sample_rate;
  values[1] = (jint)info.hop_length;
  values[2] = (jint)info.feature_dims;
  values[3] = (jint)info.lookahead_frames;
  values[4] = (jint)info.latency_samples;
  (*env)->SetIntArrayRegion(env, numbers, 0, 5, values);
  snprintf(words, sizeof words, "%s %s %s", info.architecture, info.precision, info.feature_layout);
  return (*env)->NewStringUTF(env, words);
}

/* ---- streams ---- */

static jlong stream_open(JNIEnv* env, jclass type, jlong model, jlong seed, jint threads,
                         jint capacity) {
  pyvoc_stream_options options = PYVOC_STREAM_OPTIONS_INIT;
  pyvoc_stream* stream = NULL;
  (void)type;
  options.seed = (uint64_t)seed;
  options.threads = (uint32_t)threads;
  options.capacity_frames = (uint32_t)capacity;
  return done(env, pyvoc_stream_open(at(model), &options, &stream)) ? handle_of(stream) : 0;
}

static void stream_close(JNIEnv* env, jclass type, jlong stream) {
  (void)env, (void)type;
  pyvoc_stream_close(at(stream));
}

/* A copy and a check of the frames: short enough to keep the collector waiting. */
static void stream_push(JNIEnv* env, jclass type, jlong stream, jfloatArray frames, jint from,
                        jint n, jint dims) {
  float* rows = (*env)->GetPrimitiveArrayCritical(env, frames, NULL);
  pyvoc_status status;
  (void)type;
  if (rows == NULL) return;
  status = pyvoc_stream_push(at(stream), rows + from, (size_t)n, (size_t)dims);
  (*env)->ReleasePrimitiveArrayCritical(env, frames, rows, JNI_ABORT);
  done(env, status);
}

static jint stream_available(JNIEnv* env, jclass type, jlong stream) {
  (void)env, (void)type;
  return (jint)pyvoc_stream_available(at(stream));
}

static jint stream_pull(JNIEnv* env, jclass type, jlong stream, jfloatArray out, jint from,
                        jint n) {
  float piece[PIECE];
  jint total = 0;
  (void)type;
  while (total < n) {
    const jsize wanted = least(n - total, PIECE);
    size_t got = 0;
    if (!done(env, pyvoc_stream_pull(at(stream), piece, (size_t)wanted, &got))) return 0;
    (*env)->SetFloatArrayRegion(env, out, from + total, (jsize)got, piece);
    total += (jint)got;
    if ((jsize)got < wanted) break;
  }
  return total;
}

static void stream_flush(JNIEnv* env, jclass type, jlong stream) {
  (void)type;
  done(env, pyvoc_stream_flush(at(stream)));
}

static void stream_reset(JNIEnv* env, jclass type, jlong stream, jlong seed) {
  (void)type;
  done(env, pyvoc_stream_reset(at(stream), (uint64_t)seed));
}

/* ---- features of sound ---- */

static jlong extractor_open(JNIEnv* env, jclass type, jlong model) {
  pyvoc_extractor* extractor = NULL;
  (void)type;
  return done(env, pyvoc_extractor_open_for_model(at(model), &extractor)) ? handle_of(extractor)
                                                                          : 0;
}

static void extractor_close(JNIEnv* env, jclass type, jlong extractor) {
  (void)env, (void)type;
  pyvoc_extractor_close(at(extractor));
}

static jint extractor_dims(JNIEnv* env, jclass type, jlong extractor) {
  pyvoc_extractor_info info = {.struct_size = sizeof info};
  (void)type;
  return done(env, pyvoc_extractor_get_info(at(extractor), &info)) ? (jint)info.feature_dims : 0;
}

static jint extractor_after(JNIEnv* env, jclass type, jlong extractor, jint n) {
  (void)env, (void)type;
  return (jint)pyvoc_extractor_frames_after(at(extractor), (size_t)n);
}

/* pcm NULL: the end of the signal. Returns the number of frames, of which `capacity` have room. */
static jint extractor_push(JNIEnv* env, jclass type, jlong extractor, jfloatArray pcm, jint from,
                           jint n, jfloatArray frames, jint capacity) {
  jfloat* rows = (*env)->GetFloatArrayElements(env, frames, NULL);
  jfloat* in = pcm != NULL && rows != NULL ? (*env)->GetFloatArrayElements(env, pcm, NULL) : NULL;
  pyvoc_status status = PYVOC_OK;
  size_t written = 0;
  (void)type;
  if (rows != NULL && pcm == NULL) {
    status = pyvoc_extractor_flush(at(extractor), rows, (size_t)capacity, &written);
  } else if (in != NULL) {
    status =
        pyvoc_extractor_push(at(extractor), in + from, (size_t)n, rows, (size_t)capacity, &written);
    (*env)->ReleaseFloatArrayElements(env, pcm, in, JNI_ABORT);
  }
  if (rows != NULL) (*env)->ReleaseFloatArrayElements(env, frames, rows, 0);
  done(env, status);
  return (jint)written;
}

/* ---- microphone to loudspeaker ---- */

static jlong path_open(JNIEnv* env, jclass type, jlong model, jint input_rate, jint output_rate,
                       jfloat pitch, jfloat formant, jlong seed) {
  pyvoc_live_path_options options = PYVOC_LIVE_PATH_OPTIONS_INIT;
  pyvoc_live_path* path = NULL;
  (void)type;
  options.input_rate = (uint32_t)input_rate;
  options.output_rate = (uint32_t)output_rate;
  options.pitch = pitch;
  options.formant = formant;
  options.seed = (uint64_t)seed;
  return done(env, pyvoc_live_path_open(at(model), &options, &path)) ? handle_of(path) : 0;
}

static void path_close(JNIEnv* env, jclass type, jlong path) {
  (void)env, (void)type;
  pyvoc_live_path_close(at(path));
}

static jint path_latency(JNIEnv* env, jclass type, jlong path) {
  pyvoc_live_path_info info = {.struct_size = sizeof info};
  (void)type;
  return done(env, pyvoc_live_path_get_info(at(path), &info)) ? (jint)info.latency_samples : 0;
}

static jint path_push(JNIEnv* env, jclass type, jlong path, jfloatArray pcm, jint from, jint n) {
  float piece[PIECE];
  jint total = 0;
  (void)type;
  while (total < n) {
    const jsize wanted = least(n - total, PIECE);
    jsize taken;
    (*env)->GetFloatArrayRegion(env, pcm, from + total, wanted, piece);
    taken = (jsize)pyvoc_live_path_push(at(path), piece, (size_t)wanted);
    total += taken;
    if (taken < wanted) break;
  }
  return total;
}

static jint path_pull(JNIEnv* env, jclass type, jlong path, jfloatArray out, jint from, jint n) {
  float piece[PIECE];
  jint total = 0;
  (void)type;
  while (total < n) {
    const jsize wanted = least(n - total, PIECE);
    const jsize got = (jsize)pyvoc_live_path_pull(at(path), piece, (size_t)wanted);
    (*env)->SetFloatArrayRegion(env, out, from + total, got, piece);
    total += got;
    if (got < wanted) break;
  }
  return total;
}

static void path_finish(JNIEnv* env, jclass type, jlong path) {
  (void)env, (void)type;
  pyvoc_live_path_finish(at(path));
}

static void path_shift(JNIEnv* env, jclass type, jlong path, jfloat pitch, jfloat formant) {
  (void)type;
  done(env, pyvoc_live_path_set_shift(at(path), pitch, formant));
}

static void path_reset(JNIEnv* env, jclass type, jlong path) {
  (void)type;
  done(env, pyvoc_live_path_reset(at(path)));
}

/* The older members of this struct are not const in every jni.h. */
#define NATIVE(name, signature, function) {(char*)name, (char*)signature, (void*)(function)}

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* vm, void* reserved) {
  const JNINativeMethod natives[] = {
      NATIVE("version", "()Ljava/lang/String;", version),
      NATIVE("modelLoad", "(Ljava/lang/String;)J", model_load),
      NATIVE("modelLoadMemory", "(Ljava/nio/ByteBuffer;I)J", model_load_memory),
      NATIVE("modelRelease", "(J)V", model_release),
      NATIVE("modelInfo", "(J[I)Ljava/lang/String;", model_info),
      NATIVE("streamOpen", "(JJII)J", stream_open),
      NATIVE("streamClose", "(J)V", stream_close),
      NATIVE("streamPush", "(J[FIII)V", stream_push),
      NATIVE("streamAvailable", "(J)I", stream_available),
      NATIVE("streamPull", "(J[FII)I", stream_pull),
      NATIVE("streamFlush", "(J)V", stream_flush),
      NATIVE("streamReset", "(JJ)V", stream_reset),
      NATIVE("extractorOpen", "(J)J", extractor_open),
      NATIVE("extractorClose", "(J)V", extractor_close),
      NATIVE("extractorDims", "(J)I", extractor_dims),
      NATIVE("extractorAfter", "(JI)I", extractor_after),
      NATIVE("extractorPush", "(J[FII[FI)I", extractor_push),
      NATIVE("pathOpen", "(JIIFFJ)J", path_open),
      NATIVE("pathClose", "(J)V", path_close),
      NATIVE("pathLatency", "(J)I", path_latency),
      NATIVE("pathPush", "(J[FII)I", path_push),
      NATIVE("pathPull", "(J[FII)I", path_pull),
      NATIVE("pathFinish", "(J)V", path_finish),
      NATIVE("pathShift", "(JFF)V", path_shift),
      NATIVE("pathReset", "(J)V", path_reset),
  };
  JNIEnv* env = NULL;
  jclass type;
  (void)reserved;
  if ((*vm)->GetEnv(vm, (void**)&env, JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
  type = (*env)->FindClass(env, "pyvoc/Native");
  if (type == NULL) return JNI_ERR;
  if ((*env)->RegisterNatives(env, type, natives, sizeof natives / sizeof *natives) != JNI_OK) {
    return JNI_ERR;
  }
  return JNI_VERSION_1_6;
}
