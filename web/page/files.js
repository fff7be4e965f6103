// Files that are dropped or saved: sound, features, models.
import { VocoderError } from "../src/vocoder.js";

/** Features of a .npy file (float32, C order) or of raw float32. */
export function readFeatures(name, buffer) {
  if (!name.toLowerCase().endsWith(".npy")) {
    if (buffer.byteLength === 0 || buffer.byteLength % 4 !== 0) {
      throw new VocoderError(`${name}: ${buffer.byteLength} bytes are no float32 numbers`);
    }
    return { data: new Float32Array(buffer), dims: null };
  }
  const bytes = new Uint8Array(buffer);
  const magic = String.fromCharCode(...bytes.subarray(1, 6));
  if (bytes.length < 12 || bytes[0] !== 0x93 || magic !== "NUMPY") {
    throw new VocoderError(`${name}: not a .npy file`);
  }
  const view = new DataView(buffer);
  const wide = bytes[6] >= 2;
  const start = wide ? 12 : 10;
  const length = wide ? view.getUint32(8, true) : view.getUint16(8, true);
  const header = new TextDecoder("latin1").decode(bytes.subarray(start, start + length));
  const shape = /'shape':\s*\((\d+),\s*(\d+),?\s*\)/.exec(header);
  if (!/'descr':\s*'<f4'/.test(header) || !/'fortran_order':\s*False/.test(header) || !shape) {
    throw new VocoderError(`${name}: expected float32 [frames, dims], found ${header.trim()}`);
  }
  const [frames, dims] = [Number(shape[1]), Number(shape[2])];
  const data = buffer.slice(start + length);
  if (data.byteLength !== 4 * frames * dims) {
    throw new VocoderError(
      `${name}: ${data.byteLength} bytes of numbers, expected ${4 * frames * dims}`);
  }
  return { data: new Float32Array(data), dims };
}

/** Decoded and mixed to one channel, at the rate of the browser's choice. */
export async function readSound(name, buffer) {
  // A context of the highest common rate: nothing is lost, the vocoder resamples.
  const context = new OfflineAudioContext(1, 1, 48000);
  let sound;
  try {
    sound = await context.decodeAudioData(buffer);
  } catch {
    throw new VocoderError(`${name}: this browser cannot decode it as sound`, "audio");
  }
  const samples = new Float32Array(sound.length);
  for (let c = 0; c < sound.numberOfChannels; ++c) {
    const channel = sound.getChannelData(c);
    for (let i = 0; i < samples.length; ++i) samples[i] += channel[i] / sound.numberOfChannels;
  }
  return { samples, sampleRate: sound.sampleRate };
}

/** A 16-bit WAV file. */
export function wavOf(samples, sampleRate) {
  const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
  const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 2 * samples.length, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, 2 * sampleRate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((x, i) => {
    view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(32768 * x))), true);
  });
  return new Blob([view], { type: "audio/wav" });
}
