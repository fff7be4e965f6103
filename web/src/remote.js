// A voice in a worker: the methods of Vocoder as promises, so that a page stays alive meanwhile.
import { VocoderError } from "./module.js";
import { loadModule, modelBytes } from "./vocoder.js";

export class RemoteVocoder {
  static async load(source, { module, progress } = {}) {
    const [wasm, bytes] = await Promise.all([loadModule(module), modelBytes(source, progress)]);
    const remote = new RemoteVocoder();
    try {
      remote.module = wasm;
      remote.bytes = bytes;
      remote.info = Object.freeze(await remote.call("load", { module: wasm, bytes }));
      return remote;
    } catch (error) {
      remote.close();
      throw error;
    }
  }

  constructor() {
    this.waiting = new Map();
    this.last = 0;
    /** Seconds that the last call took in the worker. */
    this.seconds = 0;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      this.seconds = data.seconds ?? 0;
      if (data.error) reject(new VocoderError(data.error.message, data.error.code));
      else resolve(data.value);
    };
    this.worker.onerror = (event) => {
      this.fail(new VocoderError(`the worker ended: ${event.message ?? "it did not load"}`));
    };
  }

  fail(error) {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  call(name, values = {}, transfer = []) {
    return new Promise((resolve, reject) => {
      const id = ++this.last;
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, call: name, ...values }, transfer);
    });
  }

  synthesize(features, options = {}) {
    return this.call("synthesize", { features, options });
  }

  copy(samples, sampleRate, options = {}) {
    return this.call("copy", { samples, sampleRate, options });
  }

  features(samples, sampleRate = this.info.sampleRate) {
    return this.call("features", { samples, sampleRate });
  }

  describe() {
    return this.call("describe");
  }

  async node(context, options = {}) {
    const { createNode } = await import("./node.js");
    return createNode(context, this, options);
  }

  close() {
    this.worker.terminate();
    this.fail(new VocoderError("the worker was closed", "state"));
  }
}
