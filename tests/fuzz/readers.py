"""Files as no one would write them, for every reader that is written in Python.

Run by ``make fuzz`` and, shortened, by ``tests/python/files/test_fuzz_readers.py``:

    readers.py FOLDER RUNS SECONDS SEED [READER ...]

A good file of each kind is changed where it means something, and read. It is taken, or refused in
one sentence (`pyvoc.errors.Error`) of bounded length, within bounded time and memory. What is
found stays in the folder. The last line is a report in JSON: of each reader, how many were taken.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import resource
import struct
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
sys.path.insert(0, str(ROOT / "tests" / "python" / "support"))

from hifigan_checkpoints import state_dict  # noqa: E402
from libwavernn_files import model_bytes, single  # noqa: E402
from melgan_checkpoints import mindspore_bytes, write_safetensors  # noqa: E402
from torch_files import Writer, legacy_bytes, pickled, save_zip  # noqa: E402

from pyvoc.bulk import manifest  # noqa: E402
from pyvoc.container import read_container  # noqa: E402
from pyvoc.container.reader import read_metadata  # noqa: E402
from pyvoc.convert.csource import parse_arrays  # noqa: E402
from pyvoc.convert.detect import detect  # noqa: E402
from pyvoc.convert.dnnw import parse_blob  # noqa: E402
from pyvoc.convert.settings import scalars  # noqa: E402
from pyvoc.errors import Error  # noqa: E402
from pyvoc.files import audio, features, mels  # noqa: E402
from pyvoc.files.kinds import kind_of  # noqa: E402
from pyvoc.pickles import load_torch  # noqa: E402
from pyvoc.train.config import TrainConfig  # noqa: E402
from pyvoc.train.mapping import from_mapping, read_yaml  # noqa: E402

MOST_SECONDS = 20.0
MOST_BYTES = 400 << 20  # of memory, beyond what there was
MOST_SAID = 4000  # characters

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes
    ----------
    name
        Of the file, as far as its suffix matters.
    good
        Files that are taken.
    read
        What reads one.
    changes
        Ways to change one.
    """

    name: str
    good: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]
    changes: list[Mutate] = field(default_factory=list)


# ---- changes ----


EDGES = (0, 1, 2, 3, 7, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40)
EDGES += (0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
FLOATS = (0.0, -0.0, 1e30, -3e38, 1e-42, float("nan"), float("inf"), 1e4, 256.0, -1.0)


def flipped(data: bytes, rng: random.Random) -> bytes:
    """Single bytes, mostly near the beginning, where headers are."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        out[rng.randrange(min(len(out), rng.choice((64, 256, len(out)))))] = rng.randrange(256)
    return bytes(out)


def numbers(data: bytes, rng: random.Random) -> bytes:
    """A number of 2, 4 or 8 bytes that is at its edge, or a little off."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 2)):
        width = rng.choice((2, 4, 4, 8))
        at = rng.randrange(max(1, min(len(out), rng.choice((128, 1024, len(out)))) - width))
        order = rng.choice(("little", "little", "big"))
        value = int.from_bytes(out[at : at + width], order)
        value = rng.choice(EDGES) if rng.random() < 0.6 else value + rng.randint(-3, 3)
        out[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, order)
    return bytes(out)


def cut(data: bytes, rng: random.Random) -> bytes:
    """Shorter, longer, a piece twice or gone."""
    a, b = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    b = min(b, a + rng.choice((1, 4, 32, len(data))))
    kind = rng.randrange(4)
    if kind == 0:
        return data[:a]
    if kind == 1:
        return data[:a] + data[b:]
    return data[:b] + data[a:] if kind == 2 else data + rng.randbytes(rng.choice((1, 3, 100)))


def floats(data: bytes, rng: random.Random) -> bytes:
    """float32 values that nobody expects."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = 4 * rng.randrange(max(1, len(out) // 4))
        out[at : at + 4] = struct.pack("<f", rng.choice(FLOATS))
    return bytes(out)


def chunks(data: bytes, rng: random.Random) -> bytes:
    """The chunks of a wav in another order, twice, gone, or with another field."""
    found, at = [], 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append([data[at : at + 4], data[at + 8 : at + 8 + size]])
        at += 8 + size + size % 2
    for _ in range(rng.randint(1, 3)):
        if not found:
            break
        chunk, kind = rng.choice(found), rng.randrange(6)
        if kind == 0:
            found.append(list(chunk))
        elif kind == 1:
            rng.shuffle(found)
        elif kind == 2:
            found.remove(chunk)
        elif kind == 3:
            chunk[0] = rng.choice((b"fmt ", b"data", b"fact", b"LIST", b"cue ", b"smpl", b"bext"))
        elif kind == 4 and len(chunk[1]) > 1:  # of a format: its tag, channels, rate, width
            chunk[1] = numbers(chunk[1], rng)
        else:
            chunk[1] = chunk[1][: rng.randrange(len(chunk[1]) + 1)]
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in found
    )
    return data[:4] + struct.pack("<I", 4 + len(body)) + data[8:12] + body


JSON_VALUES: list[Any] = [None, True, 0, -1, 1, 2**31, 2**63, 2**64, 1e308, float("nan"), 0.5]
JSON_VALUES += ["", "x", "\ud800", "a/../b", "..", "x" * 5000, "\0", "1", "-", "é\udc80"]
JSON_VALUES += [[], {}, [[]], [1] * 100, {"a": 1}, [-1, 2], [2**62, 2**62], "F32", "BF16", 1e-320]


def tree(value: Any, rng: random.Random) -> Any:
    """A value of JSON, somewhere changed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        out, key = dict(value), rng.choice(list(value))
        kind = rng.randrange(8)
        if kind == 0:
            del out[key]
        elif kind == 1:
            out[rng.choice(("x", "", key + "x", "\ud800", "k" * 3000))] = out.pop(key)
        elif kind == 2:
            out[rng.choice(list(value))] = out[key]
        else:
            out[key] = tree(out[key], rng)
        return out
    if isinstance(value, list) and value and rng.random() < 0.8:
        out_list, at = list(value), rng.randrange(len(value))
        if rng.random() < 0.3:
            return out_list[:at] + out_list[at + 1 :] * rng.choice((0, 1, 2))
        out_list[at] = tree(out_list[at], rng)
        return out_list
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.4:
        return value + rng.choice((-1, 1, 0.5, 1 << 33))
    return rng.choice(JSON_VALUES)


def json_lines(data: bytes, rng: random.Random) -> bytes:
    """JSON a line, changed as values."""
    lines = [json.loads(line) for line in data.splitlines()]
    at = rng.randrange(len(lines))
    lines[at] = tree(lines[at], rng)
    return "\n".join(map(json.dumps, lines)).encode("utf-8", "surrogatepass")


def safetensors_header(data: bytes, rng: random.Random) -> bytes:
    """The header of safetensors as a value, with its length right."""
    size = int.from_bytes(data[:8], "little")
    text = json.dumps(tree(json.loads(data[8 : 8 + size]), rng)).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


YAML_PIECES = (
    *("!!int ", "!!float ", "!!timestamp ", "!!bool ", "!!set ", "!!omap ", "!!binary ", "!!null "),
    *("!!python/tuple ", "!!python/name:os.system ", "!!python/object/apply:os.system ", "!x "),
    *(
        "&a ",
        "*a",
        "<<: ",
        "<<: *a\n",
        "? ",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "\n",
        "\t",
        "%YAML 9\n",
    ),
    *(
        "%YAML 9\n",
        "---\n",
        "...\n",
        "'",
        '"',
        "|",
        ">",
        "#",
        "1:2:3",
        "0x",
        "0b",
        "1e999",
        ".nan",
        ".inf",
        "~",
    ),
    *("2001-99-99", "9" * 5000, "1_0", "0o9", "=", "@", "`", "\0", "\ufeff", "\x85", "[" * 2000),
)


def yaml_text(data: bytes, rng: random.Random) -> bytes:
    """Pieces of YAML's grammar put between others."""
    text = data.decode()
    for _ in range(rng.randint(1, 4)):
        places = [i + 1 for i, c in enumerate(text) if c in " \n:,["]
        at = rng.choice(places or [0])
        end = at + rng.choice((0, 0, 1, 4))
        text = text[:at] + rng.choice(YAML_PIECES) + text[end:]
    return text.encode("utf-8", "surrogatepass")


def archived(data: bytes, rng: random.Random) -> bytes:
    """The members of a zip changed in an archive that is whole again: no checksum stops these."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            member, kind = old.read(name), rng.randrange(12)
            if kind == 0:
                continue
            if kind == 1:
                name = rng.choice(("data.pkl", name + "x", f"../{name}", name.upper(), "a/data/0"))
            elif kind < (9 if name.endswith(".pkl") else 4) and member:
                member = rng.choice((flipped, numbers, cut))(member, rng)
            new.writestr(name, member, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))
    return out.getvalue()


def gguf(data: bytes, rng: random.Random) -> bytes:
    """A value of a GGUF's metadata, or what it says of a tensor."""
    ends = []
    for name in (b"pyvoc.", b"general.", b"weight", b"bias"):
        at = data.find(name)
        while 0 <= at < 1 << 16:
            size = int.from_bytes(data[at - 8 : at], "little") if at >= 8 else 0
            ends.append((at, at + size if 0 < size < 200 else at + len(name)))
            at = data.find(name, at + 1)
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        start, end = rng.choice(ends)
        width = rng.choice((4, 8))
        at = rng.choice((start - 8, end, end + 4, end + 8, end + 12, end + 16, end + 24))
        out[at : at + width] = rng.choice(EDGES).to_bytes(8, "little")[:width]
    return bytes(out)


def source_text(data: bytes, rng: random.Random) -> bytes:
    """Pieces of C put between others."""
    pieces = (
        b"{",
        b"}",
        b";",
        b"/*",
        b"*/",
        b"[",
        b"]",
        b"=",
        b"-",
        b"1e999",
        b"0x",
        b"nan",
        b",,",
    )
    at = rng.randrange(len(data))
    return data[:at] + rng.choice(pieces) * rng.choice((1, 1, 50)) + data[at + rng.randrange(3) :]


# ---- good files ----


def sounds(*kinds: tuple[str, str]) -> Callable[[Path], list[bytes]]:
    def make(_: Path) -> list[bytes]:
        import soundfile

        found = []
        for form, subtype in kinds:
            file = io.BytesIO()
            samples = 0.3 * np.sin(np.arange(4000)[:, None] / np.array([9.0, 11.0]))
            soundfile.write(file, samples, 16000, format=form, subtype=subtype)
            found.append(file.getvalue())
        return found

    return make


def rows(bands: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-1, 1, (12, bands)).astype("<f4")


def as_npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def models(_: Path) -> list[bytes]:
    names = ("tree_sparse.int8", "fargan/odd.int8", "hifigan/odd.f32", "melgan/odd.bf16")
    names += ("waveglow/early.bf16", "wavernn/mol.int8")
    return [(GOLDEN / f"{name}.gguf").read_bytes() for name in names]


SAMPLE = {"state": {"a.weight": rows(4), "b": rows(3)}, "epoch": 3, "name": "x", "list": [1, 2.5]}


def torch_zip(folder: Path) -> list[bytes]:
    plain = save_zip(folder / "good.pt", SAMPLE).read_bytes()
    packed = save_zip(folder / "good.pt", SAMPLE, method=zipfile.ZIP_DEFLATED).read_bytes()
    return [plain, packed, save_zip(folder / "good.pt", state_dict()).read_bytes()]


def checkpoints(folder: Path) -> list[bytes]:
    arrays = state_dict()
    found = [
        write_safetensors(folder / "good", arrays).read_bytes(),
        mindspore_bytes(arrays),
        mindspore_bytes(arrays, crc=True, packed=True),
        legacy_bytes(arrays),
        model_bytes(single()),
        save_zip(folder / "good", arrays).read_bytes(),
    ]
    (folder / "good").unlink()
    return found


def blobs(_: Path) -> list[bytes]:
    out = b""
    for i, name in enumerate((b"gru_a_weights", b"gru_a_bias", b"x_scale")):
        data = rows(16).tobytes()
        size = len(data) - len(data) % 64
        out += struct.pack("<4siiii44s", b"DNNw", 0, i, size, size, name) + data[:size]
    return [out]


C_SOURCE = b"""/* made */
static const float a_weights[6] = { 1.0f, -2.5e-3f, 3, 0.0, 7.f, 1e4f };
static const opus_int8 b_weights[4] = { 1, -2, 127, -128 };
const int c_idx[2] = { 1, 2 };
"""
YAML = b"""batch_size: 8
lr: 5.0e-3
seed: 1
model: &m {gru_a: 32, sizes: [1, 2.5, [3, 4]], name: "x", on: true, none: null}
data:
  other: *m
  frames: 4
  text: |
    several
    lines
"""


CONFIG = json.dumps(
    {
        "family": "melgan",
        "data": {"speech": ["a"], "validation": 0.1},
        "model": {"channels": 32, "ratios": [8, 8, 4]},
        "model_dir": "m",
        "lr": 1e-3,
        "batch_size": 8,
    }
).encode()


def settings_of(path: Path) -> object:
    scalars(path.read_text(encoding="utf-8", errors="replace"))
    return read_yaml(str(path))


LINES = b"""{"input": "a.f32", "output": "deep/a.wav", "seed": 7, "speed": 1.25, "denoise": 0.5}
{"input": "b.npy", "layout": "lpcnet20", "format": "s16", "sigma": 0.6, "fold": [11000, 550]}
{"input": "c.wav", "rate": 16000, "channels": 2}
"""
BINARY: list[Mutate] = [flipped, numbers, cut]
READERS: dict[str, Reader] = {
    "wav": Reader(
        "x.wav",
        sounds(("WAV", "PCM_16"), ("WAVEX", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM")),
        audio.read,
        [*BINARY, chunks, chunks, chunks],
    ),
    "compressed": Reader(
        "x.flac",
        sounds(("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("AIFF", "PCM_16"), ("AU", "PCM_16")),
        audio.read,
        BINARY,
    ),
    "look": Reader("x.wav", sounds(("WAV", "PCM_16"), ("W64", "PCM_16")), audio.look, BINARY),
    "f32": Reader("x.f32", lambda _: [rows(20).tobytes()], features.load, [floats, floats, cut]),
    "npy": Reader("x.npy", lambda _: [as_npy(rows(20))], features.load, [*BINARY, floats]),
    "mel": Reader(
        "x.npy",
        lambda _: [as_npy(rows(80)), as_npy(rows(80).T.astype(">f8"))],
        lambda path: mels.load(path, bands=80),
        [*BINARY, floats],
    ),
    "gguf": Reader("x.gguf", models, read_container, [*BINARY, gguf, gguf, gguf]),
    "metadata": Reader("x.gguf", models, read_metadata, [*BINARY, gguf, gguf]),
    "torch": Reader("x.pt", torch_zip, load_torch, [*BINARY, archived, archived, archived]),
    "pickle": Reader(
        "x.pt",
        lambda _: [legacy_bytes(SAMPLE), pickled(Writer(legacy=True).tree({"a": [1, "x"]}))],
        load_torch,
        BINARY,
    ),
    "checkpoint": Reader("x.bin", checkpoints, lambda path: detect(path)(path), BINARY),
    "safetensors": Reader(
        "x.safetensors",
        lambda folder: checkpoints(folder)[:1],
        lambda path: detect(path)(path),
        [*BINARY, safetensors_header, safetensors_header, safetensors_header],
    ),
    "dnnw": Reader("x.bin", blobs, lambda path: parse_blob(path.read_bytes(), str(path)), BINARY),
    "csource": Reader(
        "x.c",
        lambda _: [C_SOURCE],
        lambda path: parse_arrays(path.read_bytes(), str(path), wanted=lambda name: True),
        [source_text, source_text, flipped, cut],
    ),
    "yaml": Reader("x.yaml", lambda _: [YAML], settings_of, [yaml_text, yaml_text, flipped, cut]),
    "config": Reader(
        "x.yaml",
        lambda _: [CONFIG],
        lambda path: from_mapping(TrainConfig, read_yaml(str(path)), str(path)),
        [yaml_text, json_lines, json_lines, json_lines],
    ),
    "manifest": Reader(
        "x.jsonl",
        lambda _: [LINES],
        lambda path: manifest.read(path, {}),
        [json_lines, json_lines, flipped, cut],
    ),
    "kind": Reader(
        "x.bin",
        lambda folder: [*checkpoints(folder), *torch_zip(folder), as_npy(rows(20)), YAML, LINES],
        kind_of,
        BINARY,
    ),
}


# ---- the loop ----


class Found(Exception):
    """A file that a reader did not deal with."""


def attempt(reader: Reader, path: Path) -> bool:
    """Whether it is taken.

    Raises
    ------
    Found
        It is neither taken nor refused as it should be.
    """
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        reader.read(path)
        taken = True
    except Error as error:
        taken = False
        if not 0 < len(str(error)) <= MOST_SAID:
            raise Found(f"a message of {len(str(error))} characters") from error
    except BaseException as error:
        raise Found(f"{type(error).__name__}: {str(error)[:300]}") from error
    seconds = time.monotonic() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    if seconds > MOST_SECONDS or grown > MOST_BYTES:
        raise Found(f"{seconds:.1f} s, {grown >> 20} MiB more memory")
    return taken


def fuzz(name: str, folder: Path, runs: int, seconds: float, seed: int) -> dict[str, int]:
    """So many changes of a reader's files, or for so many seconds where that is longer."""
    reader, rng = READERS[name], random.Random(f"{seed} {name}")
    good = reader.good(folder)
    path = folder / f"{name}-{reader.name}"
    done = taken = 0
    end = time.monotonic() + seconds
    try:
        for data in good:  # most are taken as they are; a part of a checkpoint need not be
            path.write_bytes(data)
            attempt(reader, path)
        while done < runs or time.monotonic() < end:
            data = rng.choice(reader.changes)(rng.choice(good), rng)
            if data and rng.random() < 0.25:
                with contextlib.suppress(Exception):  # what is changed has not its structure
                    data = rng.choice(reader.changes)(data, rng)
            path.write_bytes(data)
            taken += attempt(reader, path)
            done += 1
    except Found as found:
        kept = folder / f"found-{path.name}"
        path.rename(kept)
        raise Found(f"{name}, change {done} of seed {seed}: {found}; see {kept}") from found
    path.unlink()
    return {"runs": done, "taken": taken}


def run(folder: str, runs: str, seconds: str, seed: str, *names: str) -> None:
    """All readers, or those that are named; a finding does not stop the others."""
    warnings.simplefilter("ignore")  # of what may not be meant
    Path(folder).mkdir(parents=True, exist_ok=True)
    report, bad = {}, 0
    for name in names or READERS:
        try:
            report[name] = fuzz(name, Path(folder), int(runs), float(seconds), int(seed))
        except Found as found:
            print(f"FOUND: {found}", flush=True)
            bad += 1
    print(json.dumps(report))
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    run(*sys.argv[1:])
