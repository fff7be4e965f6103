"""The JavaScript API under Node: what it refuses, and how it says so; streams; features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import web_folder
from sounds import speechlike

import pyvoc

VOICES = Path(pyvoc.__file__).parent / "voices"
LOAD = """
import { readFileSync, writeFileSync } from "node:fs";
import { Vocoder, VocoderError, checkSupport } from "WEB/src/vocoder.js";
const module = readFileSync(new URL("WEB/wasm/pyvoc.wasm"));
const bytes = readFileSync(process.argv[1]);
const said = async (work) => {
  try { await work(); } catch (error) {
    if (error instanceof VocoderError) return [error.code, error.message];
    throw error;
  }
  return ["nothing", ""];
};
const print = (value) => console.log(JSON.stringify(value));
"""


def run(script: str, *arguments: object, voice: str = "default") -> object:
    return web_folder.node(LOAD + script, VOICES / f"{voice}.gguf", *arguments)


def refusal(expression: str) -> tuple[str, str]:
    """The code and the sentence of what an expression throws; `voice` is the voice default."""
    script = "const voice = await Vocoder.load(bytes, { module });\n"
    code, message = run(f"{script} print(await said(async () => {expression}));")  # type: ignore[misc]
    return code, message


@pytest.mark.parametrize(
    ("expression", "code", "words"),
    [
        ("Vocoder.load(new Uint8Array(1000), { module })", "model", "GGUF"),
        ("Vocoder.load(bytes.subarray(0, 500000), { module })", "model", ""),
        ("Vocoder.load(module, { module })", "model", "GGUF"),
        ("Vocoder.load(bytes, { module: bytes })", "io", "not a WebAssembly module"),
        ("Vocoder.load(12)", "argument", "number"),
        ("voice.synthesize(new Float32Array(37))", "feature", "whole number of frames of 20"),
        ("voice.synthesize(new Float32Array(40).fill(NaN))", "feature", ""),
        ("voice.synthesize(new Float32Array(40), { dims: 10 })", "feature", "expected 20"),
        ("voice.stream({ capacityFrames: 2 }).push(new Float32Array(200))", "full", ""),
        ("voice.features(new Float32Array(100), 12)", "argument", "12"),
        ("voice.extractor('nonsense')", "argument", "nonsense"),
        ("voice.live({ pitch: 99 })", "argument", "pitch"),
        ("voice.live().setShift(99)", "argument", "24"),
        ("{ const s = voice.stream(); s.close(); s.pull(); }", "state", "closed"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(expression: str, code: str, words: str) -> None:
    found, message = refusal(expression)
    assert found == code, message
    assert words in message and message


def test_fetches_that_fail_say_which_and_how() -> None:
    """No such file; a body that is shorter than announced; a connection that breaks."""
    found = run("""
    const stream = (fail) => {
      let sent = false;
      return new ReadableStream({
        pull(c) {
          if (!sent) c.enqueue(bytes.subarray(0, 1000));
          else if (fail) c.error(new Error("reset"));
          else c.close();
          sent = true;
        },
      }, { highWaterMark: 0 });
    };
    const answers = {
      absent: () => new Response("", { status: 404 }),
      short: () => new Response(stream(false), { headers: { "content-length": "940032" } }),
      broken: () => new Response(stream(true), { headers: { "content-length": "940032" } }),
    };
    globalThis.fetch = async (url) => {
      if (!answers[url]) throw new TypeError("no route");
      return answers[url]();
    };
    const all = {};
    for (const url of ["absent", "short", "broken", "nowhere"]) {
      all[url] = await said(() => Vocoder.load(url, { module }));
    }
    print(all);
    """)
    assert found == {
        "absent": ["io", "absent: the server says 404"],
        "short": ["io", "short: 1000 bytes came, expected 940032"],
        "broken": ["io", "broken: the connection broke after 1000 of 940032 bytes (reset)"],
        "nowhere": ["io", "nowhere: cannot be fetched (no route)"],
    }


def test_a_browser_without_vectors_is_told() -> None:
    code, message = run("print(await said(() => checkSupport({ validate: () => false })));")  # type: ignore[misc]
    assert code == "unsupported" and "SIMD" in message
    code, message = run("print(await said(() => checkSupport(null)));")  # type: ignore[misc]
    assert code == "unsupported" and "no WebAssembly" in message
    assert run("print(await said(() => checkSupport()));") == ["nothing", ""]


def test_memory_that_is_refused_ends_the_instance_with_a_sentence() -> None:
    """What is asked for is more than a module can have; afterwards nothing is computed."""
    found = run("""
    const voice = await Vocoder.load(bytes, { module });
    const first = await said(() => voice.runtime.alloc(3e9));
    const second = await said(() => voice.stream({ capacityFrames: 1 << 25 }));
    print([first, second, await said(() => voice.stream())]);
    """)
    (first, sentence), second, third = found  # type: ignore[misc]
    assert first == "memory" and "3000000000 bytes" in sentence
    assert second[0] == "memory" and "refused" in second[1]
    assert third == second


def test_pieces_do_not_change_the_samples(tmp_path: Path) -> None:
    features = np.fromfile(VOICES / "demo.f32", "<f4").reshape(-1, 20)[:40]
    features.tofile(tmp_path / "in.f32")
    found = run(
        """
    const all = new Float32Array(new Uint8Array(readFileSync(process.argv[2])).buffer);
    const voice = await Vocoder.load(bytes, { module });
    const whole = voice.synthesize(all, { seed: 5 });
    const stream = voice.stream({ seed: 5 });
    const parts = [];
    for (let at = 0; at < all.length; at += 60) {
      stream.push(all.subarray(at, at + 60));
      for (let part = stream.pull(77); part.length; part = stream.pull(77)) parts.push(...part);
    }
    stream.flush();
    for (let part = stream.pull(77); part.length; part = stream.pull(77)) parts.push(...part);
    print([whole.length, parts.length, whole.every((x, i) => x === parts[i])]);
    """,
        tmp_path / "in.f32",
        voice="lpcnet",
    )
    assert found == [6400, 6400, True]


def test_features_and_copies_are_those_of_the_scalar_tier(tmp_path: Path) -> None:
    """Of 22.05 kHz sound, which is resampled, and said to be."""
    speechlike(0.6, rate=22050).astype("<f4").tofile(tmp_path / "in.f32")
    found = run(
        """
    const pcm = new Float32Array(new Uint8Array(readFileSync(process.argv[2])).buffer);
    const voice = await Vocoder.load(bytes, { module });
    const { data, dims, frames, resampled } = voice.features(pcm, 22050);
    const spoken = voice.synthesize(data, { dims });
    const copy = voice.copy(pcm, 22050);
    const raised = voice.copy(pcm, 22050, { pitch: 4 });
    const same = spoken.every((x, i) => x === copy[i]);
    const moved = raised.some((x, i) => x !== copy[i]);
    print({ dims, frames, resampled, same, moved, lengths: [spoken, copy].map((x) => x.length) });
    """,
        tmp_path / "in.f32",
    )
    assert found["dims"] == 20 and found["resampled"] is True and found["moved"]  # type: ignore[index]
    assert 55 <= found["frames"] <= 61  # type: ignore[index]
    assert found["same"] and found["lengths"][0] <= found["lengths"][1]  # type: ignore[index]


def test_the_page_offers_every_bundled_voice() -> None:
    listed = json.loads((web_folder.ROOT / "web" / "voices.json").read_text(encoding="utf-8"))
    bundled = {path.name for path in (web_folder.ROOT / "pyvoc" / "voices").glob("*.gguf")}
    assert {entry["file"] for entry in listed} == bundled
