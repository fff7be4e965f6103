// A voice in a worker: answers remote.js, and keeps up the ring of a node.
import { VocoderError } from "./module.js";
import { Vocoder } from "./vocoder.js";

let voice = null;
let path = null;

const calls = {
  load({ module, bytes }) {
    voice?.close();
    voice = new Vocoder(module, bytes);
    return voice.info;
  },
  synthesize: ({ features, options }) => voice.synthesize(features, options),
  copy: ({ samples, sampleRate, options }) => voice.copy(samples, sampleRate, options),
  features: ({ samples, sampleRate }) => voice.features(samples, sampleRate),
  describe: () => voice.describe(),
  live({ port, options, features, finish }) {
    path = voice.live(options);
    const send = () => {
      const samples = path.pull();
      if (samples.length > 0) port.postMessage(samples, [samples.buffer]);
    };
    port.onmessage = ({ data }) => {
      path.push(data);
      send();
    };
    if (features) push(features, send);
    if (finish) end(port, send);
    calls.pushFeatures = ({ rows }) => push(rows, send);
    calls.finish = () => end(port, send);
    return path.info;
  },
  setShift: ({ pitch, formant }) => path.setShift(pitch, formant),
};

function push(rows, send) {
  const dims = path.info.featureDims;
  for (let at = 0; at < rows.length; ) {
    at += dims * path.pushFeatures(rows.subarray(at));
    send();
  }
}

function end(port, send) {
  path.finish();
  send();
  port.postMessage(null);
}

onmessage = ({ data: { id, call, ...values } }) => {
  const start = performance.now();
  try {
    if (voice === null && call !== "load") throw new VocoderError("no voice is loaded", "state");
    const value = calls[call](values);
    postMessage({ id, value, seconds: (performance.now() - start) / 1000 });
  } catch (error) {
    postMessage({ id, error: { message: error.message, code: error.code ?? "argument" } });
  }
};
