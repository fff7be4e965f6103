// A model, a stream, an extractor, a resampler and a live path of one module instance, in
// JavaScript's terms. All of it is synchronous; vocoder.js is what an application uses.
import { Scratch, VocoderError } from "./module.js";

/** Families whose samples depend on the ones before: little work at a time, fit for a callback. */
const SAMPLE_BY_SAMPLE = new Set(["lpcnet", "fargan", "wavernn"]);

const LIVE_FEATURES = 64;

function handleError() {
  return new VocoderError("it was closed", "state");
}

/** What every handle of the C ABI has: memory, and an end. */
class Handle {
  constructor(runtime, at, closer) {
    this.runtime = runtime;
    this.at = at;
    this.closer = closer;
    this.input = new Scratch(runtime);
    this.output = new Scratch(runtime);
  }

  get pointer() {
    if (!this.at) throw handleError();
    return this.at;
  }

  close() {
    if (!this.at) return;
    if (!this.runtime.dead) this.runtime.call(this.closer, this.at);
    this.at = 0;
    this.input.close();
    this.output.close();
  }
}

function asFloats(what, values) {
  if (values instanceof Float32Array) return values;
  if (Array.isArray(values) || ArrayBuffer.isView(values)) return Float32Array.from(values);
  throw new VocoderError(`${what}: expected a Float32Array, got ${typeof values}`);
}

function frameCount(features, dims, code) {
  if (!Number.isInteger(dims) || dims < 1) throw new VocoderError(`${dims} floats per frame`);
  if (features.length % dims !== 0) {
    throw new VocoderError(
      `${features.length} floats are no whole number of frames of ${dims}`, code);
  }
  return features.length / dims;
}

export class Model extends Handle {
  /** `bytes` are not needed afterwards. */
  constructor(runtime, bytes) {
    const at = runtime.alloc(bytes.length);
    let model;
    try {
      runtime.bytes(at, bytes.length).set(bytes);
      model = runtime.get("model_load_memory", at, bytes.length);
    } finally {
      runtime.free(at);
    }
    super(runtime, model, "model_release");
    runtime.struct(68);
    runtime.check("model_get_info", model, runtime.slot);
    const view = runtime.view(runtime.slot, 68);
    const u32 = (offset) => view.getUint32(offset, true);
    const family = runtime.string(u32(4));
    this.info = Object.freeze({
      family,
      precision: runtime.string(u32(8)),
      layout: runtime.string(u32(12)),
      layoutDims: u32(16),
      sampleRate: u32(20),
      hopLength: u32(24),
      featureDims: u32(28),
      lookaheadFrames: u32(32),
      stochastic: u32(36) !== 0,
      takesSigma: u32(44) !== 0,
      latencySamples: u32(52),
      sampleBySample: SAMPLE_BY_SAMPLE.has(family),
      modelBytes: bytes.length,
    });
  }

  describe() {
    return JSON.parse(this.runtime.string(this.runtime.get("model_describe", this.pointer)));
  }
}

export class Stream extends Handle {
  constructor(model, { seed = 0, sigma = null, capacityFrames = 0 } = {}) {
    const { runtime } = model;
    const view = runtime.struct(40);
    view.setUint32(4, capacityFrames, true);
    view.setBigUint64(8, BigInt(seed), true);
    if (sigma !== null) {
      view.setUint32(20, 1, true);
      view.setFloat32(24, sigma, true);
    }
    const options = runtime.slot;
    // The out parameter is the slot's end, behind the options.
    const out = runtime.slot + 48;
    runtime.check("stream_open", model.pointer, options, out);
    super(runtime, runtime.u32(out), "stream_close");
    this.info = model.info;
  }

  /** Samples that can be pulled now. */
  get available() {
    return this.runtime.call("stream_available", this.pointer);
  }

  /** Appends frames of `dims` floats, of which the model reads the first featureDims. */
  push(features, dims = this.info.featureDims) {
    const rows = asFloats("features", features);
    const n = frameCount(rows, dims, "feature");
    if (dims < this.info.featureDims) {
      throw new VocoderError(
        `frames have ${dims} floats, expected ${this.info.featureDims} or more`, "feature");
    }
    this.runtime.check("stream_push", this.pointer, this.input.put(rows), n, dims);
  }

  /** Makes room for more frames than capacityFrames. */
  reserve(frames) {
    this.runtime.check("stream_reserve", this.pointer, frames);
  }

  /** Up to `most` samples, those that are available. */
  pull(most = this.available) {
    const at = this.output.room(most);
    const n = this.runtime.get("stream_pull", this.pointer, at, most);
    return this.runtime.floats(at, n).slice();
  }

  /** Ends the input: what was held back can be pulled. */
  flush() {
    this.runtime.check("stream_flush", this.pointer);
  }

  /** Back to the beginning. */
  reset(seed = 0) {
    this.runtime.check("stream_reset", this.pointer, BigInt(seed));
  }
}

export class Extractor extends Handle {
  /** Of a model's features, or of a layout by name ("opus20", "mel-hifigan", ...). */
  constructor(runtime, source) {
    const at =
      typeof source === "string"
        ? runtime.withString(source, (name) => runtime.get("extractor_open", name))
        : runtime.get("extractor_open_for_model", source.pointer);
    super(runtime, at, "extractor_close");
    const view = runtime.struct(20);
    runtime.check("extractor_get_info", at, runtime.slot);
    this.info = Object.freeze({
      sampleRate: view.getUint32(4, true),
      hopLength: view.getUint32(8, true),
      featureDims: view.getUint32(12, true),
      latencySamples: view.getUint32(16, true),
    });
  }

  /** Feeds samples; returns the frames that they complete, one after the other. */
  push(samples) {
    const pcm = asFloats("samples", samples);
    const n = this.runtime.call("extractor_frames_after", this.pointer, pcm.length);
    if (pcm.length === 0) return new Float32Array(0);
    const input = this.input.put(pcm);
    const output = this.output.room(n * this.info.featureDims);
    const got = this.runtime.get("extractor_push", this.pointer, input, pcm.length, output, n);
    return this.runtime.floats(output, got * this.info.featureDims).slice();
  }

  /** Ends the signal; returns the frames that were held back. */
  flush() {
    const n = this.runtime.call("extractor_frames_after", this.pointer, 0);
    const output = this.output.room(n * this.info.featureDims);
    const got = this.runtime.get("extractor_flush", this.pointer, output, n);
    return this.runtime.floats(output, got * this.info.featureDims).slice();
  }

  reset() {
    this.runtime.check("extractor_reset", this.pointer);
  }
}

export class Resampler extends Handle {
  constructor(runtime, fromRate, toRate) {
    super(runtime, runtime.get("resampler_open", fromRate, toRate), "resampler_close");
  }

  push(samples) {
    const pcm = asFloats("samples", samples);
    if (pcm.length === 0) return new Float32Array(0);
    const n = this.runtime.call("resampler_samples_after", this.pointer, pcm.length);
    const input = this.input.put(pcm);
    const output = this.output.room(n);
    const got = this.runtime.get("resampler_push", this.pointer, input, pcm.length, output, n);
    return this.runtime.floats(output, got).slice();
  }

  flush() {
    const n = this.runtime.call("resampler_samples_after", this.pointer, 0);
    const output = this.output.room(n);
    const got = this.runtime.get("resampler_flush", this.pointer, output, n);
    return this.runtime.floats(output, got).slice();
  }
}

/** Microphone samples (or features) in, loudspeaker samples out, at any rates, in any pieces. */
export class LivePath extends Handle {
  constructor(
    model,
    {
      inputRate = 0, outputRate = 0, features = false, chunkFrames = 0, capacitySamples = 0,
      pitch = 0, formant = 0, seed = 0,
    } = {},
  ) {
    const { runtime } = model;
    const view = runtime.struct(48);
    view.setUint32(4, features ? LIVE_FEATURES : 0, true);
    view.setUint32(8, inputRate, true);
    view.setUint32(12, outputRate, true);
    view.setUint32(16, chunkFrames, true);
    view.setUint32(24, capacitySamples, true);
    view.setFloat32(28, pitch, true);
    view.setFloat32(32, formant, true);
    view.setBigUint64(40, BigInt(seed), true);
    const out = runtime.slot + 48;
    runtime.check("live_path_open", model.pointer, runtime.slot, out);
    super(runtime, runtime.u32(out), "live_path_close");
    const info = runtime.struct(40);
    runtime.check("live_path_get_info", this.at, runtime.slot);
    this.info = Object.freeze({
      inputRate: info.getUint32(4, true),
      outputRate: info.getUint32(8, true),
      featureDims: info.getUint32(12, true),
      latencySamples: info.getUint32(16, true),
      burstSamples: info.getUint32(20, true),
    });
  }

  /** Takes samples; how many were taken: fewer only when output waits. */
  push(samples) {
    return this.runtime.call(
      "live_path_push", this.pointer, this.input.put(samples), samples.length);
  }

  /** Takes frames of featureDims floats; how many were taken. */
  pushFeatures(rows) {
    const dims = this.info.featureDims;
    const n = frameCount(rows, dims, "feature");
    return this.runtime.call(
      "live_path_push_features", this.pointer, this.input.put(rows), n, dims);
  }

  /** Fills `samples` with what is ready; how many that are. */
  pullInto(samples) {
    const at = this.output.room(samples.length);
    const n = this.runtime.call("live_path_pull", this.pointer, at, samples.length);
    samples.set(this.runtime.floats(at, n));
    return n;
  }

  /** All that is ready. */
  pull() {
    const parts = [];
    for (;;) {
      const part = new Float32Array(4096);
      const n = this.pullInto(part);
      if (n > 0) parts.push(part.subarray(0, n));
      if (n < part.length) return joined(parts);
    }
  }

  finish() {
    this.runtime.call("live_path_finish", this.pointer);
  }

  setShift(pitch, formant = 0) {
    this.runtime.check("live_path_set_shift", this.pointer, pitch, formant);
  }

  reset() {
    this.runtime.check("live_path_reset", this.pointer);
  }
}

/** Pieces of sound, one after the other. */
export function joined(parts) {
  const all = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** All of a signal at another rate. */
export function resample(runtime, samples, fromRate, toRate) {
  if (fromRate === toRate) return asFloats("samples", samples);
  const resampler = new Resampler(runtime, fromRate, toRate);
  try {
    return joined([resampler.push(samples), resampler.flush()]);
  } finally {
    resampler.close();
  }
}

/** All frames of a signal. */
export function extract(runtime, source, samples) {
  const extractor = new Extractor(runtime, source);
  try {
    return joined([extractor.push(samples), extractor.flush()]);
  } finally {
    extractor.close();
  }
}

/** All samples of features; `progress(done, frames)` after each piece. */
export function synthesize(model, features, { dims, seed, sigma, progress } = {}) {
  const width = dims ?? dimsOf(model.info, features.length);
  const n = frameCount(features, width, "feature");
  const piece = 64;
  const stream = new Stream(model, { seed, sigma, capacityFrames: piece + 64 });
  const parts = [];
  try {
    for (let at = 0; at < n; at += piece) {
      stream.push(features.subarray(at * width, Math.min(at + piece, n) * width), width);
      parts.push(stream.pull());
      progress?.(Math.min(at + piece, n), n);
    }
    stream.flush();
    for (let part = stream.pull(); part.length > 0; part = stream.pull()) parts.push(part);
  } finally {
    stream.close();
  }
  return joined(parts);
}

/** Floats per frame, by the number of all: those that the model reads, or those of its layout. */
export function dimsOf(info, length) {
  const reads = length % info.featureDims === 0;
  const layout = length % info.layoutDims === 0;
  if (reads && layout && info.featureDims !== info.layoutDims) {
    throw new VocoderError(
      `${length} floats may be frames of ${info.featureDims} or of ${info.layoutDims}: say \`dims\``,
      "feature");
  }
  if (!reads && !layout) {
    throw new VocoderError(
      `${length} floats are no whole number of frames of ${info.featureDims} ` +
        `(or ${info.layoutDims}) floats, which ${info.family} reads as ${info.layout}`,
      "feature");
  }
  return reads ? info.featureDims : info.layoutDims;
}

/** A signal as the model says it, at the model's rate; the pieces do not change a sample. */
export function copy(model, samples, sampleRate, { pitch, formant, seed, progress } = {}) {
  const pcm = asFloats("samples", samples);
  const path = new LivePath(model, { inputRate: sampleRate, pitch, formant, seed });
  const piece = 4096;
  const parts = [];
  try {
    for (let at = 0; at < pcm.length; ) {
      at += path.push(pcm.subarray(at, at + piece));
      parts.push(path.pull());
      progress?.(at, pcm.length);
    }
    path.finish();
    for (let part = path.pull(); part.length > 0; part = path.pull()) parts.push(part);
  } finally {
    path.close();
  }
  return joined(parts);
}
