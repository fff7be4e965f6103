// What runs on the audio thread. `pyvoc-direct` has the model in the callback, for families that
// make samples one by one; `pyvoc-ring` sends what it hears to a worker and plays what comes back,
// for families that make long blocks. Both tell of themselves about four times a second.
import { Runtime, VocoderError } from "./module.js";
import { LivePath, Model } from "./parts.js";

const REPORT_SECONDS = 0.25;

function rms(samples) {
  let sum = 0;
  for (let i = 0; i < samples.length; ++i) sum += samples[i] * samples[i];
  return Math.sqrt(sum / samples.length);
}

class Reporter {
  constructor(port) {
    this.port = port;
    this.quanta = 0;
    this.busy = 0;
    this.gaps = 0;
  }

  /** After each callback; `milliseconds` it took (a coarse clock, so only sums mean something). */
  report(input, output, milliseconds, more = {}) {
    this.busy += milliseconds;
    if (++this.quanta * output.length < REPORT_SECONDS * sampleRate) return;
    const seconds = (this.quanta * output.length) / sampleRate;
    this.port.postMessage({
      type: "stats", load: this.busy / 1000 / seconds, gaps: this.gaps,
      inputLevel: input ? rms(input) : 0, outputLevel: rms(output), ...more,
    });
    this.quanta = this.busy = 0;
  }
}

class Direct extends AudioWorkletProcessor {
  constructor({ processorOptions: options }) {
    super();
    this.reporter = new Reporter(this.port);
    this.rows = options.features ? [options.features] : []; // waiting to be spoken
    this.ending = options.finish === true;
    this.finished = this.closed = false;
    this.port.onmessage = ({ data }) => this.receive(data);
    try {
      this.model = new Model(new Runtime(options.module), options.bytes);
      this.path = new LivePath(this.model, {
        ...options.live, inputRate: sampleRate, outputRate: sampleRate,
      });
      const { latencySamples, featureDims } = this.path.info;
      this.dims = featureDims;
      this.silence = options.live.features ? 0 : latencySamples;
      this.nothing = new Float32Array(128);
      this.port.postMessage({ type: "ready", latencySamples });
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error) {
    const known = error instanceof VocoderError;
    this.port.postMessage({
      type: "error", message: error.message, code: known ? error.code : "argument",
    });
    this.closed = true;
  }

  receive(data) {
    try {
      if (data.type === "shift") this.path?.setShift(data.pitch, data.formant);
      if (data.type === "features") this.rows.push(data.rows);
      if (data.type === "finish") this.ending = true;
      if (data.type === "close") this.end();
    } catch (error) {
      this.fail(error);
    }
  }

  end() {
    this.closed = true;
    this.path?.close();
    this.model?.close();
  }

  /** Fills `output` from the features that wait, a frame at a time. */
  speak(output) {
    let at = this.path.pullInto(output);
    while (at < output.length) {
      if (this.rows.length > 0) {
        const rows = this.rows[0];
        this.path.pushFeatures(rows.subarray(0, this.dims));
        if (rows.length <= this.dims) this.rows.shift();
        else this.rows[0] = rows.subarray(this.dims);
      } else if (this.ending && !this.finished) {
        this.path.finish();
        this.finished = true;
      } else {
        break;
      }
      at += this.path.pullInto(output.subarray(at));
    }
    return at;
  }

  process(inputs, outputs) {
    if (this.closed) return false;
    const start = Date.now();
    const output = outputs[0][0];
    let heard = null;
    try {
      if (inputs.length === 0) {
        const got = this.speak(output);
        if (got < output.length) {
          if (this.finished) {
            this.port.postMessage({ type: "ended" });
            this.end();
            return false;
          }
          this.reporter.gaps += 1;
        }
      } else {
        heard = inputs[0][0] ?? this.nothing;
        this.path.push(heard);
        const quiet = Math.min(this.silence, output.length);
        this.silence -= quiet;
        const got = this.path.pullInto(output.subarray(quiet));
        if (got < output.length - quiet) this.reporter.gaps += 1;
      }
    } catch (error) {
      this.fail(error);
      return false;
    }
    this.reporter.report(heard, output, Date.now() - start);
    return true;
  }
}

class Ring extends AudioWorkletProcessor {
  constructor({ processorOptions: options }) {
    super();
    this.reporter = new Reporter(this.port);
    this.block = options.block; // samples that are sent at once
    this.margin = options.margin; // samples in reserve before playing
    this.most = this.margin + sampleRate; // beyond: the oldest is left out
    this.listening = options.listening;
    this.heard = new Float32Array(this.block);
    this.filled = 0;
    this.queue = [];
    this.queued = this.offset = 0;
    this.playing = this.closed = this.ended = false;
    this.port.onmessage = ({ data }) => {
      if (data.type === "close") this.closed = true;
      if (data.type !== "connect") return;
      this.worker = data.port;
      this.worker.onmessage = ({ data: samples }) => this.receive(samples);
    };
    this.port.postMessage({ type: "ready", latencySamples: this.margin });
  }

  receive(samples) {
    if (samples === null) {
      this.ended = true;
      return;
    }
    this.queue.push(samples);
    this.queued += samples.length;
    while (this.listening && this.queued > this.most) this.skip(this.queue[0].length - this.offset);
  }

  skip(n) {
    this.queued -= n;
    this.offset += n;
    if (this.offset === this.queue[0].length) {
      this.queue.shift();
      this.offset = 0;
    }
  }

  process(inputs, outputs) {
    if (this.closed) return false;
    const output = outputs[0][0];
    const input = inputs[0]?.[0] ?? null;
    if (this.listening && this.worker) {
      for (let i = 0; i < output.length; ++i) {
        this.heard[this.filled++] = input ? input[i] : 0;
        if (this.filled < this.block) continue;
        this.worker.postMessage(this.heard, [this.heard.buffer]);
        this.heard = new Float32Array(this.block);
        this.filled = 0;
      }
    }
    if (!this.playing && (this.queued >= this.margin || this.ended)) this.playing = true;
    let at = 0;
    while (this.playing && at < output.length && this.queue.length > 0) {
      const n = Math.min(output.length - at, this.queue[0].length - this.offset);
      output.set(this.queue[0].subarray(this.offset, this.offset + n), at);
      this.skip(n);
      at += n;
    }
    if (this.playing && at < output.length) {
      if (this.ended) {
        this.port.postMessage({ type: "ended" });
        return false;
      }
      this.reporter.gaps += 1;
      this.playing = false; // until there is a reserve again
    }
    this.reporter.report(input, output, 0, { queuedSamples: this.queued });
    return true;
  }
}

registerProcessor("pyvoc-direct", Direct);
registerProcessor("pyvoc-ring", Ring);
