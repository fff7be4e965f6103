"""Run a model on one kernel tier and save what came out; a process, as a tier is chosen once.

    PYVOC_ISA=<tier> python tier_worker.py MODEL.gguf INPUTS.npz OUTPUTS.npz

LPCNet's inputs: `features` [frames, dims]; optionally `pcm` (teacher-forced signal, -1..1) and
`draws`. Outputs: `frames_*` of the condition network, `steps_*` teacher-forced, `samples` of a free
run. FARGAN's network for the pitch: `phases`, `correlations`, `pcm`; `logits` and `features`.
WaveRNN: `features`, `pcm`; `predicted` and `samples`. WaveGlow: `features`, `pcm`; `noise`,
what left first first. Else: any number of feature arrays, for NAME perhaps `draws_NAME` (flat); the
samples of each, under its name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import pyvoc


def run(model: Path, tier: str, folder: Path, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Start the process; its outputs."""
    source, target = folder / "inputs.npz", folder / "outputs.npz"
    np.savez(source, **inputs)
    command = [sys.executable, __file__, str(model), str(source), str(target)]
    environment = {**os.environ, "PYVOC_ISA": tier}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(target) as outputs:
        return dict(outputs)


def tiers() -> list[str]:
    """Tiers that this machine has, fastest first."""
    return [tier["name"] for tier in pyvoc.system_info()["tiers"] if tier["supported"]]


def main(model_path: str, source: str, target: str) -> None:
    from pyvoc._pyvoc import testing

    assert pyvoc.system_info()["active_tier"] == os.environ["PYVOC_ISA"]
    model = pyvoc.load(model_path)
    with np.load(source) as inputs:
        given = dict(inputs)
    if model.info.architecture == "wavernn":
        predicted = model.predict(given["features"], given["pcm"])
        samples = model.synthesize(given["features"], draws=given["draws"])
        np.savez(target, predicted=predicted, samples=samples)
        return
    if model.info.architecture == "waveglow" and "pcm" in given:
        noise = model.forward(given["features"], given["pcm"]).z
        np.savez(target, noise=np.concatenate(noise[::-1]))
        return
    if "phases" in given:
        logits = testing.pitch_logits(model._native, given["phases"], given["correlations"])
        rows = pyvoc.features.extract(given["pcm"], model=model)
        np.savez(target, logits=logits, features=rows)
        return
    if model.info.architecture != "lpcnet":
        draws = {name: given.pop(f"draws_{name}", None) for name in list(given)}
        made = {n: model.synthesize(rows, draws=draws[n]) for n, rows in given.items()}
        np.savez(target, **made)
        return
    features = given["features"]
    outputs = {f"frames_{k}": v for k, v in testing.lpcnet_frames(model._native, features).items()}
    if "pcm" in given:
        steps = testing.lpcnet_steps(model._native, features, given["pcm"])
        outputs |= {f"steps_{k}": v for k, v in steps.items()}
    outputs["samples"] = model.synthesize(features, draws=given.get("draws"))
    np.savez(target, **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
