"""Checks of this installation: what ``pyvoc doctor`` shows."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Check", "check_installation"]

_LEAST_PYTHON = (3, 10)
_PROBE_FRAMES = 40


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes
    ----------
    name, detail
        What was looked at, and what was found.
    ok
        Whether it is as it should be.
    core
        Whether pyvoc is unusable without it.
    hint
        What to do where `ok` is false.
    """

    name: str
    detail: str
    ok: bool
    core: bool = True
    hint: str = ""


_TIER_HINT = "unset PYVOC_ISA, or choose one of the valid names"


def check_installation() -> list[Check]:
    """Look at everything that pyvoc needs or can use; never raises."""
    checks = [_python(), _distribution(), *(_package(*entry) for entry in _CORE)]
    checks += [
        _attempt("extension", _extension, "install pyvoc again: the compiled module is missing"),
        _attempt("kernel tier", _tier, _TIER_HINT),
        _attempt("backends", _backends, "choose an available one with PYVOC_BACKEND, or unset it"),
        _attempt("synthesis", _synthesis, "report this, with the output of pyvoc info --json"),
    ]
    checks += [_package(*entry) for entry in _OPTIONAL]
    checks.append(_port_audio())
    return checks


# module, distribution, core, purpose, how to get it
_CORE = (
    ("numpy", "numpy", True, "arrays", "pip install numpy"),
    ("platformdirs", "platformdirs", True, "your voices", "pip install platformdirs"),
    ("soundfile", "soundfile", True, "audio files", "pip install soundfile"),
)
_OPTIONAL = (
    (
        "soxr",
        "soxr",
        False,
        "audio at other rates than 16 kHz",
        "pip install 'pyvoc-vocoder[soxr]'",
    ),
    ("h5py", "h5py", False, "converting Keras checkpoints", "pip install 'pyvoc-vocoder[convert]'"),
    ("gguf", "gguf", False, "writing model files", "pip install 'pyvoc-vocoder[convert]'"),
    ("matplotlib", "matplotlib", False, "pictures", "pip install 'pyvoc-vocoder[plot]'"),
    ("onnx", "onnx", False, "exporting", "pip install 'pyvoc-vocoder[onnx]'"),
    ("onnxruntime", "onnxruntime", False, "checking exports", "pip install 'pyvoc-vocoder[onnx]'"),
    ("torch", "torch", False, "training", "pip install 'pyvoc-vocoder[train]'"),
    ("uvicorn", "uvicorn", False, "serving", "pip install 'pyvoc-vocoder[serve]'"),
)


def _python() -> Check:
    version = platform.python_version()
    detail = f"{version}, {platform.system()} {platform.machine()}"
    return Check("python", detail, sys.version_info >= _LEAST_PYTHON, hint="Python 3.10 or newer")


def _distribution() -> Check:
    """Ours, and whether the package index's `pyvoc`, a vocabulary tool, writes over it."""
    name, other = "pyvoc-vocoder", "pyvoc"
    found = {}
    for each in (name, other):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[each] = importlib.metadata.version(each)
    ours = f"{name} {found[name]}" if name in found else f"{name} is not installed by pip"
    if other not in found:
        return Check("distribution", ours, True, False)
    return Check(
        "distribution",
        f"{ours}, and another package called {other} {found[other]}, whose files have the same "
        "names: one has written over the other",
        False,
        False,
        f"pip uninstall {other} {name}; pip install {name}",
    )


def _package(module: str, distribution: str, core: bool, purpose: str, hint: str) -> Check:
    try:
        importlib.import_module(module)
        detail = f"{importlib.metadata.version(distribution)} ({purpose})"
    except Exception as error:  # a broken package may raise anything
        return Check(module, f"{purpose}: {error}", False, core, hint)
    return Check(module, detail, True, core)


def _attempt(name: str, function: Callable[[], str], hint: str) -> Check:
    try:
        return Check(name, function(), True)
    except Exception as error:
        if "kernel tier" in str(error):  # which everything that is native begins with
            hint = _TIER_HINT
        return Check(name, f"{type(error).__name__}: {error}", False, hint=hint)


def _extension() -> str:
    native = importlib.import_module("pyvoc._pyvoc")
    return f"{native.version()}, {native.__file__}"


def _tier() -> str:
    from pyvoc.runtime.system import system_info

    system = system_info()
    usable = [tier["name"] for tier in system["tiers"] if tier["supported"]]
    return f"{system['active_tier']} (usable here: {', '.join(usable)}), {system['cpu']}"


def _backends() -> str:
    """What can compute layers here; fails when ``PYVOC_BACKEND`` names something else."""
    from pyvoc.runtime.system import system_info

    why = {b["name"]: b["unavailable"] for b in system_info()["backends"]}
    wanted = os.environ.get("PYVOC_BACKEND")
    if wanted and why.get(wanted, "unknown"):
        raise LookupError(f"PYVOC_BACKEND={wanted}: {why.get(wanted, 'unknown')}")
    return "; ".join(f"{name}: {reason}" if reason else name for name, reason in why.items())


def _synthesis() -> str:
    """A short synthesis with the default voice, whole and in pieces."""
    import numpy as np

    from pyvoc.files import features
    from pyvoc.runtime.model import load

    model = load()
    hop = model.info.hop_length
    time = np.arange(_PROBE_FRAMES * hop) / model.info.sample_rate
    harmonics = np.arange(1, 30)[:, None]
    voice = (np.sin(2 * np.pi * 120 * harmonics * time) / harmonics).sum(axis=0)
    rows = features.extract(0.05 * voice, model=model)
    whole = model.synthesize(rows)
    with model.stream() as stream:
        pieces = []
        for row in rows:
            stream.push(row[None])
            pieces.append(stream.pull())
        stream.flush()
        pieces.append(stream.pull())
    if len(whole) != len(rows) * hop or not np.isfinite(whole).all():
        raise ArithmeticError(f"{len(whole)} samples, or not all finite")
    if not np.array_equal(whole, np.concatenate(pieces)):
        raise ArithmeticError("a stream in pieces gave other samples than the whole")
    level = float(np.sqrt(np.mean(whole**2)))
    if not 1e-4 < level < 0.9:
        raise ArithmeticError(f"the level is {level:.3g}")
    return f"{len(rows)} frames, level {20 * np.log10(level):.1f} dB, in pieces the same samples"


def _port_audio() -> Check:
    name = "sounddevice"
    try:
        device = importlib.import_module(name)
        detail = (
            f"{importlib.metadata.version(name)} (live audio), {device.get_portaudio_version()[1]}"
        )
    except ImportError as error:
        return Check(
            name, f"live audio: {error}", False, False, "pip install 'pyvoc-vocoder[live]'"
        )
    except Exception as error:
        hint = "install PortAudio (Debian: apt-get install libportaudio2)"
        return Check(name, f"live audio: {error}", False, False, hint)
    return Check(name, detail, True, False)
