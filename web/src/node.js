// A voice as a node of Web Audio: a microphone through it, or features spoken by it.
import { VocoderError } from "./module.js";
import { RemoteVocoder } from "./remote.js";

const ready = new WeakMap(); // context -> promise: the processors are there

async function addProcessors(context) {
  if (!context.audioWorklet) {
    throw new VocoderError(
      "there is no AudioWorklet: the page must come from https or localhost", "unsupported");
  }
  if (!ready.has(context)) {
    const promise = context.audioWorklet.addModule(new URL("./processor.js", import.meta.url));
    promise.catch(() => ready.delete(context));
    ready.set(context, promise);
  }
  await ready.get(context);
}

/**
 * @param {BaseAudioContext} context of any rate; another than the model's is resampled, and
 *   `node.resampled` says so
 * @param {Vocoder|RemoteVocoder} voice
 * @param options source: "microphone" (an input) or "features" (none); place: "worklet" or
 *   "worker", by default what suits the family; pitch, formant: semitones; seed; features, finish:
 *   what to speak from the first sample on, and whether that is all; marginSeconds: of reserve, in
 *   a worker
 */
export async function createNode(
  context, voice,
  {
    source = "microphone", place = null, pitch = 0, formant = 0, seed = 0, features = null,
    finish = false, marginSeconds = 0.1,
  } = {},
) {
  if (source !== "microphone" && source !== "features") {
    throw new VocoderError(`source: "${source}"; expected "microphone" or "features"`);
  }
  const where = place ?? (voice.info.sampleBySample ? "worklet" : "worker");
  if (where !== "worklet" && where !== "worker") {
    throw new VocoderError(`place: "${place}"; expected "worklet" or "worker"`);
  }
  await addProcessors(context);
  const live = { features: source === "features", pitch, formant, seed };
  const layout = {
    numberOfInputs: live.features ? 0 : 1, numberOfOutputs: 1, outputChannelCount: [1],
    channelCount: 1, channelCountMode: "explicit",
  };
  const node =
    where === "worklet"
      ? await direct(context, voice, layout, live, features, finish)
      : await ring(context, voice, layout, live, features, finish, marginSeconds);
  node.node.onprocessorerror = () => node.tell("error", new VocoderError("the processor stopped"));
  return node;
}

/** `node` is the AudioWorkletNode to connect; the rest steers what it says. */
class VocoderNode {
  constructor(context, voice, node, place, remote) {
    this.node = node;
    this.place = place;
    this.remote = remote;
    this.resampled = context.sampleRate !== voice.info.sampleRate;
    this.latencySeconds = 0;
    this.listeners = { stats: [], ended: [], error: [] };
  }

  /** Events: "stats" (load, gaps, levels), "ended" (all was said), "error". */
  on(event, listener) {
    if (!this.listeners[event]) throw new VocoderError(`there is no event "${event}"`);
    this.listeners[event].push(listener);
    return this;
  }

  tell(event, value) {
    for (const listener of this.listeners[event]) listener(value);
  }

  connect(...target) {
    return this.node.connect(...target);
  }

  disconnect(...target) {
    return this.node.disconnect(...target);
  }

  setShift(pitch, formant = 0) {
    if (this.remote) return this.remote.call("setShift", { pitch, formant });
    this.node.port.postMessage({ type: "shift", pitch, formant });
    return Promise.resolve();
  }

  pushFeatures(rows) {
    if (this.remote) return this.remote.call("pushFeatures", { rows });
    this.node.port.postMessage({ type: "features", rows });
    return Promise.resolve();
  }

  finish() {
    if (this.remote) return this.remote.call("finish");
    this.node.port.postMessage({ type: "finish" });
    return Promise.resolve();
  }

  close() {
    this.node.disconnect();
    this.node.port.postMessage({ type: "close" });
    this.remote?.close();
  }
}

/** Resolves when the processor stands; later messages become events. */
function started(made, context) {
  return new Promise((resolve, reject) => {
    made.node.port.onmessage = ({ data }) => {
      if (data.type === "ready") {
        made.latencySeconds = data.latencySamples / context.sampleRate;
        resolve(made);
      } else if (data.type === "error") {
        const error = new VocoderError(data.message, data.code);
        reject(error);
        made.tell("error", error);
      } else {
        made.tell(data.type, data);
      }
    };
    made.node.onprocessorerror = () => reject(new VocoderError("the processor did not start"));
  });
}

function direct(context, voice, layout, live, features, finish) {
  const node = new AudioWorkletNode(context, "pyvoc-direct", {
    ...layout,
    processorOptions: { module: voice.module, bytes: voice.bytes, live, features, finish },
  });
  return started(new VocoderNode(context, voice, node, "worklet", null), context);
}

async function ring(context, voice, layout, live, features, finish, marginSeconds) {
  const remote = await RemoteVocoder.load(voice.bytes, { module: voice.module });
  try {
    const { port1, port2 } = new MessageChannel();
    const rate = context.sampleRate;
    const options = { ...live, inputRate: rate, outputRate: rate, chunkFrames: 8 };
    const info = await remote.call("live", { port: port1, options, features, finish }, [port1]);
    const margin = Math.ceil(marginSeconds * rate) + (live.features ? 0 : info.burstSamples);
    const node = new AudioWorkletNode(context, "pyvoc-ring", {
      ...layout, processorOptions: { block: 512, margin, listening: !live.features },
    });
    const made = new VocoderNode(context, voice, node, "worker", remote);
    await started(made, context);
    made.latencySeconds += live.features ? 0 : info.latencySamples / rate;
    node.port.postMessage({ type: "connect", port: port2 }, [port2]);
    return made;
  } catch (error) {
    remote.close();
    throw error;
  }
}
