"""The measures on constructed signals whose answers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sounds import RATE, filtered, harmonics, noise, speechlike

from pyvoc import UnsupportedError, audio
from pyvoc.errors import AudioError
from pyvoc.evaluate import Sound, alignment, cepstra, compare, f0, levels, perceptual, spectra
from pyvoc.evaluate.compare import read
from pyvoc.files import doubts

HAS_WORLD = f0.world() is not None
TRACKERS = ["own", pytest.param("world", marks=pytest.mark.skipif(not HAS_WORLD, reason="extra"))]


@pytest.fixture(params=TRACKERS)
def tracker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "own":
        monkeypatch.setattr(f0, "world", lambda: None)
        monkeypatch.setattr(cepstra, "world", lambda: None)
        assert "pyvoc" in f0.tracker_name()
        assert "pyvoc" in cepstra.envelope_name()
    else:
        assert "pyworld" in f0.tracker_name()
        assert "pyworld" in cepstra.envelope_name()
    return request.param


def both(left: np.ndarray, right: np.ndarray, rate: int = RATE, **options):
    return compare(Sound("ref", left, rate), Sound("out", right, rate), **options)


# ---- F0 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hertz", [90.0, 150.0, 233.0, 400.0])
@pytest.mark.parametrize("rate", [16000, 22050])
def test_f0_of_a_tone(hertz: float, rate: int, tracker: str) -> None:
    track = f0.estimate(harmonics(hertz, 1.0, rate=rate), rate)
    middle = slice(5, -5)
    assert len(track.f0) == rate // (rate // 100) + 1
    assert track.voiced[middle].all()
    np.testing.assert_allclose(track.f0[middle], hertz, rtol=0.01)


@pytest.mark.parametrize("ratio", [1.0, 1.1, 0.93, 1.3])
def test_f0_ratio(ratio: float, tracker: str) -> None:
    tracks = [f0.estimate(harmonics(v, 1.5), RATE) for v in (160.0, 160.0 * ratio)]
    found = f0.compare(*tracks)
    assert found.median == pytest.approx(abs(np.log(ratio)), abs=0.003)
    assert found.rmse == pytest.approx(abs(np.log(ratio)), abs=0.02)
    assert found.gross == pytest.approx(float(abs(np.log(ratio)) > 0.2), abs=0.03)
    assert found.voicing < 0.05


def test_f0_through_a_glide(tracker: str) -> None:
    hertz = np.linspace(110, 260, 2 * RATE)
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    x = 0.1 * sum(np.cos(k * phase) / k for k in range(1, 8))
    track = f0.estimate(x, RATE)
    true = hertz[np.minimum(np.arange(len(track.f0)) * 160, len(hertz) - 1)]
    assert np.median(np.abs(np.log(track.f0[5:-5] / true[5:-5]))) < 0.02


def test_voicing_swaps(tracker: str) -> None:
    tone, hiss = harmonics(150, 1.0), noise(1.0)
    swapped = [f0.estimate(np.concatenate(pair), RATE) for pair in ((tone, hiss), (hiss, tone))]
    assert f0.compare(*swapped).voicing == pytest.approx(1, abs=0.15)
    half = [f0.estimate(np.concatenate(pair), RATE) for pair in ((tone, tone), (tone, hiss))]
    assert f0.compare(*half).voicing == pytest.approx(0.5, abs=0.1)


def test_own_tracker_calls_noise_and_silence_unvoiced() -> None:
    assert f0.track(noise(2.0), RATE).voiced.mean() < 0.02
    assert not f0.track(np.zeros(RATE), RATE).voiced.any()
    quiet = np.concatenate([harmonics(120, 0.5), 1e-6 * noise(0.5)])
    assert not f0.track(quiet, RATE).voiced[60:].any()


def test_f0_differences_are_exact() -> None:
    left = f0.Track(np.array([100.0, 100, 100, 100, 0, 0, 0, 200]))
    right = f0.Track(np.array([100.0, 110, 200, 0, 150, 0, 0, 200]))
    found = f0.compare(left, right)
    d = np.array([0, np.log(1.1), np.log(2), 0])
    assert found.rmse == pytest.approx(np.sqrt((d**2).mean()))
    assert found.median == pytest.approx(np.log(1.1) / 2)
    assert found.gross == 0.25
    assert found.voicing == 0.25
    silent = f0.compare(left, f0.Track(np.zeros(8)))
    assert (silent.rmse, silent.median, silent.gross) == (None, None, None)
    assert silent.voicing == 5 / 8


# ---- envelopes and spectra -----------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 5, 24])
def test_mel_cepstra_of_a_known_envelope(order: int) -> None:
    """ln |H| = a cos(m warped w): one cepstrum, of half that height."""
    w = np.linspace(0, np.pi, 513)
    warped = w + 2 * np.arctan2(0.42 * np.sin(w), 1 - 0.42 * np.cos(w))
    a = 0.7
    power = np.exp(2 * (3.0 + a * np.cos(order * warped)))[None]
    expected = np.zeros(25)
    expected[[0, order]] = 3.0, a / 2
    np.testing.assert_allclose(cepstra.mel_cepstra(power)[0], expected, atol=2e-3)


def test_mcd_of_a_filter(tracker: str) -> None:
    """Filtered by ln |H| = a cos(3 warped w): 10/ln 10 sqrt(2) a/2 in every frame."""
    a = 0.8

    def log_gain(w: np.ndarray) -> np.ndarray:
        return a * np.cos(3 * (w + 2 * np.arctan2(0.42 * np.sin(w), 1 - 0.42 * np.cos(w))))

    x = noise(2.0)
    tracks = (f0.Track(np.zeros(201)),) * 2
    found = cepstra.mel_cepstral_distortion(x, filtered(x, log_gain), RATE, tracks)
    assert found == pytest.approx(10 / np.log(10) * np.sqrt(2) * a / 2, rel=0.03)


@pytest.mark.parametrize("gain", [0.25, 2.0])
def test_gain_is_no_spectral_distortion(gain: float, tracker: str) -> None:
    x = speechlike()
    found = both(x, gain * x, delay=0).values
    assert found["mcd_db"] < 0.02
    assert found["lnf0_rmse"] < 0.01
    assert found["level_db"] == pytest.approx(20 * np.log10(gain), abs=1e-9)
    assert found["lsd_db"] == pytest.approx(abs(20 * np.log10(gain)), rel=0.2)


@pytest.mark.skipif(not HAS_WORLD, reason="needs the extra")
def test_own_envelope_is_worlds() -> None:
    x = speechlike()
    track = f0.estimate(x, RATE)
    theirs = cepstra.mel_cepstra(cepstra.envelope(x, RATE, track))
    ours = cepstra.mel_cepstra(cepstra.cheaptrick(x, RATE, track.f0))
    difference = np.sqrt(2 * ((ours - theirs)[:, 1:] ** 2).sum(axis=1)) * 10 / np.log(10)
    assert np.median(difference) < 0.05


@pytest.mark.parametrize("gain", [0.1, 0.5, 3.0])
def test_lsd_of_a_gain(gain: float) -> None:
    x = noise(1.0)
    expected = abs(20 * np.log10(gain))
    assert spectra.log_spectral_distance(x, gain * x, RATE) == pytest.approx(expected, rel=1e-3)


def test_lsd_of_a_filter() -> None:
    """A gain of A cos w dB has a root mean square of A / sqrt 2."""
    decibels = 6.0
    x = noise(3.0)
    y = filtered(x, lambda w: decibels * np.log(10) / 20 * np.cos(w))
    found = spectra.log_spectral_distance(x, y, RATE)
    assert found == pytest.approx(decibels / np.sqrt(2), rel=0.03)


def test_identity(tracker: str) -> None:
    x = speechlike()
    found = both(x, x).values
    for key in ("mcd_db", "lsd_db", "lnf0_rmse", "lnf0_median", "f0_gross", "vuv_error", "clicks"):
        assert found[key] == 0, key
    assert found["level_db"] == 0


# ---- level and clicks ----------------------------------------------------------------------------


def test_clicks() -> None:
    x = 0.1 * noise(1.0)
    y = x.copy()
    y[[3000, 9000]] += 0.8  # up and down again: two jumps each
    assert levels.clicks(x, y, RATE) == 4
    assert levels.clicks(x, x, RATE) == 0
    assert levels.clicks(y, y, RATE) == 0
    own = x.copy()
    own[3050] += 0.8  # the reference clicks within 10 ms of the first
    assert levels.clicks(own, y, RATE) == 2
    step = np.zeros(RATE)
    step[500:] = 0.5
    assert levels.clicks(np.zeros(RATE), step, RATE) == 0  # not above one half
    step[500:] = 0.51
    assert levels.clicks(np.zeros(RATE), step, RATE) == 1


# ---- alignment -----------------------------------------------------------------------------------


def delayed(x: np.ndarray, samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples), x]) if samples > 0 else x[-samples:]


@pytest.mark.parametrize("lag", [0, 1, 80, -37, 1200, -1500])
def test_alignment_by_waveform(lag: int) -> None:
    x = speechlike()
    y = delayed(0.3 * x, lag) + 1e-3 * noise(9, seed=5)[: len(delayed(x, lag))]
    found = alignment.align(x, y, RATE)
    assert (found.delay, found.method) == (lag, "waveform")
    left, right = alignment.apply(x, y, found.delay)
    assert len(left) == len(right) >= len(x) - abs(lag)
    assert np.corrcoef(left, right)[0, 1] > 0.99


def test_alignment_reports_the_fraction() -> None:
    x = noise(1.0)
    spectrum = np.fft.rfft(x)
    half = np.exp(-2j * np.pi * 10.3 * np.arange(len(spectrum)) / len(x))
    low = np.arange(len(spectrum)) < len(spectrum) // 4  # smooth, so that a parabola fits
    x, y = np.fft.irfft(spectrum * low), np.fft.irfft(spectrum * low * half)
    found = alignment.align(x, y, RATE)
    assert found.delay == 10
    assert found.fraction == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("lag", [400, -800])
def test_alignment_by_envelope(lag: int) -> None:
    """The same syllables of other noise: no waveform in common."""
    shape = np.abs(filtered(noise(3.0, seed=3), lambda w: -((400 * w) ** 2))) + 1e-6
    shape /= shape.max()
    x, y = shape * noise(3.0, seed=1), shape * noise(3.0, seed=2)
    found = alignment.align(x, delayed(y, lag), RATE)
    assert found.method == "envelope"
    assert abs(found.delay - lag) < 0.003 * RATE
    assert alignment.align(x, y, RATE).delay == 0


def test_alignment_refuses_what_is_not_clear() -> None:
    assert alignment.align(noise(1, seed=1), noise(1, seed=2), RATE).method == "none"
    tone = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)  # every period fits as well
    assert alignment.align(tone, tone[30:], RATE).method == "none"
    found = both(noise(1, seed=1), noise(1, seed=2))
    assert any("no clear alignment" in note for note in found.notes)


def test_given_delay_is_taken() -> None:
    x = speechlike()
    found = both(x, delayed(x, 80), delay=80)
    assert (found.alignment.delay, found.alignment.method) == (80, "given")
    assert found.values["lsd_db"] == 0
    assert both(x, delayed(x, 80), delay=0).values["lsd_db"] > 1


# ---- perceptual ----------------------------------------------------------------------------------


def test_perceptual() -> None:
    for name in ("pesq", "stoi"):
        if not perceptual.installed(name):
            pytest.skip(f"{name} is not installed")
    x = speechlike(3.0)
    clean = both(x, x).values
    assert clean["pesq"] == pytest.approx(4.64, abs=0.01)
    assert clean["stoi"] == pytest.approx(1, abs=1e-6)
    noisy = both(x, x + noise(3.0, level=0.1), delay=0).values
    assert noisy["pesq"] < 3
    assert noisy["stoi"] < 0.95
    short = both(x[:3200], x[:3200])
    assert short.values["stoi"] is None
    assert any("STOI needs more speech" in note for note in short.notes)
    at24k = both(x, x, rate=24000)
    assert at24k.values["pesq"] is None
    assert any("not 24000 Hz" in note for note in at24k.notes)


def test_perceptual_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perceptual, "_package", lambda name: None)
    x = speechlike()
    assert "pesq" not in both(x, x).values
    with pytest.raises(UnsupportedError, match=r"pip install pyvoc-vocoder\[evaluate\]"):
        both(x, x, require=("pesq",))


# ---- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (np.zeros(RATE), "'out' is silent"),
        (np.full(RATE, np.nan), "'out' holds NaN"),
        (noise(0.05), "'out' is too short: 0.050 s"),
        (noise(1.0).reshape(2, -1), "expected mono"),
        (np.concatenate([np.zeros(RATE), [0.1]]), "silent in the part that is compared"),
    ],
)
def test_bad_signals(broken: np.ndarray, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        both(noise(1.0), broken, delay=0)


def test_doubts_have_the_name_that_a_file_is_called_by(tmp_path: Path) -> None:
    """What a voice spoke lies under a name that nobody gave."""
    path = tmp_path / "0.wav"
    audio.write_wav(path, 1e-5 * noise(1.0).astype(np.float32), RATE)
    with doubts.collect() as found:
        read(path, called="a.wav by alto")
        read(path)
    first, second = found.messages
    assert first.startswith("'a.wav by alto' is all but silent")
    assert second == first.replace("a.wav by alto", str(path))


def test_bad_pairs() -> None:
    x = noise(1.0)
    with pytest.raises(AudioError, match="16000 Hz and 'b' at 22050 Hz"):
        compare(Sound("a", x, 16000), Sound("b", x, 22050))
    with pytest.raises(AudioError, match="share 0 samples at a delay of 99999"):
        both(x, x, delay=99999)
    with pytest.raises(AudioError, match=r"8000\.\.48000 Hz"):
        both(x, x, rate=4000)


def test_no_voice_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f0, "world", lambda: None)
    monkeypatch.setattr(cepstra, "world", lambda: None)
    found = both(noise(1.0), 0.5 * noise(1.0), delay=0)
    assert found.values["lnf0_rmse"] is None
    assert found.values["vuv_error"] == pytest.approx(0, abs=0.02)
    assert any("no frame is voiced" in note for note in found.notes)
