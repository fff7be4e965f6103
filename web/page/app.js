// The page: choose a voice, copy a recording, speak through it.
import { checkSupport, MODULE_URL, VocoderError } from "../src/vocoder.js";
import { RemoteVocoder } from "../src/remote.js";
import { readFeatures, readSound, wavOf } from "./files.js";
import { startLive } from "./live.js";
import { draw } from "./spectrogram.js";

const $ = (selector) => document.querySelector(selector);
const VOICES = "voices/";

let voice = null; // RemoteVocoder
let input = null; // {name, samples, sampleRate} or {name, features, dims}
let live = null;

function tell(error) {
  $("#problem").textContent = error.message;
  $("#problem").hidden = false;
  if (!(error instanceof VocoderError)) console.error(error);
}

/** Runs work that a click began; what goes wrong is shown. */
async function attempt(work) {
  $("#problem").hidden = true;
  try {
    return await work();
  } catch (error) {
    tell(error);
    return null;
  }
}

const kilobytes = (n) => (n < 2e6 ? `${Math.round(n / 1000)} KB` : `${(n / 1e6).toFixed(1)} MB`);
const seconds = (s) => `${s.toFixed(s < 1 ? 2 : 1)} s`;

// ---- voices ------------------------------------------------------------------------------------

function addVoice({ name, title, about, source }, chosen = false) {
  const label = document.createElement("label");
  const radio = Object.assign(document.createElement("input"), {
    type: "radio", name: "voice", value: name, checked: chosen,
  });
  label.append(
    radio,
    Object.assign(document.createElement("b"), { textContent: title }),
    Object.assign(document.createElement("small"), { textContent: about }),
  );
  radio.onchange = () => attempt(() => choose(source));
  $("#voices").append(label);
  return radio;
}

async function choose(source) {
  await stopLive();
  $("#voice-facts").textContent = "Loading…";
  const progress = (got, all) => {
    if (all) $("#voice-facts").textContent = `Loading… ${Math.round((100 * got) / all)} %`;
  };
  try {
    const next = await RemoteVocoder.load(source, { progress });
    voice?.close();
    voice = next;
  } catch (error) {
    $("#voice-facts").textContent = voice ? describe() : "No voice.";
    throw error;
  }
  $("#voice-facts").textContent = describe();
  for (const id of ["#copy-formant", "#live-formant"]) {
    $(id).disabled = voice.info.layout.startsWith("mel");
  }
  if (input) await makeCopy();
}

function describe() {
  const { family, precision, layout, sampleRate, hopLength, latencySamples, modelBytes } =
    voice.info;
  return [
    `${family} ${precision}`, kilobytes(modelBytes), `${sampleRate / 1000} kHz`,
    `reads ${layout}, every ${((1000 * hopLength) / sampleRate).toFixed(1)} ms`,
    `looks ${Math.round((1000 * latencySamples) / sampleRate)} ms ahead`,
  ].join(" · ");
}

// ---- players -----------------------------------------------------------------------------------

let player = null; // {track, source, context, started}
let output = null;

function outputContext() {
  output ??= new AudioContext();
  output.resume();
  return output;
}

function stopPlaying() {
  if (!player) return;
  const { track, source } = player;
  player = null;
  source.onended = null;
  source.stop();
  track.querySelector(".play").textContent = "▶";
  track.querySelector(".head").style.opacity = 0;
}

function play(track, from = 0) {
  stopPlaying();
  const { samples, sampleRate } = track.sound;
  const context = outputContext();
  const buffer = context.createBuffer(1, samples.length, sampleRate);
  buffer.copyToChannel(samples, 0);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(context.destination);
  source.onended = stopPlaying;
  const length = samples.length / sampleRate;
  source.start(0, from * length);
  player = { track, source, started: context.currentTime - from * length };
  track.querySelector(".play").textContent = "■";
  const head = track.querySelector(".head");
  head.style.opacity = 0.8;
  const move = () => {
    if (player?.source !== source) return;
    const at = (context.currentTime - player.started) / length;
    head.style.left = `${100 * Math.min(1, at)}%`;
    requestAnimationFrame(move);
  };
  move();
}

function show(track, samples, sampleRate, facts) {
  if (player?.track === track) stopPlaying();
  track.sound = { samples, sampleRate };
  track.hidden = false;
  track.querySelector("figcaption span").textContent = facts;
  draw(track.querySelector("canvas"), samples, sampleRate);
}

for (const track of document.querySelectorAll(".track")) {
  track.querySelector(".play").onclick = () => {
    if (player?.track === track) stopPlaying();
    else play(track);
  };
  track.querySelector("canvas").onclick = (event) =>
    play(track, event.offsetX / event.target.clientWidth);
}

// ---- copies ------------------------------------------------------------------------------------

let round = 0; // of copies; an older one that ends later is not shown

async function makeCopy() {
  if (!voice || !input) return;
  const mine = ++round;
  const by = voice;
  $("#copy-state").textContent = "Speaking…";
  try {
    const samples = input.samples
      ? await by.copy(input.samples, input.sampleRate, {
          pitch: Number($("#copy-pitch").value),
          formant: $("#copy-formant").disabled ? 0 : Number($("#copy-formant").value),
        })
      : await by.synthesize(input.features, { dims: input.dims ?? undefined });
    if (mine !== round) return;
    if (samples.length === 0) throw new VocoderError(`${input.name}: too short for one frame`);
    const rate = by.info.sampleRate;
    const length = samples.length / rate;
    show($("#copied"), samples, rate, `${by.info.family}, ${seconds(length)}`);
    const link = $("#copied a");
    URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(wavOf(samples, rate));
    $("#copy-state").textContent =
      `Spoken in ${seconds(by.seconds)}, ${(length / by.seconds).toFixed(1)} × real time`;
  } catch (error) {
    if (mine !== round) return;
    $("#copy-state").textContent = "";
    $("#copied").hidden = true;
    throw error;
  }
}

async function open(name, buffer) {
  if (name.toLowerCase().endsWith(".gguf")) {
    const source = new Uint8Array(buffer);
    await choose(source);
    const title = name.replace(/\.gguf$/i, "");
    addVoice({ name: title, title, about: "your file", source }, true);
    return;
  }
  if (/\.(f32|npy)$/i.test(name)) {
    const { data, dims } = readFeatures(name, buffer);
    input = { name, features: data, dims };
    $("#original").hidden = true;
  } else {
    input = { name, ...(await readSound(name, buffer)) };
    const { samples, sampleRate } = input;
    show($("#original"), samples, sampleRate, `${name}, ${seconds(samples.length / sampleRate)}`);
  }
  await makeCopy();
}

const openFile = (file) => attempt(async () => open(file.name, await file.arrayBuffer()));

$("#file").onchange = ({ target }) => {
  if (target.files[0]) openFile(target.files[0]);
  target.value = "";
};
$("#demo").onclick = () =>
  attempt(async () => {
    const response = await fetch(`${VOICES}demo.flac`);
    if (!response.ok) throw new VocoderError(`demo.flac: the server says ${response.status}`);
    await open("demo.flac", await response.arrayBuffer());
  });
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  $("#drop").classList.add("over");
});
document.addEventListener("dragleave", () => $("#drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  $("#drop").classList.remove("over");
  if (event.dataTransfer.files[0]) openFile(event.dataTransfer.files[0]);
});

// ---- live --------------------------------------------------------------------------------------

async function stopLive() {
  await live?.stop();
  live = null;
  $("#live").textContent = "Start the microphone";
  $("#live-state").textContent = "";
}

const shift = () => ({
  pitch: Number($("#live-pitch").value),
  formant: $("#live-formant").disabled ? 0 : Number($("#live-formant").value),
});

$("#live").onclick = () =>
  attempt(async () => {
    if (live) return stopLive();
    if (!voice) throw new VocoderError("choose a voice first");
    stopPlaying();
    $("#live").disabled = true;
    try {
      $("#live-view").hidden = false;
      live = await startLive(voice, shift(), $("#live-view").querySelectorAll("canvas"), (facts) => {
        $("#live-state").textContent = facts;
      });
      live.node.on("error", (error) => {
        tell(error);
        stopLive();
      });
      $("#live").textContent = "Stop";
    } finally {
      $("#live").disabled = false;
      if (!live) $("#live-view").hidden = true;
    }
  });

// ---- sliders, theme ------------------------------------------------------------------------------

for (const range of document.querySelectorAll("input[type=range]")) {
  const value = $(`#${range.id}-value`);
  range.oninput = () => {
    const n = Number(range.value);
    value.textContent = `${n > 0 ? "+" : ""}${n}`.replace("-", "−");
    if (range.id.startsWith("live")) live?.node.setShift(shift().pitch, shift().formant);
  };
  range.ondblclick = () => {
    range.value = 0;
    range.oninput();
    range.onchange?.();
  };
  if (range.id.startsWith("copy")) range.onchange = () => attempt(makeCopy);
}

$("#theme").onclick = () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
};

/** Resolves when the first voice is there (or is known not to be). */
globalThis.pageReady = attempt(async () => {
  checkSupport();
  const response = await fetch(`${VOICES}index.json`);
  if (!response.ok) throw new VocoderError(`voices/index.json: the server says ${response.status}`);
  const list = await response.json();
  list.forEach((entry, i) => addVoice({ ...entry, source: VOICES + entry.file }, i === 0));
  await choose(VOICES + list[0].file);
  const size = Number(
    (await fetch(MODULE_URL, { method: "HEAD" })).headers.get("content-length") ?? 0);
  $("#module-facts").textContent =
    `A WebAssembly module${size ? ` of ${kilobytes(size)}` : ""}, the C++ runtime of pyvoc. ` +
    "The same samples on every machine.";
});
