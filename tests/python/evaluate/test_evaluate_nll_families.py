"""Likelihoods of WaveRNN and WaveGlow: upstream's losses, oracles, arithmetic, bad files."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import wavernn_files
from mel_sounds import RECORDINGS
from sounds import speechlike
from voices import MELGAN, TREE, WAVEGLOW, WAVERNN, voice
from waveglow_files import reference as waveglow_reference

from pyvoc import audio, doubts, features
from pyvoc.cli import main
from pyvoc.container import read_container
from pyvoc.errors import AudioError, UnsupportedError
from pyvoc.evaluate import nll
from pyvoc.families import spec_of
from pyvoc.families.wavernn import likelihood as nll_wavernn
from pyvoc.quant import decode

TEACHERS = sorted(wavernn_files.GOLDEN.glob("*_teacher.npz"))
TOLERANCE = {"f32": 1e-4, "bf16": 1e-4, "int8": 0.05}


def speech(rate: int, seconds: float = 0.3) -> np.ndarray:
    """int16 at another rate than it was made for: any sound will do."""
    sound = np.rint(speechlike(1.0) * 32768).astype(np.int16)
    return sound[4000 : 4000 + int(rate * seconds)]


def network(path: Path, module):
    container = read_container(path)
    return module(decode(spec_of(container, str(path)), container), container.metadata)


# ---- WaveRNN -------------------------------------------------------------------------------------


@pytest.mark.skipif(not TEACHERS, reason=f"no teacher-forced tensors in {wavernn_files.GOLDEN}")
@pytest.mark.parametrize("path", TEACHERS, ids=lambda p: p.stem)
def test_nats_are_upstreams_loss(path: Path) -> None:
    """Upstream's own logits and labels."""
    with np.load(path) as file:
        golden = SimpleNamespace(**{name: file[name] for name in file.files})
    step = int(golden.logits_stride)
    nats_of = nll_wavernn.mixture_nats if "mol" in path.name else nll_wavernn.raw_nats
    found = nats_of(golden.logits, golden.labels_next[::step].astype(np.int64))
    expected = golden.loss_per_sample[::step]
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-5)
    if step == 1:
        assert found.mean() == pytest.approx(float(golden.loss), abs=1e-6)


@pytest.mark.skipif(not TEACHERS, reason=f"no features in {wavernn_files.GOLDEN}")
@pytest.mark.parametrize("bits", [9, 10, 16])
def test_labels_are_upstreams(bits: int) -> None:
    """Of LJSpeech's first second."""
    clip = RECORDINGS / "LJ001-0001.wav"
    if not clip.is_file():
        pytest.skip(f"no {clip}")
    y = audio.read(clip)[0][:22050].astype(np.float64)
    name = "q16_first22050" if bits == 16 else f"mulaw{bits}_first22050"
    with np.load(wavernn_files.GOLDEN / "audio_features.npz") as golden:
        expected = golden[f"LJ001-0001/{name}"]
    labels = nll_wavernn.labels_of(y, 1 << bits, mu_law=bits < 16)
    np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("classes", [32, 512, 1024, 65536])
@pytest.mark.parametrize("mu_law", [True, False])
def test_labels_and_samples(classes: int, *, mu_law: bool) -> None:
    """A label's sample has that label; the whole range is used, once."""
    labels = np.arange(classes)
    samples = nll_wavernn.expected_of(labels, classes, mu_law=mu_law)
    assert samples[[0, -1]] == pytest.approx([-1, 1])
    assert (np.diff(samples) > 0).all()
    inside = samples * (1 + 1e-12) if mu_law else samples + 1e-9  # upstream cuts linear ones
    found = nll_wavernn.labels_of(np.clip(inside, -1, 1), classes, mu_law=mu_law)
    np.testing.assert_array_equal(found, labels)


def test_a_mixture_is_a_distribution() -> None:
    """All labels together have probability 1, wherever the mixture lies."""
    rng = np.random.default_rng(0)
    for scale in (-12.0, -6.0, -1.0, 2.0):
        logits = rng.normal(0, 1, 9).astype(np.float32)
        logits[6:] += scale
        every = np.arange(nll_wavernn.MIXTURE_LABELS)
        rows = np.broadcast_to(logits, (len(every), 9))
        total = np.exp(-nll_wavernn.mixture_nats(rows, every)).sum()
        assert total == pytest.approx(1, abs=1e-9)
    far = np.array([[0, 0, 0, 1, 1, 1, -40, -40, -40]], np.float32)
    assert np.isfinite(nll_wavernn.mixture_nats(far, np.array([0])) > 1e6).all()


@pytest.mark.parametrize("path", WAVERNN, ids=lambda p: p.stem)
def test_wavernn_is_the_oracles(path: Path) -> None:
    """From samples to nats, in float64."""
    model, tools = voice(path), wavernn_files.speech()
    net = network(path, wavernn_files.reference().Wavernn)
    pcm = speech(model.info.sample_rate, 0.12)
    y = pcm / 32768
    classes = 1 << net.bits if net.mode == "raw" else 65536
    labels = nll_wavernn.labels_of(y, classes, mu_law=net.mode == "raw" and net.mu_law)
    fed = 2 * labels / (classes - 1) - 1
    mel = features.extract(pcm, model=model)
    long = np.pad(mel, ((net.pad, net.pad), (0, 0)))
    shifted = np.concatenate([[0.0], fed])[: len(mel) * model.info.hop_length]
    count = min(len(pcm), len(shifted))
    logits = net.teacher_forced(long, shifted[:count]).logits
    if net.mode == "raw":
        expected = -tools.log_likelihood_labels(logits, labels[:count])
    else:
        expected = -tools.log_likelihood_mol(logits, fed[:count])
    assert count == len(pcm)
    found = nll.score(model, pcm)
    assert found.samples == count
    limit = TOLERANCE[model.info.precision]
    assert found.nats == pytest.approx(expected.mean(), abs=limit)
    assert (found.histogram is None) == (net.mode == "mol")


@pytest.mark.parametrize("path", WAVERNN, ids=lambda p: p.stem)
def test_chunks_do_not_show(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = voice(path)
    pcm = speech(model.info.sample_rate, 0.9)
    monkeypatch.setattr(nll_wavernn, "CHUNK_FRAMES", 10**6)
    whole = nll.score(model, pcm)
    monkeypatch.setattr(nll_wavernn, "CHUNK_FRAMES", 30)
    monkeypatch.setattr(nll_wavernn, "WARM_UP_FRAMES", 10)
    cut = nll.score(model, pcm)
    assert cut.samples == whole.samples
    assert cut.nats == pytest.approx(whole.nats, abs=1e-3)


# ---- WaveGlow ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", WAVEGLOW, ids=lambda p: p.stem)
def test_waveglow_is_the_oracles(path: Path) -> None:
    """A length that is no whole number of steps: the rest is not scored."""
    model = voice(path)
    pcm = speech(model.info.sample_rate, 0.2)[:-1]
    step = sum(model.info.noise_channels)
    used = len(pcm) // step * step
    mel = features.extract(pcm, model=model)
    net = network(path, waveglow_reference().Waveglow)
    loss = net.forward(mel, pcm[:used] / 32768).loss(1.0)
    found = nll.score(model, pcm)
    assert found.samples == used
    assert found.figures["loss"] == pytest.approx(loss, rel=1e-5, abs=1e-5)
    constant = 0.5 * np.log(2 * np.pi) + np.log(32768)
    assert found.nats - found.figures["loss"] == pytest.approx(constant)
    assert found.histogram is None


# ---- files ---------------------------------------------------------------------------------------


def save(path: Path, pcm: np.ndarray, rate: int) -> str:
    audio.write_wav(path, pcm, rate)
    return str(path)


@pytest.mark.parametrize("path", [WAVERNN[0], WAVEGLOW[0]], ids=lambda p: p.stem)
def test_reports(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = voice(path)
    rate = model.info.sample_rate
    clips = [speech(rate, 0.2), speech(rate, 0.1) // 3]
    for name, clip in zip("ab", clips, strict=True):
        save(tmp_path / f"{name}.wav", clip, rate)
    assert main(["evaluate", "--nll", str(path), str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    scores = [nll.score(model, clip) for clip in clips]
    assert report["samples"] == sum(one.samples for one in scores)
    mean = np.average([one.nats for one in scores], weights=[one.samples for one in scores])
    assert report["nats_per_sample"] == pytest.approx(mean)
    assert report["bits_per_sample"] == pytest.approx(mean / np.log(2))
    assert [file["nats_per_sample"] for file in report["files"]] == [one.nats for one in scores]
    assert "nll" in report["recipes"] and report["architecture"] == model.info.architecture
    assert ("loss_nats" in report) == (model.info.architecture == "waveglow")
    assert main(["evaluate", "--nll", str(path), str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert f"{mean:8.4f}" in text and "all samples" in text and "b.wav" in text


def test_marginal_entropy_of_labels(tmp_path: Path) -> None:
    path = next(p for p in WAVERNN if p.stem.startswith("raw"))
    model = voice(path)
    pcm = speech(model.info.sample_rate)
    report = nll.evaluate_nll(model, [save(tmp_path / "a.wav", pcm, model.info.sample_rate)])
    _, counts = np.unique(nll.score(model, pcm).histogram, return_counts=True)
    assert counts.sum() == model.info.distribution_size
    assert report.marginal is not None and 0 < report.marginal < np.log(counts.sum())
    assert "marginal entropy" in report.to_text()


@pytest.mark.parametrize("path", [TREE, WAVERNN[0], WAVEGLOW[0]], ids=lambda p: p.stem)
def test_bad_files(path: Path, tmp_path: Path) -> None:
    model = voice(path)
    rate = model.info.sample_rate
    low = save(tmp_path / "low.wav", speech(rate), rate // 2)
    message = f"is at {rate // 2} Hz, the model speaks at {rate} Hz"
    with pytest.raises(AudioError, match=message):
        nll.evaluate_nll(model, [low])
    short = save(tmp_path / "short.wav", np.full(1, 9000, np.int16), rate)
    if model.info.architecture == "wavernn":  # a sample is enough
        assert nll.evaluate_nll(model, [short]).samples == 1
    else:
        with pytest.raises(AudioError, match=r"short\.wav': 1 samples are too short"):
            nll.evaluate_nll(model, [short])
    silent = save(tmp_path / "silent.wav", np.zeros(rate, np.int16), rate)
    with pytest.raises(AudioError, match=r"silent\.wav' is silent"), doubts.collect():
        nll.evaluate_nll(model, [silent])


def test_higher_rates_are_resampled(tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    model = voice(WAVEGLOW[0])
    rate = model.info.sample_rate
    report = nll.evaluate_nll(model, [save(tmp_path / "a.wav", speech(2 * rate), 2 * rate)])
    assert report.samples == pytest.approx(0.3 * rate, abs=10)


def test_melgan_gives_no_likelihood(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = voice(MELGAN[0])
    wav = save(tmp_path / "a.wav", speech(model.info.sample_rate), model.info.sample_rate)
    with pytest.raises(UnsupportedError, match="a melgan model, which gives speech no likelihood"):
        nll.evaluate_nll(model, [wav])
    assert main(["evaluate", "--nll", str(MELGAN[0]), wav]) == 4
    assert "lpcnet, waveglow, wavernn do" in capsys.readouterr().err
