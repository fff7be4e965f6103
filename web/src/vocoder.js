// What an application uses: a voice, loaded once, that speaks features.
import { compile, fetchBytes, Runtime, VocoderError } from "./module.js";
import {
  copy, dimsOf, extract, Extractor, LivePath, Model, resample, Stream, synthesize,
} from "./parts.js";

export { checkSupport, VocoderError } from "./module.js";
export { dimsOf } from "./parts.js";

/** Where the module lies when nobody says otherwise. */
export const MODULE_URL = new URL("../wasm/pyvoc.wasm", import.meta.url).href;

const compiled = new Map(); // URL -> promise of a module

/** A compiled module of a URL (compiled once), bytes or a module. */
export async function loadModule(source = MODULE_URL) {
  if (typeof source !== "string" && !(source instanceof URL)) return compile(source);
  const url = String(source);
  if (!compiled.has(url)) {
    const promise = compile(url);
    promise.catch(() => compiled.delete(url)); // another try may succeed
    compiled.set(url, promise);
  }
  return compiled.get(url);
}

/** The bytes of a model: of a URL, an ArrayBuffer, a view of one, a Blob or a File. */
export async function modelBytes(source, progress = null) {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (ArrayBuffer.isView(source)) {
    return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  }
  if (typeof Blob !== "undefined" && source instanceof Blob) {
    return new Uint8Array(await source.arrayBuffer());
  }
  if (typeof source === "string" || source instanceof URL) {
    return fetchBytes(String(source), progress);
  }
  throw new VocoderError(`a model is a URL, bytes or a file; got ${typeof source}`);
}

/** A voice. Its methods compute on the calling thread; RemoteVocoder's do so in a worker. */
export class Vocoder {
  /**
   * @param {string|URL|ArrayBuffer|ArrayBufferView|Blob} source a pyvoc GGUF model
   * @param {{module?: string|URL|BufferSource|WebAssembly.Module, progress?: Function}} options
   */
  static async load(source, { module, progress } = {}) {
    const [wasm, bytes] = await Promise.all([loadModule(module), modelBytes(source, progress)]);
    try {
      return new Vocoder(wasm, bytes);
    } catch (error) {
      if (error instanceof VocoderError && typeof source === "string") {
        error.message = `${source}: ${error.message}`;
      }
      throw error;
    }
  }

  /** Synchronous, with what was loaded before: for worklets and workers. */
  constructor(wasm, bytes) {
    this.module = wasm;
    this.bytes = bytes;
    this.runtime = new Runtime(wasm);
    this.model = new Model(this.runtime, bytes);
    this.info = this.model.info;
  }

  /** What is in the model file: metadata, tensors, layers. */
  describe() {
    return this.model.describe();
  }

  /** All samples of features, `dims` floats per frame; by default as many as fit. */
  synthesize(features, options = {}) {
    return synthesize(this.model, features, options);
  }

  /** Frames in, samples out. */
  stream(options = {}) {
    return new Stream(this.model, options);
  }

  /** The features of a signal. Another sample rate than the model's is resampled. */
  features(samples, sampleRate = this.info.sampleRate) {
    const extractor = new Extractor(this.runtime, this.model);
    const { sampleRate: rate, featureDims: dims } = extractor.info;
    extractor.close();
    const pcm = resample(this.runtime, samples, sampleRate, rate);
    const data = extract(this.runtime, this.model, pcm);
    return { data, dims, frames: data.length / dims, resampled: sampleRate !== rate };
  }

  /** The extractor of the model's features, or of a layout by name. */
  extractor(layout = null) {
    return new Extractor(this.runtime, layout ?? this.model);
  }

  /** Microphone samples in, loudspeaker samples out, without a clock. */
  live(options = {}) {
    return new LivePath(this.model, options);
  }

  /** A signal as the voice says it, at the model's rate. Shifts are in semitones. */
  copy(samples, sampleRate, options = {}) {
    return copy(this.model, samples, sampleRate, options);
  }

  resample(samples, fromRate, toRate) {
    return resample(this.runtime, samples, fromRate, toRate);
  }

  /** Floats per frame of so many features. */
  dimsOf(length) {
    return dimsOf(this.info, length);
  }

  /** An AudioWorkletNode that speaks: see node.js. */
  async node(context, options = {}) {
    const { createNode } = await import("./node.js");
    return createNode(context, this, options);
  }

  /** What the module can do: tiers, kernels. */
  systemInfo() {
    return JSON.parse(this.runtime.string(this.runtime.get("system_info")));
  }

  /** Frees the model; streams that are open keep it until they are closed. */
  close() {
    this.model.close();
  }
}
