"""``pyvoc train lpcnet`` from end to end, on small models and constructed speech."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from gan_files import torchrun
from lpcnet_files import Upstream
from sounds import speechlike

pytest.importorskip("torch")
pytest.importorskip("gguf")

import torch

import pyvoc
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.families.lpcnet import dump
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.quant import decode
from pyvoc.train.log import read_log

RATE = 16000
SMALL = """
batch_size: 4
epochs: 1
steps_per_epoch: 20
lr: 0.002
log_every: 1
device: cpu
threads: 1
clip_grad: 1.0
samples: false
model:
  gru_a: 32
  gru_b: 16
  cond: 16
  pitch_embedding: 8
  embedding: 16
  density: [0.3, 0.3, 0.5]
  sparsify_from: 2
  sparsify_to: 8
  sparsify_every: 2
  quantize_from: 12
data:
  frames_per_chunk: 2
  chunks_per_segment: 3
  augment: {speeds: [1.0]}
"""


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("speech")
    for k in range(3):
        name = folder / ("held" if k == 0 else "train") / f"{k}.wav"
        name.parent.mkdir(exist_ok=True)
        soundfile.write(name, speechlike(2.0, seed=k, f0=110.0 + 30 * k), RATE, "PCM_16")
    return folder


@pytest.fixture(scope="module")
def config(speech: Path) -> str:
    path = speech / "config.yaml"
    path.write_text(SMALL)
    return str(path)


def run(config: str, speech: Path, folder: Path, *more: str) -> int:
    data = ["--data", str(speech / "train"), "--validation", str(speech / "held")]
    return main(["train", "lpcnet", "--config", config, *data, "--model-dir", str(folder), *more])


def events(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [e for e in read_log(folder / "log.jsonl") if e["event"] == kind]


def losses(folder: Path) -> list[float]:
    return [e["loss"] for e in events(folder, "step")]


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    content = torch.load(folder / f"checkpoint-{step:09d}.pt", weights_only=True)
    found: dict[str, torch.Tensor] = content["module"]
    return found


@pytest.mark.parametrize("generation", ["latest", "2019"])
def test_it_ends_in_a_model_that_speaks(
    config: str, speech: Path, tmp_path: Path, generation: str
) -> None:
    folder, model = tmp_path / "run", tmp_path / "voice.gguf"
    more = ["--precision", "int8", "--output", str(model), "--set", "samples=true"]
    assert run(config, speech, folder, *more, "--set", f"model.generation={generation}") == 0
    found = losses(folder)
    assert len(found) == 20 and found[-1] < found[0]
    assert events(folder, "validation")[-1]["loss"] > 0
    loaded = pyvoc.load(model)
    assert loaded.info.precision == "int8"
    features = pyvoc.features.extract(
        soundfile.read(speech / "held" / "0.wav")[0], layout=loaded.info.feature_layout
    )
    audio = loaded.synthesize(features)
    assert len(audio) == len(features) * 160 and np.isfinite(audio).all() and audio.std() > 0
    assert list(folder.glob("samples/**/*.wav"))


def test_interrupted_and_resumed_equals_uninterrupted(
    config: str, speech: Path, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(config, speech, whole, "--checkpoint-every", "7") == 0
    assert run(config, speech, parts, "--checkpoint-every", "7", "--steps-per-epoch", "7") == 0
    more = ["--checkpoint-every", "7", "--steps-per-epoch", "20", "--resume"]
    assert run(config, speech, parts, *more) == 0
    assert losses(whole) == losses(parts)
    one, two = weights(whole, 20), weights(parts, 20)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert int(one["mask"].sum()) < one["mask"].numel()


def test_two_processes_equal_one(config: str, speech: Path, tmp_path: Path) -> None:
    assert run(config, speech, tmp_path / "one") == 0
    data = ["--data", str(speech / "train"), "--validation", str(speech / "held")]
    done = torchrun(["lpcnet", "--config", config, *data, "--model-dir", str(tmp_path / "two")])
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = losses(tmp_path / "one"), losses(tmp_path / "two")
    assert len(one) == len(two) == 20
    assert np.abs(np.subtract(one, two)).max() <= 1e-5


@pytest.mark.parametrize("layout", ["lpcnet36", "lpcnet55"])
def test_it_takes_what_dump_data_wrote(
    config: str, speech: Path, tmp_path: Path, layout: str
) -> None:
    pcm = np.concatenate([speechlike(3.0, seed=s) for s in (5, 6)])
    raw = tmp_path / "speech.s16"
    (pcm * 32767).astype("<i2").tofile(raw)
    features, data = tmp_path / "features.f32", tmp_path / "data.bin"
    dump.dump_train(raw, features, data, layout=layout, frames=560, seed=1)
    generation = "latest" if layout == "lpcnet36" else "2019"
    arguments = ["train", "lpcnet", "--config", config, "--model-dir", str(tmp_path / "run")]
    arguments += ["--data", str(data), "--features", str(features)]
    assert main([*arguments, "--set", f"model.generation={generation}"]) == 0
    found = losses(tmp_path / "run")
    assert len(found) == 20 and found[-1] < found[0]
    other = "2019" if generation == "latest" else "latest"
    arguments[arguments.index(str(tmp_path / "run"))] = str(tmp_path / "other")
    assert main([*arguments, "--set", f"model.generation={other}"]) == 3


def test_finetuning_from_a_model_file_and_from_a_checkpoint(
    config: str, speech: Path, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    assert run(config, speech, first, "--steps-per-epoch", "60") == 0
    start = np.mean(losses(first)[:3])
    end = np.mean(losses(first)[-5:])
    for k, source in enumerate([first / "lpcnet.gguf", first / "checkpoint-000000060.pt"]):
        folder = tmp_path / f"next{k}"
        more = ["--finetune", str(source), "--lr", "1e-5", "--set", "model.sparsify_to=2"]
        assert run(config, speech, folder, *more) == 0
        assert np.mean(losses(folder)[:3]) < start - 0.6 * (start - end)


def test_finetuning_from_upstreams_checkpoint(config: str, speech: Path, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    upstream = Upstream(n=32, m=16, c=16, p=8, e=16)
    source = upstream.write_h5(tmp_path / "upstream.h5")
    sizes = ["--set", "model.clip=0", "--set", "model.density=[1, 1, 1]", "--lr", "1e-9"]
    more = ["--finetune", str(source), *sizes, "--steps-per-epoch", "1"]
    assert run(config, speech, tmp_path / "run", *more) == 0
    found = decode(LPCNET, read_container(tmp_path / "run" / "lpcnet.gguf"))
    for name, array in upstream.arrays().items():
        assert np.abs(found[name] - array).max() < 1e-5, name


def test_performance_is_reported(
    config: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, speech, tmp_path / "run", "--use-performance", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    rate = result["performance"]["samples_per_s"]
    assert rate > 0 and rate == pytest.approx(
        result["performance"]["steps_per_s"] * 4 * 320, rel=0.05
    )


def test_what_was_found_is_said(
    config: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One clip of three is too short, one is at another rate, and macOS left a companion."""
    pytest.importorskip("soxr")
    folder = tmp_path / "speech"
    (folder / "below").mkdir(parents=True)
    soundfile.write(folder / "below" / "good.wav", speechlike(2.0), RATE, "PCM_16")
    soundfile.write(folder / "fast.flac", speechlike(3.0), 24000)
    soundfile.write(folder / "short.wav", speechlike(0.2), RATE, "PCM_16")
    (folder / "._good.wav").write_bytes(b"Mac OS X")
    arguments = ["train", "lpcnet", "--config", config, "--data", str(folder)]
    more = ["--validation", str(speech / "held"), "--steps-per-epoch", "9"]
    log = tmp_path / "run"
    assert main([*arguments, *more, "--model-dir", str(log), "--json"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)["data"]
    assert found == events(log, "start")[0]["data"]
    assert found["clips"] == 3
    assert found["seconds"] == pytest.approx(6.0, abs=0.01)
    assert found["resampled"] == {"24000": 1}
    assert found["left_out"] == {"too short": 1}
    assert len(found["warnings"]) == 2
    summary = "3 clips, 6.0 s; 1 resampled from 24000 Hz; left out 1: 1 too short"
    assert f"pyvoc train: {summary}; 2 clips to train on, 1 to validate\n" in captured.err
    assert "short.wav" in captured.err
    assert "passed over 1 ._*" in captured.err
    assert "pyvoc: 2 warnings: " in captured.err
    strict = tmp_path / "strict"
    assert main([*arguments, *more, "--model-dir", str(strict), "--strict"]) == 3
    assert not strict.exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "without audio files"),
        (lambda folder: write(folder, np.zeros(RATE * 2)), "silent"),
        (lambda folder: write(folder, speechlike(0.2)), "too short"),
        (lambda folder: write(folder, np.sign(speechlike(2.0))), "clipped"),
        (lambda folder: (folder / "a.wav").write_bytes(b"RIFFnonsense"), "a.wav"),
    ],
)
def test_unusable_speech_is_refused(
    config: str,
    speech: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    make: Any,
    message: str,
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    make(folder)
    arguments = ["train", "lpcnet", "--config", config, "--data", str(folder)]
    assert main([*arguments, "--model-dir", str(tmp_path / "run")]) == 3
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("*.pt"))


def write(folder: Path, samples: np.ndarray) -> None:
    soundfile.write(folder / "a.wav", samples, RATE, "PCM_16")


def test_a_checkpoint_of_other_sizes_is_refused(
    config: str, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tmp_path / "first"
    assert run(config, speech, first, "--steps-per-epoch", "2") == 0
    capsys.readouterr()
    more = ["--finetune", str(first / "lpcnet.gguf"), "--set", "model.gru_a=48"]
    assert run(config, speech, tmp_path / "second", *more) == 3
    assert "lpcnet.gguf: does not fit this run's sizes" in capsys.readouterr().err


@pytest.mark.parametrize("units", [32, 40])  # on our kernels, and on PyTorch's layers
def test_mixed_precision_learns_the_same(
    config: str, speech: Path, tmp_path: Path, units: int
) -> None:
    found = []
    for k, amp in enumerate(["False", "True"]):
        more = [f"--use-amp={amp}", "--set", f"model.gru_a={units}"]
        assert run(config, speech, tmp_path / str(k), *more) == 0
        found.append(losses(tmp_path / str(k)))
    assert found[0] != found[1]
    assert np.abs(np.subtract(*found)).max() < 0.03
