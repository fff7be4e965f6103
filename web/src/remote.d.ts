import type {
  CopyOptions, Features, LoadOptions, ModelInfo, ModelSource, NodeOptions, SynthesisOptions,
  VocoderNode,
} from "./vocoder.js";

/** A voice that computes in a worker. */
export class RemoteVocoder {
  static load(source: ModelSource, options?: LoadOptions): Promise<RemoteVocoder>;
  readonly info: ModelInfo;
  /** That the last call took in the worker. */
  readonly seconds: number;
  synthesize(
    features: Float32Array, options?: Omit<SynthesisOptions, "progress">): Promise<Float32Array>;
  copy(samples: Float32Array, sampleRate: number, options?: CopyOptions): Promise<Float32Array>;
  features(samples: Float32Array, sampleRate?: number): Promise<Features>;
  describe(): Promise<Record<string, unknown>>;
  node(context: BaseAudioContext, options?: NodeOptions): Promise<VocoderNode>;
  close(): void;
}
