"""Every family learns to speak: trained from nothing on syllables, exported, heard by the runtime.

Tiny networks for some seconds of work each. What is asked of a trained one is asked of an untrained
one too (the same run at a rate of nearly nothing), which must fail: a run that learns nothing does
not pass. One clip is held out; all figures are of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gan_files import events, write_corpus

pytest.importorskip("torch")
pytest.importorskip("gguf")

from tiny_training import SETTINGS

import pyvoc
from pyvoc import evaluate, features
from pyvoc.container.mel import NVIDIA
from pyvoc.files.audio import read_int16
from pyvoc.train import TrainConfig, train

RATE = 16000
HEARD = replace(NVIDIA, name="custom", sample_rate=RATE)
"""The mel by which sound is compared with sound."""

LIKELIHOODS = ("lpcnet", "wavernn", "waveglow")
HEARS = ("fargan", "hifigan", "melgan", "wavernn")
"""What so few steps teach to follow the features. WaveGlow knows the sound's spectrum by then, and
LPCNet the samples' likelihood: its filter makes a roar of an excitation that is a little wrong."""


@dataclass(frozen=True)
class Heard:
    """What a model says of the held-out clip.

    Parameters
    ----------
    near, turned
        Difference of the mels (nats, the mean of all frames and bands) of the clip and of what the
        model says of the clip's features, and of these turned round in time.
    nats
        Negative log-likelihood, per sample, over that of a model that knows only how often each
        label occurs (WaveGlow: the level of the clip); None of a family that has none.
    """

    near: float
    turned: float
    nats: float | None


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips in ``train``, and one in ``held_out``."""
    folder = tmp_path_factory.mktemp("speech")
    write_corpus(folder / "train", clips=5, seconds=1.5, rate=RATE)
    (folder / "held_out").mkdir()
    (folder / "train" / "clip0.wav").rename(folder / "held_out" / "clip0.wav")
    return folder


def run(family: str, speech: Path, folder: Path, **values: Any) -> str:
    """Train; the model."""
    settings = {**SETTINGS[family], **values}
    data = {"path": str(speech / "train"), "validation": str(speech / "held_out")}
    data |= settings.pop("data")
    common = {"device": "cpu", "threads": 1, "samples": False, "epochs": 1, "log_every": 5}
    config = TrainConfig.of(family, **{**common, **settings}, data=data, model_dir=str(folder))
    result = train(config)
    assert result.model is not None
    return result.model


def listen(path: str, clip: Path) -> Heard:
    model = pyvoc.load(path)
    pcm = read_int16(clip, rate=RATE)
    true = pcm.astype(np.float32) / np.float32(32768)
    rows = features.extract(true, model=model)
    distances = []
    for said in (rows, np.ascontiguousarray(rows[::-1])):
        made = model.synthesize(said)
        samples = min(len(made), len(true))
        ours, theirs = (features.extract(x[:samples], recipe=HEARD) for x in (made, true))
        distances.append(float(np.abs(ours - theirs).mean()))
    nats = None
    if model.info.architecture in LIKELIHOODS:
        report = evaluate.evaluate_nll(model, [str(clip)])
        if report.marginal is not None:
            nats = report.nats - report.marginal
        else:  # white noise of the clip's level, as upstream counts: without log(2 pi) / 2
            nats = report.figures["loss"] - 0.5 - float(np.log(true.std()))
    return Heard(*distances, nats)


@pytest.mark.parametrize("family", list(SETTINGS))
def test_it_learns_to_speak(family: str, speech: Path, tmp_path: Path) -> None:
    steps = SETTINGS[family]["steps_per_epoch"]
    trained = run(family, speech, tmp_path / "trained", validate_every=steps // 3)
    untrained = run(family, speech, tmp_path / "untrained", steps_per_epoch=steps // 10, lr=1e-30)
    clip = speech / "held_out" / "clip0.wav"
    good, bad = listen(trained, clip), listen(untrained, clip)
    losses = [event["loss"] for event in events(tmp_path / "trained", "validation")]
    assert len(losses) >= 3 and losses[-1] < losses[0], "held-out loss falls"
    if family != "lpcnet":
        assert good.near < 0.7 * bad.near, (good, bad)
    if family in HEARS:
        assert good.near < 0.9 * good.turned, good
        assert bad.near > 0.95 * bad.turned, f"an untrained model has what is asked: {bad}"
    assert (good.nats is None) == (family not in LIKELIHOODS)
    if good.nats is not None and bad.nats is not None:
        assert good.nats < -0.2, good
        assert bad.nats > 0, f"an untrained model has what is asked: {bad}"
