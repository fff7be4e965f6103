"""Teacher-forced likelihood: against the float64 oracle, known distributions, and arithmetic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import GOLDEN, reference
from sounds import speechlike
from voices import SOFTMAX, TINY, TREE, voice

import pyvoc
from pyvoc import audio, doubts, features
from pyvoc.errors import AudioError
from pyvoc.evaluate import excitation, nll, references
from pyvoc.evaluate.nll_report import marginal_nats
from pyvoc.families.lpcnet import likelihood as nll_lpcnet

SPEECH = np.rint(speechlike(1.0) * 32768).astype(np.int16)
# Nats of one sample: the oracle is exact, int8 also quantises the activations.
TOLERANCE = {"f32": 1e-3, "bf16": 1e-3, "int8": 0.05}


class Known:
    """A model of a known distribution that otherwise behaves as a real one."""

    def __init__(self, real: pyvoc.Model, probabilities: np.ndarray) -> None:
        self.info, self._native = real.info, real._native
        self.probabilities = probabilities.astype(np.float32)
        self.calls: list[tuple[int, int]] = []

    def predict(self, rows: np.ndarray, pcm: np.ndarray) -> np.ndarray:
        self.calls.append((len(rows), len(pcm)))
        return np.tile(self.probabilities, (len(pcm), 1))


# ---- excitation ----------------------------------------------------------------------------------


def test_codes_are_the_runtimes() -> None:
    ref = reference()
    np.testing.assert_allclose(excitation.CODE_VALUES, ref.ulaw2lin(np.arange(256)), rtol=1e-12)
    x = np.random.default_rng(0).laplace(0, 300, 20000).clip(-32000, 32000)
    ours = np.searchsorted(excitation.CODE_EDGES, x, side="right")
    theirs = ref.lin2ulaw(x)
    np.testing.assert_array_equal(ours, theirs)
    assert (ref.lin2ulaw(excitation.CODE_VALUES) == np.arange(256)).all()


def test_filters_undo_each_other() -> None:
    rows = features.extract(SPEECH)
    lpc = rows[:, 20:]
    signal = excitation.frame_signal(SPEECH, len(rows))
    delayed = np.concatenate([np.zeros(80), SPEECH])[: len(signal)]
    np.testing.assert_allclose(excitation.deemphasise(signal), delayed, atol=1e-8)
    residual = excitation.open_loop(signal, lpc)
    np.testing.assert_allclose(excitation.resynthesise(residual, lpc), signal, atol=1e-5)
    padded = np.concatenate([np.zeros(16), signal])
    by_hand = signal[777] + lpc[4] @ padded[777 : 777 + 16][::-1]
    assert residual[777] == pytest.approx(by_hand)


def test_closed_loop_error_does_not_build_up() -> None:
    rows = features.extract(SPEECH)
    signal = excitation.frame_signal(SPEECH, len(rows))
    coded = excitation.quantise(signal, rows[:, 20:])
    values = excitation.CODE_VALUES[coded.codes]
    prediction = coded.heard - values
    own = -(excitation.open_loop(coded.heard, rows[:, 20:]) - coded.heard)
    np.testing.assert_allclose(prediction, -own * -1, atol=1e-6)
    inside = (coded.codes > 0) & (coded.codes < 255)
    edges = np.concatenate([[-np.inf], excitation.CODE_EDGES, [np.inf]])
    error = signal - coded.heard
    upper, lower = edges[coded.codes + 1] - values, edges[coded.codes.astype(int)] - values
    assert ((error >= lower - 1e-6) & (error <= upper + 1e-6))[inside].all()


@pytest.mark.parametrize("layout", ["lpcnet36", "lpcnet55"])
def test_frames_are_centred_on_their_samples(layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The delay of half a frame is where the features' LPC predict best."""
    recordings = sorted(GOLDEN.glob("*.s16")) if GOLDEN.is_dir() else []
    recordings = [path for path in recordings if not path.name.startswith("synth")]
    if not recordings:
        pytest.skip(f"no recordings in {GOLDEN}")
    pcm = np.fromfile(recordings[0], "<i2")
    rows = features.extract(pcm, layout=layout)
    energy = {}
    for delay in (0, 40, 80, 120, 160):
        monkeypatch.setattr(excitation, "FRAME_OFFSET", delay)
        residual = excitation.open_loop(excitation.frame_signal(pcm, len(rows)), rows[:, -16:])
        energy[delay] = np.log((residual.reshape(-1, 160) ** 2).mean(axis=1) + 1).mean()
    assert min(energy, key=energy.__getitem__) == 80


# ---- references ----------------------------------------------------------------------------------


def test_laplace_table_is_a_distribution() -> None:
    table = nll_lpcnet._laplace_table()
    assert table.shape == (256, len(nll_lpcnet.SCALES))
    np.testing.assert_allclose(np.exp(-table).sum(axis=0), 1, atol=1e-9)


@pytest.mark.parametrize("scale", [3.0, 60.0, 900.0])
def test_laplace_of_a_laplace(scale: float) -> None:
    """Frames drawn from one Laplace: near its true cross entropy, never above it."""
    rng = np.random.default_rng(1)
    codes = np.searchsorted(excitation.CODE_EDGES, rng.laplace(0, scale, 160 * 400), side="right")
    edges = np.concatenate([[-np.inf], excitation.CODE_EDGES, [np.inf]]) / scale
    cdf = np.where(
        edges < 0, 0.5 * np.exp(np.minimum(edges, 0)), 1 - 0.5 * np.exp(-np.maximum(edges, 0))
    )
    true = -np.log(np.diff(cdf)[codes]).reshape(-1, 160).mean(axis=1)
    found = nll_lpcnet.laplace_nats(codes.astype(np.uint8))
    assert (found <= true + 1e-4).all()
    # A fitted parameter gains half a nat per frame on average.
    assert (true - found).mean() == pytest.approx(0.5 / 160, rel=0.35)


def test_laplace_of_silence_is_certain() -> None:
    assert nll_lpcnet.laplace_nats(np.full(320, 128, np.uint8)).max() < 1e-6


def test_marginal() -> None:
    assert marginal_nats(np.ones(256, np.int64)) == pytest.approx(np.log(256))
    assert marginal_nats(np.eye(1, 256, 7, dtype=np.int64)[0]) == 0


def test_floor_and_ceiling() -> None:
    floor, ceiling = references.floor(SPEECH), references.ceiling(SPEECH)
    x = SPEECH / 32768
    assert floor.shape == ceiling.shape == SPEECH.shape
    whole = slice(400, len(SPEECH) // 160 * 160 - 400)
    error = ceiling[whole] - x[whole]
    assert 10 * np.log10((x[whole] ** 2).mean() / (error**2).mean()) > 20
    assert abs(10 * np.log10((floor[whole] ** 2).mean() / (x[whole] ** 2).mean())) < 3
    np.testing.assert_array_equal(floor, references.floor(SPEECH))
    assert (references.floor(SPEECH, seed=1) != floor).any()
    best, worst = references.bounds(pyvoc.evaluate.Sound("x", x, 16000))
    assert best.values["mcd_db"] < 0.5 * worst.values["mcd_db"]
    assert best.values["lsd_db"] < 0.5 * worst.values["lsd_db"]
    with pytest.raises(AudioError, match="need 16000 Hz"):
        references.bounds(pyvoc.evaluate.Sound("x", x, 22050))


# ---- scores --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", TINY, ids=lambda p: p.stem)
def test_score_is_the_oracles(path: Path) -> None:
    """Codes, alignment and likelihood, from features to nats, in float64."""
    from pyvoc._pyvoc import testing
    from pyvoc.container import read_container
    from pyvoc.families.lpcnet.spec import LPCNET
    from pyvoc.quant import decode

    ref = reference()
    container = read_container(path)
    net = ref.Lpcnet(decode(LPCNET, container), container.metadata)
    pcm = SPEECH[: 12 * 160]
    found = nll_lpcnet.score(voice(path), pcm)
    layout = str(container.metadata["pyvoc.features.layout"])
    rows = features.extract(pcm, layout=layout).astype(np.float64)
    latest = layout == "lpcnet36"
    rows[:, -16:] = [ref.lpc_from_cepstrum(row[:18], compensate=latest) for row in rows]
    ahead = net.lookahead
    padded = np.concatenate([rows, np.repeat(rows[-1:], ahead, axis=0)])
    # Closed loops part for good where rounding moves a code: the LPC must be the very same.
    lpc = testing.lpcnet_frames(voice(path)._native, padded.astype(np.float32))["lpc"]
    np.testing.assert_allclose(lpc, net.frames(padded).lpc, atol=2e-2)
    # The signal that the network hears, coded sample by sample.
    samples = len(rows) * 160
    delayed = np.concatenate([np.zeros(81), pcm.astype(np.float64)])[: samples + 1]
    clean = delayed[1:] - 0.85 * delayed[:-1]
    heard, memory = np.zeros(samples), np.zeros(16)
    for t in range(samples):
        prediction = -float(lpc[ahead + t // 160].astype(np.float64) @ memory)
        heard[t] = prediction + ref.ulaw2lin(ref.lin2ulaw(clean[t] - prediction))
        memory = np.concatenate([[heard[t]], memory[:-1]])
    forced = np.zeros(samples)
    last = 0.0
    for t in range(samples):
        last = forced[t] = heard[t] + 0.85 * last
    silence = np.zeros(ahead * 160)
    steps = net.teacher_forced(padded, np.concatenate([silence, forced]), start=ahead, lpc=lpc)
    expected = -np.log(net.distribution(steps.logits)[np.arange(samples), steps.target])
    np.testing.assert_array_equal(found.codes, steps.target)
    limit = TOLERANCE[str(container.metadata["pyvoc.precision"])]
    # An input code that rounding moves (float32 against float64) is felt for a while.
    codes = testing.lpcnet_steps(
        voice(path)._native, padded.astype(np.float32), (forced / 32768).astype(np.float32)
    )["codes"]
    moved = (codes != np.stack([steps.sig, steps.pred, steps.exc, steps.target], axis=1)).any(
        axis=1
    )
    assert moved.mean() < 0.002
    good = np.ones(samples, bool)
    for step in np.flatnonzero(moved):
        good[step : step + 200] = False
    assert good.mean() > 0.7
    np.testing.assert_allclose(found.nats[good], expected[good], rtol=0, atol=limit)
    assert found.nats.mean() == pytest.approx(expected.mean(), abs=1e-3 + limit / 10)
    assert found.impossible == 0


@pytest.mark.parametrize("path", [TREE, SOFTMAX], ids=["tree", "softmax"])
def test_uniform_model_takes_eight_bits(path: Path, tmp_path: Path) -> None:
    model = Known(voice(path), np.full(256, 1 / 256))
    audio.write_wav(tmp_path / "a.wav", SPEECH, 16000)
    report = nll.evaluate_nll(model, [str(tmp_path / "a.wav")])
    assert report.bits == pytest.approx(8, abs=1e-6)
    assert report.samples == len(SPEECH) // 640 * 640
    assert report.figures["gain"] == pytest.approx(
        report.figures["laplace"] - np.log(256), abs=1e-6
    )


def test_marginal_model_reaches_the_marginal_entropy() -> None:
    codes = nll_lpcnet.score(voice(TREE), SPEECH).codes
    share = np.bincount(codes, minlength=256) / len(codes)
    found = nll_lpcnet.score(Known(voice(TREE), share), SPEECH)
    np.testing.assert_array_equal(found.codes, codes)
    expected = marginal_nats(np.bincount(codes, minlength=256))
    assert found.nats.mean() == pytest.approx(expected, abs=1e-5)


def test_impossible_codes_are_counted() -> None:
    certain = np.zeros(256)
    certain[128] = 1
    found = nll_lpcnet.score(Known(voice(TREE), certain), SPEECH)
    wrong = found.codes != 128
    assert found.impossible == wrong.sum() > 0
    assert np.isfinite(found.nats).all()
    assert (found.nats[~wrong] == 0).all()


@pytest.mark.parametrize("path", [TREE, SOFTMAX], ids=["tree", "softmax"])
def test_chunks_do_not_show(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nll_lpcnet.score(voice(path), SPEECH)
    monkeypatch.setattr(nll_lpcnet, "CHUNK_FRAMES", 17)
    monkeypatch.setattr(nll_lpcnet, "WARM_UP_FRAMES", 20)
    cut = nll_lpcnet.score(voice(path), SPEECH)
    np.testing.assert_array_equal(cut.codes, whole.codes)
    assert np.abs(cut.nats - whole.nats).max() < 2e-3


def test_memory_is_bounded() -> None:
    model = Known(voice(TREE), np.full(256, 1 / 256))
    long = np.tile(SPEECH, 8)
    found = nll_lpcnet.score(model, long)
    assert len(found.nats) == len(long) // 160 * 160
    assert max(samples for _, samples in model.calls) <= 160 * (
        nll_lpcnet.CHUNK_FRAMES + nll_lpcnet.WARM_UP_FRAMES
    )
    assert len(model.calls) == -(-len(found.nats) // (160 * nll_lpcnet.CHUNK_FRAMES))


def test_means_are_over_samples(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "a.wav", SPEECH, 16000)
    audio.write_wav(tmp_path / "b.wav", SPEECH[:4800] // 4, 16000)
    paths = [str(tmp_path / name) for name in ("a.wav", "b.wav")]
    seen: list[tuple[int, int]] = []
    report = nll.evaluate_nll(voice(TREE), paths, progress=lambda *at: seen.append(at))
    assert seen == [(1, 2), (2, 2)]
    scores = [nll_lpcnet.score(voice(TREE), pcm) for pcm in (SPEECH, SPEECH[:4800] // 4)]
    nats = np.concatenate([score.nats for score in scores])
    codes = np.concatenate([score.codes for score in scores])
    assert report.nats == pytest.approx(nats.mean(), abs=1e-6)
    assert report.figures["laplace"] == pytest.approx(nll_lpcnet.laplace_nats(codes).mean())
    assert report.marginal == pytest.approx(marginal_nats(np.bincount(codes, minlength=256)))
    assert report.files[1].samples == 4800


def test_bad_input(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "short.wav", SPEECH[:100], 16000)
    with pytest.raises(AudioError, match=r"100 samples are too short"), doubts.collect():
        nll.evaluate_nll(voice(TREE), [str(tmp_path / "short.wav")])
    audio.write_wav(tmp_path / "silent.wav", np.zeros(16000, np.int16), 16000)
    with pytest.raises(AudioError, match=r"silent\.wav' is silent"), doubts.collect():
        nll.evaluate_nll(voice(TREE), [str(tmp_path / "silent.wav")])
    with pytest.raises(AudioError, match="no audio files"):
        nll.evaluate_nll(voice(TREE), [])
