"""check-mel on every pair of recipes: what it must name, what it must not, and what it converts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mel_sounds import RATE, recordings, variants, voice

from pyvoc import FeatureError, audio, features, mels
from pyvoc.cli import main
from pyvoc.container.mel import DESCRIPT, FATCHORD, HIFIGAN, NVIDIA, RECIPES, MelRecipe
from pyvoc.melcheck import Report, check_array, check_rows

TOLD = {"log", "power", "normalized", "floor", "fmin", "fmax"}
"""Settings that a mel alone tells; the hop, the window, the transform and the padding it does not:
`NVIDIA` and `HIFIGAN` are each other's likeness."""


def expected(recipe: MelRecipe, target: MelRecipe, rows: np.ndarray) -> set[str]:
    """The settings that a check must name."""
    differing = set(recipe.differences(target)) & TOLD
    if recipe.power != target.power:
        differing.discard("floor")  # of another quantity
    # A clamp shows in the file when something was clamped, a missing one when it would have been.
    lowest = np.exp(rows.min() * LN_PER_UNIT[recipe.log]) if not recipe.normalized else 1e-5
    if "floor" in differing and recipe.floor < target.floor and lowest >= target.floor * 0.999:
        differing.discard("floor")
    return differing


LN_PER_UNIT = {"ln": 1.0, "log10": np.log(10.0), "db": np.log(10.0) / 20.0}


def named(report: Report) -> set[str]:
    return {finding.setting for finding in report.findings}


def check(rows: np.ndarray, target: MelRecipe, **options: object) -> Report:
    return check_array(mels.Array(rows), target, **options)  # type: ignore[arg-type]


def sounds() -> list[object]:
    made = [
        pytest.param({"f0": f0, "seed": seed}, id=f"voice{seed}")
        for seed, f0 in enumerate((150.0, 230.0))
    ]
    return [*made, *recordings(2)]


def signal(sound: object) -> np.ndarray:
    if isinstance(sound, dict):
        return voice(5.0, **sound)
    assert isinstance(sound, Path)
    return audio.read(sound)[0]


@pytest.mark.parametrize("sound", sounds())
def test_every_pair_of_recipes(sound: object) -> None:
    pcm = signal(sound)
    wrong = []
    for name, recipe in variants().items():
        rows = features.extract(pcm, recipe=recipe)
        for target in RECIPES.values():
            report = check(rows, target)
            wanted = expected(recipe, target, rows)
            if named(report) != wanted or report.fits != (not wanted):
                wrong.append(f"{name} as {target.name}: {named(report)}, expected {wanted}")
            if report.fixed is not None and report.findings:
                exact = wanted <= {"log", "normalized", "floor", "transposed"}
                again = check(report.fixed, target)
                if not exact or not again.fits:
                    wrong.append(f"{name} as {target.name}: converted, {named(again)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("target", RECIPES.values(), ids=list(RECIPES))
def test_orientation_and_normalisation(target: MelRecipe) -> None:
    rows = features.extract(voice(3.0), recipe=target)
    turned = check(np.ascontiguousarray(rows.T), target)
    assert named(turned) == {"transposed"}
    assert turned.fixed is not None
    np.testing.assert_array_equal(turned.fixed, rows)
    # A batch of one is how upstream saves: no finding, a note.
    batch = check_array(mels.Array(rows.T, single=True), target)
    assert batch.fits
    assert any("upstream" in note for note in batch.notes)


def test_scaled_for_the_network() -> None:
    rows = features.extract(voice(4.0), recipe=NVIDIA)
    report = check((rows + 5) / 5, NVIDIA)
    assert named(report) == {"normalized"}
    assert report.fixed is not None
    np.testing.assert_allclose(report.fixed, rows, atol=2e-6)


@pytest.mark.parametrize(
    ("recipe", "target"),
    [
        (replace(NVIDIA, log="log10"), NVIDIA),
        (replace(NVIDIA, log="db"), NVIDIA),
        (replace(NVIDIA, floor=1e-10), NVIDIA),
        (replace(DESCRIPT, log="ln"), DESCRIPT),
        (replace(FATCHORD, log="ln", normalized=False), FATCHORD),
        (replace(FATCHORD, log="log10", normalized=False, floor=1e-10), FATCHORD),
    ],
)
def test_exact_conversions(recipe: MelRecipe, target: MelRecipe) -> None:
    pcm = voice(4.0)
    pcm[20000:24000] = 0.0  # reaches the clamp
    report = check(features.extract(pcm, recipe=recipe), target, pcm=pcm)
    assert not report.fits
    assert report.fixed is not None
    np.testing.assert_allclose(
        report.fixed, features.extract(pcm, recipe=target), rtol=1e-6, atol=3e-6
    )


def test_what_was_lost_is_not_converted() -> None:
    pcm = voice(4.0)
    for recipe, words in (
        (replace(NVIDIA, power=2), "power"),
        (replace(NVIDIA, floor=1e-2), "floor"),
        (replace(NVIDIA, fmax=11025.0), "fmax"),
    ):
        report = check(features.extract(pcm, recipe=recipe), NVIDIA)
        assert words in named(report)
        assert not report.fixable
    loud = np.clip(pcm * 3, -1, 1)
    clipped = features.extract(loud, recipe=replace(NVIDIA, log="db", normalized=True))
    assert (clipped == 1.0).any()
    assert not check(clipped, NVIDIA).fixable
    report = check(clipped, NVIDIA, pcm=loud)
    assert named(report) == {"log", "normalized"}
    assert not report.fixable
    assert any("clipped" in note for note in report.notes)


def test_linear_mels_and_other_numbers() -> None:
    rows = features.extract(voice(4.0), recipe=NVIDIA)
    linear = check(np.exp(rows), NVIDIA)
    assert named(linear) == {"log"}
    assert linear.findings[0].found == "none"
    noise = np.random.default_rng(0).uniform(-300, 300, (400, 80)).astype(np.float32)
    assert "values" in named(check(noise, NVIDIA))
    assert named(check(np.zeros((400, 80), np.float32), NVIDIA)) >= {"values"}
    for recipe in RECIPES.values():
        silence = features.extract(np.zeros(50000, np.float32), recipe=recipe)
        assert check(silence, recipe).fits


def test_the_recording_settles_it() -> None:
    pcm = voice(4.0)
    for hop in (256, 275, 300):
        rows = features.extract(pcm, recipe=replace(NVIDIA, hop_length=hop))
        report = check(rows, NVIDIA, pcm=pcm)
        assert report.fits == (hop == 256)
        if hop != 256:
            (finding,) = report.findings
            assert finding.setting == "hop_length"
            low, high = map(int, finding.found.split()[-1].split(".."))
            assert low <= hop <= high <= low + 3
    other = check(features.extract(voice(4.0, seed=9), recipe=NVIDIA), NVIDIA, pcm=pcm)
    assert named(other) == {"audio"}


@pytest.mark.parametrize("sound", sounds())
def test_half_a_hop_is_told_by_the_recording_alone(sound: object) -> None:
    pcm = signal(sound)[: 2 * RATE]
    for made, target in ((NVIDIA, HIFIGAN), (HIFIGAN, NVIDIA)):
        rows = features.extract(pcm, recipe=made)
        alone = check(rows, target)
        assert alone.fits
        (note,) = (note for note in alone.notes if f"could as well be {made.name}" in note)
        assert "256 t + 128" in note and "--audio" in note
        proven = check(rows, made, pcm=pcm)
        assert proven.fits and not any("as well be" in note for note in proven.notes)
        # One frame fewer is the other's number, or less than either; half of them, and rounded.
        for mel in (rows[:-1], rows[: len(rows) // 2].astype(np.float16)):
            report = check(mel, target, pcm=pcm)
            (finding,) = report.findings
            assert finding.setting == "pad" and not report.fixable
            assert finding.found.startswith(f"{made.pad} samples: frame t is centred at sample 256")
            assert ("256 t + 128" in finding.found) == (made is HIFIGAN)
            assert ("256 t + 128" in finding.expected) == (made is NVIDIA)
        report = check(rows / np.float32(np.log(10)), target, pcm=pcm)
        assert named(report) == {"log", "pad"} and not report.fixable
        cut = check(rows[:-1], made, pcm=pcm)
        (finding,) = cut.findings
        assert finding.setting == "frames" and not cut.fixable
        assert finding.found == f"the first {len(rows) - 1}" and finding.expected == f"{len(rows)}"


def test_a_steady_sound_is_not_accused_of_another_padding() -> None:
    """Half a hop is two periods of it: every padding gives the same frames, but for the ends."""
    pcm = np.convolve(np.arange(2 * RATE) % 64 == 0, np.hanning(9))[: 2 * RATE].astype(np.float32)
    for made, target in ((NVIDIA, HIFIGAN), (HIFIGAN, NVIDIA)):
        rows = features.extract(pcm, recipe=made)
        assert not named(check(rows, made, pcm=pcm)) & {"pad", "frames", "audio"}
        # One padding is nearer by a hair, which proves nothing: the ends do not fit.
        report = check(rows[:-1], target, pcm=pcm)
        assert named(report) & {"frames", "audio"} and "pad" not in named(report)
        assert not report.fixable


def test_no_other_preset_has_a_likeness() -> None:
    for recipe in (DESCRIPT, FATCHORD):
        report = check(features.extract(voice(2.0), recipe=recipe), recipe)
        assert report.fits and not any("as well be" in note for note in report.notes)
    wrong = check(features.extract(voice(2.0), recipe=replace(NVIDIA, power=2)), NVIDIA)
    assert not wrong.fits and not any("as well be" in note for note in wrong.notes)
    # Unpadded frames begin two hops later.
    pcm = voice(2.0)
    report = check(features.extract(pcm, recipe=replace(NVIDIA, pad=0)), NVIDIA, pcm=pcm)
    (finding,) = report.findings
    assert finding.found == "0 samples: frame t is centred at sample 256 t + 512"


def test_the_number_under_the_root_is_named() -> None:
    """It shows near the clamp only, and only beside the recording."""
    pcm = 0.05 * voice(4.0)
    for made, target in ((0.0, 1e-9), (1e-9, 0.0), (1e-6, 1e-9)):
        rows = features.extract(pcm, recipe=replace(HIFIGAN, epsilon=made))
        report = check(rows, replace(HIFIGAN, epsilon=target), pcm=pcm)
        (finding,) = report.findings
        assert finding.setting == "epsilon" and not report.fixable
        assert (finding.found, finding.expected) == (f"{made:g}", f"{target:g}")
        assert check(rows, replace(HIFIGAN, epsilon=made), pcm=pcm).fits


def test_wrong_bands_and_bad_values() -> None:
    rows = features.extract(voice(2.0), recipe=NVIDIA)
    assert named(check(rows[:, :79], NVIDIA)) == {"bands"}
    for bad in (np.nan, np.inf):
        broken = rows.copy()
        broken[3, 4] = bad
        with pytest.raises(FeatureError, match="band 4 of frame 3"):
            check(broken, NVIDIA)
    noise = np.random.default_rng(0).uniform(-11, 1, (80, 80)).astype(np.float32)
    with pytest.raises(FeatureError, match=r"square.* its values do not tell"):
        check(noise, NVIDIA)


@pytest.mark.parametrize("sound", sounds())
def test_square_mels_are_told_by_their_values(sound: object) -> None:
    rows = features.extract(signal(sound), recipe=NVIDIA)
    told = 0
    for at in range(0, len(rows) - 80, 20):
        piece = rows[at : at + 80]
        for array in (piece, piece.T):
            try:
                found = mels.oriented(mels.Array(array), 80, name="piece")
            except FeatureError:
                continue
            np.testing.assert_array_equal(found, piece)
            told += 1
    assert told > len(rows) / 20


def test_a_square_mel_of_a_model_is_not_asked_about_twice() -> None:
    rows = features.extract(voice(2.0), recipe=NVIDIA)[:80]
    assert check_rows(rows, NVIDIA).fits
    noise = np.clip(np.random.default_rng(0).normal(-5, 2, (80, 80)), -11, 0)
    check_rows(noise, NVIDIA)  # whatever it is, its axes are known


@pytest.mark.parametrize("kind", [np.float16, "bfloat16"])
def test_half_precision_raises_no_alarm(kind: object) -> None:
    pcm = voice(4.0)
    pcm[20000:24000] = 0.0  # reaches the clamp
    for recipe in RECIPES.values():
        rows = features.extract(pcm, recipe=recipe)
        if kind == "bfloat16":
            bits = rows.view(np.uint32)
            half = ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)
        else:
            half = rows.astype(np.float16)
        report = check(half, recipe)
        assert report.fits, report.findings
        assert any("rounded to" in note for note in report.notes)
        assert check_rows(half.astype(np.float32), recipe).fits
    lower = features.extract(pcm, recipe=replace(NVIDIA, floor=1e-7)).astype(np.float16)
    assert named(check(lower, NVIDIA)) == {"floor"}


@pytest.mark.parametrize("ref", [0.0, 16.0, 20.0])
@pytest.mark.parametrize(("span", "low"), [(1.0, 0.0), (8.0, -4.0), (2.0, -1.0)])
def test_a_reference_level_is_not_guessed(ref: float, span: float, low: float) -> None:
    """dB less ref_level_db, normalised by min_level_db -100, as keithito's programs have it."""
    pcm = 0.2 * voice(4.0)
    truth = features.extract(pcm, recipe=NVIDIA)
    decibels = 20 * truth / np.log(10) - ref
    rows = (span * np.clip((decibels + 100) / 100, 0, 1) + low).astype(np.float32)
    alone = check(rows, NVIDIA)
    assert {"log", "normalized"} <= named(alone) and not alone.fixable
    assert any("ref_level_db 20" in note and "--audio" in note for note in alone.notes)
    proven = check(rows, NVIDIA, pcm=pcm)
    (finding,) = (f for f in proven.findings if f.setting == "normalized")
    assert ("ref_level_db" in finding.found) == (ref != 0) and f"{ref:g}" in finding.found
    if rows.min() > low:  # nothing was clamped
        assert proven.fixed is not None
        np.testing.assert_allclose(proven.fixed, truth, atol=2e-4)
    else:
        assert not proven.fixable and "floor" in named(proven)


def test_statistics_that_were_taken_out_are_named() -> None:
    rows = features.extract(voice(4.0), recipe=NVIDIA)
    corpus = features.extract(voice(4.0, seed=5), recipe=NVIDIA)
    for other in (rows, np.concatenate([rows, corpus])):
        report = check((rows - other.mean(axis=0)) / other.std(axis=0), NVIDIA)
        assert not report.fixable
        (finding,) = (f for f in report.findings if f.setting == "normalized")
        assert "each band" in finding.found and "statistics" in finding.evidence
    for recipe in RECIPES.values():
        assert check(features.extract(voice(4.0), recipe=recipe), recipe).fits


@pytest.mark.parametrize("sound", sounds())
def test_the_recording_names_pre_emphasis_and_scale(sound: object) -> None:
    pcm = signal(sound)
    emphasised = np.append(pcm[:1], pcm[1:] - np.float32(0.97) * pcm[:-1]).astype(np.float32)
    report = check(features.extract(emphasised, recipe=NVIDIA), NVIDIA, pcm=pcm)
    assert ("preemphasis", "0.97") in {(f.setting, f.found) for f in report.findings}
    assert not report.fixable
    htk = np.log(np.maximum(htk_mel(pcm), 1e-5)).astype(np.float32)
    report = check(htk, NVIDIA, pcm=pcm)
    (finding,) = (f for f in report.findings if f.setting == "mel_scale")
    assert "HTK's" in finding.found and not report.fixable


def htk_mel(pcm: np.ndarray) -> np.ndarray:
    """A mel of NVIDIA's numbers on HTK's scale with filters of height 1, by the oracle's parts."""
    edges = np.linspace(0.0, 2595 * np.log10(1 + 8000 / 700), 82)
    hz = 700 * (10 ** (edges / 2595) - 1)
    bins = np.arange(513) * 22050 / 1024
    left, centre, right = hz[:-2, None], hz[1:-1, None], hz[2:, None]
    rising, falling = (bins - left) / (centre - left), (right - bins) / (right - centre)
    triangles = np.maximum(0, np.minimum(rising, falling))
    padded = np.pad(pcm.astype(np.float64), 512, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024)
    at = 256 * np.arange(NVIDIA.frames(len(pcm)))[:, None] + np.arange(1024)
    return np.abs(np.fft.rfft(padded[at] * window)) @ triangles.T


def test_short_mels_say_what_they_cannot_tell() -> None:
    report = check(features.extract(voice(0.3), recipe=NVIDIA), NVIDIA)
    assert report.fits
    assert any("fmin and fmax" in note for note in report.notes)
    assert any("hop" in note for note in report.notes)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pcm = voice(4.0)
    rows = features.extract(pcm, recipe=replace(NVIDIA, log="log10"))
    np.save(tmp_path / "a.npy", rows)
    audio.write_wav(tmp_path / "a.wav", pcm, RATE)
    base = ["check-mel", str(tmp_path / "a.npy"), "--recipe"]
    assert main([*base, "nvidia"]) == 1
    text = capsys.readouterr().out
    assert "log: log10; expected ln" in text
    assert "--fix" in text
    fixed = tmp_path / "b.npy"
    assert main([*base, "nvidia", "--json", "--fix", "-o", str(fixed)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["fits"] is False
    assert report["written"] == str(fixed)
    assert report["findings"][0]["evidence"]
    assert (
        main(["check-mel", str(fixed), "--recipe", "nvidia", "--audio", str(tmp_path / "a.wav")])
        == 0
    )
    assert "could be" in capsys.readouterr().out
    assert main([*base, "descript", "--fix", "-o", str(tmp_path / "c.npy")]) == 1
    assert not (tmp_path / "c.npy").exists()
    recording = ["--audio", str(tmp_path / "a.wav")]
    assert main([*base, "hifigan", *recording, "--fix", "-o", str(tmp_path / "c.npy")]) == 1
    assert "expected 384 samples: frame t is centred at" in capsys.readouterr().out
    assert not (tmp_path / "c.npy").exists()
    np.save(tmp_path / "nan.npy", rows * np.float32("nan"))
    assert main(["check-mel", str(tmp_path / "nan.npy"), "--recipe", "nvidia"]) == 3
    with pytest.raises(SystemExit) as usage:
        main([*base, "nvidia", "--fix"])
    assert usage.value.code == 2
