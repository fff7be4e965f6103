// Microphone -> voice -> loudspeaker, with pictures of both.
import { VocoderError } from "../src/vocoder.js";
import { scroll } from "./spectrogram.js";

async function microphone() {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new VocoderError(
      "a microphone is lent only to pages from https or localhost", "unsupported");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
  } catch (error) {
    throw new VocoderError(`no microphone: ${error.message}`, "io");
  }
}

/** Starts; `stop()` ends it. `tell` gets a line about it a few times a second. */
export async function startLive(voice, { pitch, formant }, canvases, tell) {
  const sound = await microphone();
  const context = new AudioContext({ latencyHint: "interactive" });
  const stop = async () => {
    running = false;
    node?.close();
    for (const track of sound.getTracks()) track.stop();
    if (context.state !== "closed") await context.close();
  };
  let running = true;
  let node = null;
  try {
    await context.resume();
    node = await voice.node(context, { source: "microphone", pitch, formant });
  } catch (error) {
    await stop();
    throw error;
  }
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: sound });
  const views = [source, node].map((from) => {
    const analyser = new AnalyserNode(context, { fftSize: 512 });
    from.connect(analyser);
    return { analyser, samples: new Float32Array(512) };
  });
  source.connect(node.node);
  node.connect(context.destination);
  node.on("stats", ({ load, gaps }) => {
    const own = context.baseLatency + (context.outputLatency || 0);
    const delay = Math.round(1000 * (node.latencySeconds + own));
    const parts = [`${delay} ms behind you`];
    if (node.resampled) {
      const [here, there] = [context.sampleRate, voice.info.sampleRate].map((r) => r / 1000);
      parts.push(`${here} kHz, resampled to ${there} kHz and back`);
    }
    if (node.place === "worklet") parts.push(`${Math.round(100 * load)} % of a core`);
    if (gaps > 0) parts.push(`${gaps} gaps`);
    tell(parts.join(" · "));
  });
  const picture = () => {
    if (!running) return;
    views.forEach(({ analyser, samples }, i) => {
      analyser.getFloatTimeDomainData(samples);
      scroll(canvases[i], samples, context.sampleRate);
    });
    requestAnimationFrame(picture);
  };
  picture();
  return { node, stop, context };
}
