"""The package and its page in headless Chromium, from Python's own server of files."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import chromium
import numpy as np
import pytest
import tier_worker
import web_folder
from chromium import Browser

import pyvoc
from pyvoc.files import audio

if chromium.COMMAND is None:
    pytest.skip("needs chromium", allow_module_level=True)

VOICES = Path(pyvoc.__file__).parent / "voices"
FEATURES = np.fromfile(VOICES / "demo.f32", "<f4").reshape(-1, 20)[:120]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(web_folder.web()))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def window(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The page, with the demo's sentence for a microphone."""
    folder = tmp_path_factory.mktemp("page")
    samples = pyvoc.load("default").synthesize(FEATURES)
    audio.write_wav(folder / "microphone.wav", samples, 16000)
    switches = (
        *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
        f"--use-file-for-fake-audio-capture={folder / 'microphone.wav'}",
    )
    with chromium.browser(folder / "profile", *switches) as found:
        found.visit(f"{address}/index.html")
        found.run("pageReady")
        found.run('import("./src/vocoder.js").then((all) => { globalThis.pyvoc = all; })')
        yield found


@pytest.fixture(autouse=True)
def without_complaint(window: Browser) -> Iterator[None]:
    yield
    assert window.complaints() == []
    assert window.run("document.querySelector('#problem').hidden")


@pytest.mark.parametrize("name", ["default", "lpcnet"])
def test_a_worklet_speaks_the_bits_of_the_scalar_tier(
    window: Browser, name: str, tmp_path: Path
) -> None:
    """Offline, at the model's rate: the hash of all samples."""
    expected = tier_worker.run(VOICES / f"{name}.gguf", "scalar", tmp_path, features=FEATURES)
    samples = expected["samples" if name == "lpcnet" else "features"]
    found = window.run(f"""(async () => {{
        const voice = await pyvoc.Vocoder.load("voices/{name}.gguf");
        const features = Float32Array.from({FEATURES.ravel().tolist()});
        const context = new OfflineAudioContext(1, {samples.size}, 16000);
        const node = await voice.node(context, {{ source: "features", features, finish: true }});
        node.connect(context.destination);
        const made = (await context.startRendering()).getChannelData(0);
        const hash = await crypto.subtle.digest("SHA-256", made);
        return [...new Uint8Array(hash)].map((b) => b.toString(16).padStart(2, "0")).join("");
    }})()""")
    assert found == hashlib.sha256(samples.astype("<f4").tobytes()).hexdigest()


@pytest.mark.parametrize("place", ["worklet", "worker"])
def test_a_microphone_is_heard_through_the_voice(window: Browser, place: str) -> None:
    """In real time, at another rate than the model's, which is said; the pitch moves meanwhile."""
    found = window.run(f"""(async () => {{
        const voice = await pyvoc.Vocoder.load("voices/default.gguf");
        const context = new AudioContext({{ sampleRate: 44100 }});
        const mediaStream = await navigator.mediaDevices.getUserMedia({{ audio: true }});
        const node = await voice.node(context, {{ place: "{place}" }});
        new MediaStreamAudioSourceNode(context, {{ mediaStream }}).connect(node.node);
        node.connect(context.destination);
        await node.setShift(3, 1);
        const seen = await new Promise((resolve, reject) => {{
            const all = [];
            node.on("error", reject);
            node.on("stats", (stats) => {{
                all.push(stats);
                const heard = all.some((s) => s.outputLevel > 1e-3);
                if (heard || all.length > 200) resolve(all);
            }});
        }});
        node.close();
        mediaStream.getTracks().forEach((track) => track.stop());
        await context.close();
        return {{ seen, resampled: node.resampled, latency: node.latencySeconds }};
    }})()""")
    assert max(stats["outputLevel"] for stats in found["seen"]) > 1e-3
    assert max(stats["inputLevel"] for stats in found["seen"]) > 1e-3
    assert found["resampled"] is True
    assert 0.02 < found["latency"] < 0.6


def test_features_are_spoken_from_a_worker(window: Browser) -> None:
    """The ring, in real time, to its end."""
    found = window.run(f"""(async () => {{
        const voice = await pyvoc.Vocoder.load("voices/default.gguf");
        const context = new AudioContext({{ sampleRate: 16000 }});
        const features = Float32Array.from({FEATURES[:50].ravel().tolist()});
        const node = await voice.node(context, {{ source: "features", place: "worker", features }});
        node.connect(context.destination);
        const start = context.currentTime;
        const ended = new Promise((resolve) => node.on("ended", resolve));
        await node.finish();
        await ended;
        const length = context.currentTime - start;
        node.close();
        await context.close();
        return length;
    }})()""")
    assert found >= 0.49


def test_the_page_copies_the_demo(window: Browser) -> None:
    assert "fargan int8" in window.run("document.querySelector('#voice-facts').textContent")
    found = window.run("""(async () => {
        document.querySelector("#demo").click();
        const state = document.querySelector("#copy-state");
        const pause = () => new Promise((go) => setTimeout(go, 50));
        while (!state.textContent.includes("real time")) await pause();
        const { samples, sampleRate } = document.querySelector("#copied").sound;
        return { samples: Array.from(samples), sampleRate };
    })()""")
    assert found["sampleRate"] == 16000
    copy = np.asarray(found["samples"], np.float32)
    assert abs(copy.size - 16000 * 3.98) < 400
    assert 0.01 < np.sqrt(np.mean(copy**2)) < 0.5


def test_the_page_runs_the_microphone(window: Browser) -> None:
    found = window.run("""(async () => {
        const state = document.querySelector("#live-state");
        document.querySelector("#live").click();
        while (!state.textContent.includes("behind")) await new Promise((go) => setTimeout(go, 50));
        const text = state.textContent;
        document.querySelector("#live").click();
        return text;
    })()""")
    assert "of a core" in found
