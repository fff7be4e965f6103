// Pictures of sound: the magnitude of a short-time Fourier transform, dark to bright.
const SIZE = 512;
const WINDOW = Float32Array.from({ length: SIZE }, (_, i) =>
  0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
const FLOOR_DB = -80;

// Black, wine, ember, straw, white.
const STOPS = [[13, 11, 10], [74, 27, 52], [181, 66, 47], [240, 168, 88], [255, 250, 235]];
const COLOURS = Array.from({ length: 256 }, (_, i) => {
  const x = (i / 255) * (STOPS.length - 1);
  const k = Math.min(Math.floor(x), STOPS.length - 2);
  return STOPS[k].map((low, c) => Math.round(low + (STOPS[k + 1][c] - low) * (x - k)));
});

/** In place; lengths are a power of two. */
function fft(re, im) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; ++i) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
      [im[i], im[j]] = [im[j], im[i]];
    }
  }
  for (let length = 2; length <= n; length *= 2) {
    const half = length / 2;
    for (let k = 0; k < half; ++k) {
      const c = Math.cos((-2 * Math.PI * k) / length);
      const s = Math.sin((-2 * Math.PI * k) / length);
      for (let a = k; a < n; a += length) {
        const b = a + half;
        const x = re[b] * c - im[b] * s;
        const y = re[b] * s + im[b] * c;
        re[b] = re[a] - x;
        im[b] = im[a] - y;
        re[a] += x;
        im[a] += y;
      }
    }
  }
}

const re = new Float32Array(SIZE);
const im = new Float32Array(SIZE);

/** One column of an image, the lowest frequency at the bottom, of the samples around `centre`. */
function column(image, x, samples, centre, top) {
  for (let i = 0; i < SIZE; ++i) re[i] = (samples[centre - SIZE / 2 + i] ?? 0) * WINDOW[i];
  im.fill(0);
  fft(re, im);
  for (let y = 0; y < image.height; ++y) {
    const bin = Math.floor(((image.height - 1 - y) / image.height) * (SIZE / 2) * top);
    const power = (re[bin] ** 2 + im[bin] ** 2) / (SIZE * SIZE * 0.0625);
    const level = (10 * Math.log10(power + 1e-12) - FLOOR_DB) / -FLOOR_DB;
    const colour = COLOURS[Math.max(0, Math.min(255, Math.round(level * 255)))];
    image.data.set(colour, 4 * (y * image.width + x));
    image.data[4 * (y * image.width + x) + 3] = 255;
  }
}

/** All of a sound, to 8 kHz. */
export function draw(canvas, samples, sampleRate) {
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const top = Math.min(1, 16000 / sampleRate);
  for (let x = 0; x < canvas.width; ++x) {
    column(image, x, samples, Math.round(((x + 0.5) / canvas.width) * samples.length), top);
  }
  context.putImageData(image, 0, 0);
}

/** The newest samples at the right, the rest moves left. */
export function scroll(canvas, samples, sampleRate, width = 2) {
  const context = canvas.getContext("2d");
  context.drawImage(canvas, -width, 0);
  const image = context.createImageData(width, canvas.height);
  const top = Math.min(1, 16000 / sampleRate);
  for (let x = 0; x < width; ++x) column(image, x, samples, samples.length / 2, top);
  context.putImageData(image, canvas.width - width, 0);
}
