// The C ABI of the WebAssembly module: memory, strings, errors. Runs wherever WebAssembly does,
// an AudioWorklet included, which has neither fetch nor TextDecoder.

/** What went wrong, in one sentence; `code` is the name of the C ABI's status. */
export class VocoderError extends Error {
  constructor(message, code = "argument") {
    super(message);
    this.name = "VocoderError";
    this.code = code;
  }
}

const CODES = [
  "ok", "argument", "model", "feature", "audio", "unsupported", "io", "memory", "busy", "full",
  "state",
];

// (module (func (result v128) i32.const 0 i8x16.splat)): valid where vectors are.
const VECTORS = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15,
  11,
]);

/** Throws where the module cannot run. */
export function checkSupport(wasm = globalThis.WebAssembly) {
  if (!wasm) throw new VocoderError("there is no WebAssembly here", "unsupported");
  if (!wasm.validate(VECTORS)) {
    throw new VocoderError(
      "this browser has no WebAssembly vectors (SIMD), which pyvoc needs: Chrome 91, Firefox 89, " +
        "Safari 16.4, Node 16.4 or later have them",
      "unsupported",
    );
  }
}

/** Bytes of a URL, all of them. `progress(received, total)`; total is 0 where nobody says it. */
export async function fetchBytes(url, progress = null) {
  let response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new VocoderError(`${url}: cannot be fetched (${error.message})`, "io");
  }
  if (!response.ok) throw new VocoderError(`${url}: the server says ${response.status}`, "io");
  // The length counts what was sent: of a compressed body it says nothing about the file.
  const plain = !response.headers.get("content-encoding");
  const total = plain ? Number(response.headers.get("content-length") ?? 0) : 0;
  const parts = [];
  let received = 0;
  try {
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      received += value.length;
      progress?.(received, total);
    }
  } catch (error) {
    throw new VocoderError(
      `${url}: the connection broke after ${received} of ${total || "an unknown number of"} bytes ` +
        `(${error.message})`,
      "io",
    );
  }
  if (total && received !== total) {
    throw new VocoderError(`${url}: ${received} bytes came, expected ${total}`, "io");
  }
  const bytes = new Uint8Array(received);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** A compiled module of a URL, bytes or a module. */
export async function compile(source) {
  checkSupport();
  if (source instanceof WebAssembly.Module) return source;
  const isBytes = source instanceof ArrayBuffer || ArrayBuffer.isView(source);
  const bytes = isBytes ? source : await fetchBytes(source);
  try {
    return await WebAssembly.compile(bytes);
  } catch (error) {
    const name = isBytes ? "the module's bytes" : String(source);
    throw new VocoderError(`${name}: not a WebAssembly module (${error.message})`, "io");
  }
}

/** One instance with a memory of its own; nothing is shared between instances. */
export class Runtime {
  constructor(module) {
    this.dead = null;
    const stop = () => {
      throw new WebAssembly.RuntimeError("it ended itself");
    };
    const setU32 = (at, value) => {
      new DataView(this.memory.buffer).setUint32(at, value, true);
      return 0;
    };
    const system = {
      proc_exit: stop,
      environ_sizes_get: (count, size) => setU32(count, 0) || setU32(size, 0),
      environ_get: () => 0,
      clock_time_get: (_id, _precision, at) => {
        const now = BigInt(Date.now()) * 1000000n; // an AudioWorklet has no finer clock
        new DataView(this.memory.buffer).setBigUint64(at, now, true);
        return 0;
      },
    };
    // What the C library may ask for besides (files, to complain before it ends) is not there.
    const notThere = () => 52; // ENOSYS
    const instance = new WebAssembly.Instance(module, {
      env: { emscripten_notify_memory_growth() {} },
      wasi_snapshot_preview1: new Proxy(system, { get: (all, name) => all[name] ?? notThere }),
    });
    this.exports = instance.exports;
    this.memory = instance.exports.memory;
    this.exports._initialize();
    this.slot = this.alloc(64); // for out parameters and structs
  }

  /** A function of the C ABI, by its name without `pyvoc_`. */
  call(name, ...values) {
    if (this.dead) throw this.dead;
    try {
      return this.exports[`pyvoc_${name}`](...values);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      // Without exceptions in the module, no memory is a trap; after one nothing can be trusted.
      this.dead = new VocoderError(
        `the module stopped in ${name} (${error.message}); it holds ` +
          `${this.memory.buffer.byteLength >> 20} MB: the browser may have refused more memory`,
        "memory",
      );
      throw this.dead;
    }
  }

  /** The same for functions that return a status. */
  check(name, ...values) {
    const status = this.call(name, ...values);
    if (status !== 0) {
      throw new VocoderError(this.string(this.call("last_error")), CODES[status] ?? "argument");
    }
  }

  /** The same for functions whose last parameter is written: a pointer or a size. */
  get(name, ...values) {
    this.check(name, ...values, this.slot);
    return this.u32(this.slot);
  }

  alloc(size) {
    if (this.dead) throw this.dead;
    const at = this.exports.malloc(Math.max(size, 1));
    if (at === 0) {
      throw new VocoderError(`the browser refused ${size} bytes of memory for the module`, "memory");
    }
    return at >>> 0;
  }

  free(at) {
    if (!this.dead) this.exports.free(at);
  }

  // Views are made for each use: memory that grows leaves older ones empty.
  floats(at, n) {
    return new Float32Array(this.memory.buffer, at, n);
  }

  bytes(at, n) {
    return new Uint8Array(this.memory.buffer, at, n);
  }

  view(at, n) {
    return new DataView(this.memory.buffer, at, n);
  }

  u32(at) {
    return this.view(at, 4).getUint32(0, true);
  }

  /** A zeroed struct in `slot` with its size at the beginning. */
  struct(size) {
    this.bytes(this.slot, size).fill(0);
    const view = this.view(this.slot, size);
    view.setUint32(0, size, true);
    return view;
  }

  string(at) {
    const bytes = new Uint8Array(this.memory.buffer);
    let end = at;
    while (bytes[end] !== 0) ++end;
    let escaped = "";
    for (let i = at; i < end; ++i) escaped += `%${bytes[i].toString(16).padStart(2, "0")}`;
    return decodeURIComponent(escaped); // UTF-8
  }

  /** `use(pointer)` with a copy of a text in memory. */
  withString(text, use) {
    const bytes = unescape(encodeURIComponent(text));
    const at = this.alloc(bytes.length + 1);
    const copy = this.bytes(at, bytes.length + 1);
    for (let i = 0; i < bytes.length; ++i) copy[i] = bytes.charCodeAt(i);
    copy[bytes.length] = 0;
    try {
      return use(at);
    } finally {
      this.free(at);
    }
  }
}

/** Memory for floats that is made larger when needed. */
export class Scratch {
  constructor(runtime) {
    this.runtime = runtime;
    this.at = 0;
    this.size = 0;
  }

  /** Its address, with room for `n` floats. */
  room(n) {
    if (n > this.size) {
      this.close();
      this.at = this.runtime.alloc(4 * n);
      this.size = n;
    }
    return this.at;
  }

  /** Its address, `samples` in it. */
  put(samples) {
    const at = this.room(samples.length);
    this.runtime.floats(at, samples.length).set(samples);
    return at;
  }

  close() {
    if (this.at) this.runtime.free(this.at);
    this.at = this.size = 0;
  }
}
