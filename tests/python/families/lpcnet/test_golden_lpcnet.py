"""The runtime against tensors and PCM of upstream's programs (see PYVOC_GOLDEN), on every tier.

`ref64_*` is float64 mathematics from the checkpoint; `<build>_*` is upstream's C. The goldens start
at upstream's third frame: its first two are silence, which our streams leave out.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from lpcnet_files import GOLDEN
from tier_worker import run, tiers

pytest.importorskip("h5py")
pytest.importorskip("gguf")

from pyvoc.convert.detect import detect
from pyvoc.convert.run import convert

SKIPPED = 320  # samples of silence with which upstream begins
TIERS = tiers()
TOLERANCE = {"scalar": 1e-4}  # of f32 against ref64
SIMD_TOLERANCE = 2e-3
FREE_RUN = 400  # samples that must be upstream's; see test_free_run
INDICES = ("sig_idx", "pred_idx", "exc_prev_idx", "exc_forced_idx")
MISTAKEN = 0.002  # share of indices that rounding may move
RECOVERY = 200  # samples after such an index that are not compared
LATEST, OLD = "lpcnet_seed*.h5", "lpcnet_old_seed*.h5"
BLOB = "lpcnet_seed*_weights_int8.bin"

Arrays = dict[str, np.ndarray]


def cases(pattern: str) -> list[Path]:
    """Files of the golden folder by pattern; a skipped case stands in for none."""
    found = sorted(GOLDEN.glob(pattern)) if GOLDEN.is_dir() else []
    skip = pytest.mark.skip(reason=f"no {pattern} in {GOLDEN}")
    return [pytest.param(p, id=p.stem) for p in found] or [pytest.param(None, marks=skip)]


def seed(path: Path) -> str:
    found = re.search(r"seed\d+", path.stem)
    assert found is not None
    return found.group()


def golden(path: Path, latest: str, old: str = "") -> Arrays:
    name = old if "old" in path.stem else latest
    with np.load(GOLDEN / f"{name}_{seed(path)}.npz") as arrays:
        return dict(arrays)


@cache
def forced(path: Path) -> Arrays:
    return golden(path, "sample_network_teacher_forced", "old_teacher_forced")


def report(path: Path) -> dict[str, list[float]]:
    return json.loads((GOLDEN / f"parity_report_{seed(path)}.json").read_text())


def utterance(path: Path) -> str:
    """The one whose speech the teacher-forced goldens follow."""
    pcm = forced(path)["forced_pcm"]
    for speech in sorted(GOLDEN.glob("*.s16")):
        if not speech.name.startswith("synth") and np.array_equal(
            np.fromfile(speech, "<i2", count=len(pcm)), pcm
        ):
            return speech.stem
    pytest.skip("no .s16 is the signal of the teacher-forced goldens")


def features_of(path: Path) -> np.ndarray:
    suffix, dims = ("test_old55", 55) if "old" in path.stem else ("features", 36)
    return np.fromfile(GOLDEN / f"{utterance(path)}.{suffix}.f32", "<f4").reshape(-1, dims)


@cache
def outputs(path: Path, precision: str, tier: str, folder: Path) -> Arrays:
    """What our runtime makes of a golden checkpoint."""
    model = folder / f"{path.stem}.{precision}.gguf"
    if not model.exists():
        convert(path, model, precision=precision)
    pcm = forced(path)["forced_pcm"][SKIPPED:].astype(np.float32) / np.float32(32768)
    inputs = {"features": features_of(path), "pcm": pcm}
    if "old" in path.stem:
        inputs["draws"] = uniforms(glibc_rand(1, len(inputs["features"]) * 160))
    return run(model, tier, folder, **inputs)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("golden")


def glibc_rand(start: int, count: int) -> np.ndarray:
    """The first outputs of glibc's rand() after srand(start), start > 0."""
    word = [start]
    for _ in range(30):
        word.append(16807 * word[-1] % 2147483647)
    word += word[:3]
    for i in range(34, 344 + count):
        word.append((word[i - 31] + word[i - 3]) & 0xFFFFFFFF)
    return np.array(word[344:], np.uint32) >> 1


def uniforms(draws: np.ndarray) -> np.ndarray:
    return draws.astype(np.float32) / np.float32(2147483647)


def ours(gates: np.ndarray) -> np.ndarray:
    """Gates z, r, h as r, z, n."""
    z, r, h = np.split(gates, 3, axis=-1)
    return np.concatenate([r, z, h], axis=-1)


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found[: len(expected)].astype(np.float64) - expected).max())


def rms(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found[: len(expected)].astype(np.float64) - expected) ** 2)))


def tolerance(tier: str) -> float:
    return TOLERANCE.get(tier, SIMD_TOLERANCE)


def comparable(found: Arrays, expected: Arrays) -> np.ndarray:
    """Steps whose inputs are the golden ones and have been for a while. Asserts that most are."""
    codes = found["steps_codes"]
    wrong = np.stack([codes[:, i] != expected[name] for i, name in enumerate(INDICES)], axis=1)
    assert wrong.mean() < MISTAKEN
    good = np.ones(len(codes), bool)
    for step in np.flatnonzero(wrong.any(axis=1)):
        good[step : step + RECOVERY] = False
    assert good.mean() > 0.5
    return good


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("path", cases(LATEST))
def test_condition_network(path: Path, tier: str, folder: Path) -> None:
    found = outputs(path, "f32", tier, folder)
    expected = golden(path, "frame_network")
    for name in ("conv1", "conv2", "dense1", "cond"):
        assert worst(found[f"frames_{name}"], expected[f"ref64_{name}"]) < tolerance(tier), name
    assert worst(found["frames_lpc"], expected["c_lpc"]) < 1e-3

    # What enters the GRUs. Ours has the recurrent biases of r and z in it too.
    weights = detect(path)(path).arrays
    for gru, key, inner in (
        ("gru_a", "ref64_cond_a_first100", 0.0),
        ("gru_b", "ref64_cond_b", weights["gru_b.bias_ih"]),
    ):
        bias = np.array(weights[f"{gru}.bias_hh"], np.float64)
        bias[2 * len(bias) // 3 :] = 0
        inputs = found[f"frames_{gru}_input"] - bias - inner
        assert worst(inputs, ours(expected[key])) < tolerance(tier), gru


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("path", cases(LATEST))
def test_sample_network(path: Path, tier: str, folder: Path) -> None:
    found, expected = outputs(path, "f32", tier, folder), forced(path)
    good = comparable(found, expected)
    for name, first in (("gru_a", 0), ("gru_b", 0), ("logits", 1)):
        golden_rows = expected[f"ref64_{name}"]
        rows = found[f"steps_{name}"][: len(golden_rows)]
        kept = good[: len(golden_rows)]
        assert worst(rows[kept][:, first:], golden_rows[kept][:, first:]) < tolerance(tier), name
    pdf = expected["ref64_pdf_first160"]
    kept = good[: len(pdf)]
    probabilities = found["steps_probabilities"]
    assert worst(probabilities[: len(pdf)][kept], pdf[kept]) < tolerance(tier)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert worst(found["steps_prediction"][good, 0], expected["pred"][good]) < 0.05


def divergence(reference: np.ndarray, found: np.ndarray) -> float:
    p, q = reference.astype(np.float64), found[: len(reference)].astype(np.float64)
    return float((p * np.log(np.maximum(p, 1e-30) / np.maximum(q, 1e-30))).sum(axis=1).mean())


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("path", cases(LATEST))
def test_closer_than_upstreams_int8(path: Path, precision: str, tier: str, folder: Path) -> None:
    found, expected = outputs(path, precision, tier, folder), forced(path)
    good = comparable(found, expected)
    figures = report(path)
    for name, first in (("gru_a", 0), ("gru_b", 0), ("logits", 1)):
        golden_rows = expected[f"ref64_{name}"]
        kept = good[: len(golden_rows)]
        rows = found[f"steps_{name}"][: len(golden_rows)][kept][:, first:]
        theirs = [
            figures[f"tf {build} {name} vs ref64 max/rms"]
            for build in ("generic_int8", "native_int8")
        ]
        assert worst(rows, golden_rows[kept][:, first:]) <= min(t[0] for t in theirs), name
        assert rms(rows, golden_rows[kept][:, first:]) <= min(t[1] for t in theirs), name
    pdf = expected["ref64_pdf_first160"]
    kept = good[: len(pdf)]
    kl = divergence(pdf[kept], found["steps_probabilities"][: len(pdf)][kept])
    assert kl <= figures["tf native_int8 mean KL(ref||build) nats"]


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("path", cases(BLOB))
def test_int8_blob_is_upstreams_int8_build(path: Path, tier: str, folder: Path) -> None:
    """The same integers: we are nearer to their build than that is to float."""
    found, expected = outputs(path, "int8", tier, folder), forced(path)
    good = comparable(found, expected)
    for name, first in (("gru_a", 0), ("gru_b", 0), ("logits", 1)):
        theirs = expected[f"native_int8_{name}"]
        exact = expected[f"ref64_{name}"][: len(theirs)]
        n = min(len(theirs), len(exact))
        kept = good[:n]
        rows = found[f"steps_{name}"][:n][kept][:, first:]
        theirs, exact = theirs[:n][kept][:, first:], exact[:n][kept][:, first:]
        assert rms(rows, theirs) < 0.6 * rms(theirs, exact), name


def to_int16(samples: np.ndarray) -> np.ndarray:
    return np.floor(samples * np.float32(32768) + np.float32(0.5)).astype(np.int16)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("path", cases(LATEST))
def test_free_run(path: Path, tier: str, folder: Path) -> None:
    """Seed 0 is upstream's: the PCM of its plain C build.

    A draw that falls within rounding of a threshold parts two builds for good: upstream's own
    AVX build leaves its C build after 194 samples, ours (measured, all tiers) after 26807 of 30240.
    """
    synthesised = sorted(GOLDEN.glob(f"synth_{seed(path)}_{utterance(path)}_generic_float.s16"))
    if not synthesised:
        pytest.skip("no free run of upstream's plain C build")
    theirs = np.fromfile(synthesised[0], "<i2")
    assert not theirs[:SKIPPED].any()
    pcm = to_int16(outputs(path, "f32", tier, folder)["samples"])
    assert len(pcm) == len(theirs)
    np.testing.assert_array_equal(pcm[:FREE_RUN], theirs[SKIPPED : SKIPPED + FREE_RUN])


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("path", cases(OLD))
def test_2019(path: Path, tier: str, folder: Path) -> None:
    found, expected = outputs(path, "f32", tier, folder), forced(path)
    assert worst(found["frames_cond"], expected["ref64_cond"]) < tolerance(tier)
    assert worst(found["frames_lpc"], expected["lpc_used"]) < 1e-3
    good = comparable(found, expected)
    for name, key in (
        ("gru_a", "ref64_gru_a_first320"),
        ("gru_b", "ref64_gru_b"),
        ("logits", "ref64_logits_first640"),
    ):
        golden_rows = expected[key]
        kept = good[: len(golden_rows)]
        rows = found[f"steps_{name}"][: len(golden_rows)]
        assert worst(rows[kept], golden_rows[kept]) < tolerance(tier), name


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("path", cases(OLD))
def test_2019_free_run(path: Path, tier: str, folder: Path) -> None:
    """With the draws of glibc's rand(), which that program uses."""
    pattern = f"synth_old_{seed(path)}_{utterance(path)}_generic.s16"
    synthesised = sorted(GOLDEN.glob(pattern))
    if not synthesised:
        pytest.skip(f"no {pattern}")
    theirs = np.fromfile(synthesised[0], "<i2")
    pcm = to_int16(outputs(path, "f32", tier, folder)["samples"])
    assert len(pcm) == len(theirs)
    np.testing.assert_array_equal(pcm[:FREE_RUN], theirs[SKIPPED : SKIPPED + FREE_RUN])


def test_glibc_rand() -> None:
    assert glibc_rand(1, 3).tolist() == [1804289383, 846930886, 1681692777]
