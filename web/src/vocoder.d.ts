/** Bytes of a pyvoc GGUF model, or where they are. */
export type ModelSource = string | URL | ArrayBuffer | ArrayBufferView | Blob;
/** The WebAssembly module, or where it is; by default `../wasm/pyvoc.wasm` beside this file. */
export type ModuleSource = string | URL | BufferSource | WebAssembly.Module;
export type ErrorCode =
  | "argument" | "model" | "feature" | "audio" | "unsupported" | "io" | "memory" | "busy" | "full"
  | "state";

/** What went wrong, in one sentence. */
export class VocoderError extends Error {
  readonly code: ErrorCode;
  constructor(message: string, code?: ErrorCode);
}

export interface LoadOptions {
  module?: ModuleSource;
  /** Bytes that came, and bytes in all (0: not known). */
  progress?: (received: number, total: number) => void;
}

export interface ModelInfo {
  readonly family: string;
  readonly precision: "f32" | "bf16" | "int8";
  /** Layout of the model's feature files. */
  readonly layout: string;
  /** Floats per frame in files of that layout. */
  readonly layoutDims: number;
  /** Hz. */
  readonly sampleRate: number;
  /** Samples per frame. */
  readonly hopLength: number;
  /** Floats per frame that the model reads. */
  readonly featureDims: number;
  readonly lookaheadFrames: number;
  readonly stochastic: boolean;
  readonly takesSigma: boolean;
  readonly latencySamples: number;
  /** Fit for an audio callback; otherwise for a worker. */
  readonly sampleBySample: boolean;
  readonly modelBytes: number;
}

export interface SynthesisOptions {
  /** Floats per frame of the features; by default those that fit their number. */
  dims?: number;
  seed?: number | bigint;
  /** Of models that take one (WaveGlow): 0 to 4. */
  sigma?: number;
  progress?: (framesDone: number, frames: number) => void;
}

export interface StreamOptions {
  seed?: number | bigint;
  sigma?: number;
  /** Room for frames that were pushed and not pulled; 0: 64. */
  capacityFrames?: number;
}

export interface Shift {
  /** Semitones, -24 to 24. */
  pitch?: number;
  /** Semitones, -24 to 24; models on mel frames take none. */
  formant?: number;
}

export interface CopyOptions extends Shift {
  seed?: number | bigint;
}

export interface LiveOptions extends Shift {
  /** Hz, 4000 to 384000; 0: the model's. */
  inputRate?: number;
  outputRate?: number;
  /** Frames are pushed in place of samples. */
  features?: boolean;
  /** Frames that the model gets at once, 1 to 32. */
  chunkFrames?: number;
  capacitySamples?: number;
  seed?: number | bigint;
}

export interface Features {
  /** Frame after frame. */
  data: Float32Array;
  dims: number;
  frames: number;
  /** The signal had another sample rate than the features are made of. */
  resampled: boolean;
}

export interface Stream {
  readonly available: number;
  push(features: Float32Array, dims?: number): void;
  reserve(frames: number): void;
  pull(most?: number): Float32Array;
  flush(): void;
  reset(seed?: number | bigint): void;
  close(): void;
}

export interface Extractor {
  readonly info: {
    readonly sampleRate: number;
    readonly hopLength: number;
    readonly featureDims: number;
    readonly latencySamples: number;
  };
  push(samples: Float32Array): Float32Array;
  flush(): Float32Array;
  reset(): void;
  close(): void;
}

export interface LivePath {
  readonly info: {
    readonly inputRate: number;
    readonly outputRate: number;
    readonly featureDims: number;
    /** Silence to play first, so that no pull runs short. */
    readonly latencySamples: number;
    readonly burstSamples: number;
  };
  push(samples: Float32Array): number;
  pushFeatures(rows: Float32Array): number;
  pullInto(samples: Float32Array): number;
  pull(): Float32Array;
  finish(): void;
  setShift(pitch: number, formant?: number): void;
  reset(): void;
  close(): void;
}

export interface NodeOptions extends Shift {
  /** "microphone": an input; "features": none, see `pushFeatures`. */
  source?: "microphone" | "features";
  /** Where the model runs; by default what suits its family. */
  place?: "worklet" | "worker";
  seed?: number | bigint;
  /** What to speak from the first sample on. */
  features?: Float32Array;
  /** Whether that is all. */
  finish?: boolean;
  /** Of sound in reserve, where the model runs in a worker. */
  marginSeconds?: number;
}

export interface NodeStats {
  /** Part of a core that the callback takes ("worklet"). */
  load: number;
  /** Callbacks that had not enough to play. */
  gaps: number;
  inputLevel: number;
  outputLevel: number;
  queuedSamples?: number;
}

export interface VocoderNode {
  readonly node: AudioWorkletNode;
  readonly place: "worklet" | "worker";
  /** The context's rate is not the model's. */
  readonly resampled: boolean;
  readonly latencySeconds: number;
  on(event: "stats", listener: (stats: NodeStats) => void): this;
  on(event: "ended", listener: () => void): this;
  on(event: "error", listener: (error: VocoderError) => void): this;
  connect(target: AudioNode, output?: number, input?: number): AudioNode;
  disconnect(): void;
  setShift(pitch: number, formant?: number): Promise<void>;
  pushFeatures(rows: Float32Array): Promise<void>;
  finish(): Promise<void>;
  close(): void;
}

/** A voice that computes on the calling thread. */
export class Vocoder {
  static load(source: ModelSource, options?: LoadOptions): Promise<Vocoder>;
  /** Synchronous, with what was loaded before: for worklets and workers. */
  constructor(module: WebAssembly.Module, bytes: Uint8Array);
  readonly info: ModelInfo;
  describe(): Record<string, unknown>;
  synthesize(features: Float32Array, options?: SynthesisOptions): Float32Array;
  stream(options?: StreamOptions): Stream;
  features(samples: Float32Array, sampleRate?: number): Features;
  extractor(layout?: string): Extractor;
  live(options?: LiveOptions): LivePath;
  copy(samples: Float32Array, sampleRate: number, options?: CopyOptions): Float32Array;
  resample(samples: Float32Array, fromRate: number, toRate: number): Float32Array;
  dimsOf(length: number): number;
  node(context: BaseAudioContext, options?: NodeOptions): Promise<VocoderNode>;
  systemInfo(): Record<string, unknown>;
  close(): void;
}

export const MODULE_URL: string;
export function loadModule(source?: ModuleSource): Promise<WebAssembly.Module>;
export function modelBytes(
  source: ModelSource, progress?: LoadOptions["progress"]): Promise<Uint8Array>;
/** Floats per frame of so many features. */
export function dimsOf(info: ModelInfo, length: number): number;
/** Throws where the module cannot run. */
export function checkSupport(wasm?: Pick<typeof WebAssembly, "validate">): void;
