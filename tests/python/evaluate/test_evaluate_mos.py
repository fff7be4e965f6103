"""Predicted opinions and ViSQOL: the report, with scorers made here, and the packages' order."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mel_sounds import recording
from sounds import RATE, noise, save, speechlike

from pyvoc import UnsupportedError
from pyvoc.cli import main
from pyvoc.evaluate import (
    Report,
    Sound,
    asked,
    compare,
    distillmos,
    evaluate_mos,
    perceptual,
    references,
)

SPEECH = speechlike()


def ten_times(name: str) -> Callable[..., object]:
    """A scorer whose answer is known: ten times the largest sample; ViSQOL: of the output."""
    if name == "visqol":
        return lambda reference, output: 10 * float(np.abs(output).max())
    figures = asked.PREDICTED[name].FIGURES
    return lambda samples: dict.fromkeys(figures, 10 * float(np.abs(samples).max()))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(perceptual, "_package", lambda name: None)  # slow; tested elsewhere
    monkeypatch.setattr(asked, "_scorer", ten_times)
    monkeypatch.setattr(asked.metadata, "version", lambda package: f"<version of {package}>")


def level(samples: np.ndarray, peak: float) -> np.ndarray:
    return samples * (peak / np.abs(samples).max())


# ---- the report, with scorers that are known -----------------------------------------------------


def test_deltas_to_the_original(known: None) -> None:
    left = Sound("ref", level(SPEECH, 0.4), RATE)
    right = Sound("out", level(SPEECH, 0.3), RATE)
    assert "distillmos" not in compare(left, right).values
    values = compare(left, right, require=("mos", "visqol")).values
    assert values["distillmos"] == pytest.approx(3)
    assert values["distillmos_reference"] == pytest.approx(4)
    assert values["distillmos_delta"] == pytest.approx(-1)
    assert values["visqol"] == pytest.approx(3)
    assert "dnsmos_ovrl" not in values
    values = compare(left, right, require=("dnsmos",)).values
    for figure in ("ovrl", "sig", "bak", "p808"):
        assert values[f"dnsmos_{figure}_delta"] == pytest.approx(-1)


def test_files_are_judged_whole(known: None) -> None:
    """What lies outside the part that is compared counts for an opinion, not for ViSQOL."""
    loud = np.concatenate([[0.45], np.zeros(799), level(SPEECH, 0.3)])
    left, right = Sound("ref", level(SPEECH, 0.4), RATE), Sound("out", loud, RATE)
    values = compare(left, right, delay=800, require=("mos", "visqol")).values
    assert values["distillmos"] == pytest.approx(4.5)
    assert values["visqol"] == pytest.approx(3)


def test_other_rates_are_heard_at_16_khz(known: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("soxr")
    heard = []

    def listen(samples: np.ndarray) -> dict[str, float]:
        heard.append(samples)
        return {"distillmos": 3.0}

    monkeypatch.setattr(asked, "_scorer", lambda name: listen)
    asked.alone("mos", Sound("x", np.sin(np.arange(3 * 22050) * 0.1), 22050))
    assert [(x.shape, x.dtype) for x in heard] == [((48000,), np.float32)]


def test_too_short_and_too_loud_are_said(known: None) -> None:
    short = compare(
        Sound("ref", SPEECH, RATE), Sound("out", SPEECH[:8000], RATE), require=("mos", "dnsmos")
    )
    assert short.values["distillmos"] is None
    assert short.values["distillmos_delta"] is None
    assert short.values["distillmos_reference"] is not None
    assert "mos judges nothing shorter than 1 s; 'out' has 0.50 s" in short.notes
    assert "-" in Report((short,)).to_text()
    assert "distillmos" not in Report((short,)).summary()["mean"]
    values, notes = asked.alone("mos", Sound("x", level(SPEECH, 1.5), RATE))
    assert values == {"distillmos": 10}
    assert notes == ["mos was given 'x' clipped at full scale"]


def test_recipes_and_versions(known: None) -> None:
    left, right = Sound("ref", level(SPEECH, 0.4), RATE), Sound("out", level(SPEECH, 0.3), RATE)
    report = Report((compare(left, right, require=("mos", "dnsmos", "visqol")),))
    recipes = report.to_json()["recipes"]
    assert "distillmos <version of distillmos>" in recipes["mos"]
    assert "speechmos <version of speechmos>" in recipes["dnsmos"]
    assert "visqol-python <version of visqol-python>" in recipes["visqol"]
    for name in ("mos", "dnsmos"):
        assert "16 kHz" in recipes[name]
        assert "less what the original is given" in recipes[name]
    text = report.to_text()
    assert all(recipe in text for recipe in recipes.values())
    head, *_ = text.splitlines()
    assert head.endswith("DistillMOS  delta  DNSMOS  delta  P.808  delta  ViSQOL")
    (original,) = [line for line in text.splitlines() if line.endswith("original (mean)")]
    assert original.split()[-9:-2] == ["4.00", "-", "4.00", "-", "4.00", "-", "-"]
    assert not {"mos", "dnsmos", "visqol"} & set(Report((compare(left, right),)).recipes())


def test_bounds_are_judged_too(known: None) -> None:
    for found in references.bounds(Sound("ref", SPEECH, RATE), require=("mos",)):
        assert found.values["distillmos_delta"] is not None


def test_command_line(known: None, capsys: pytest.CaptureFixture[str]) -> None:
    save("ref/a.wav", level(SPEECH, 0.4))
    save("out/a.wav", level(SPEECH, 0.3))
    assert main(["evaluate", "ref", "out", "--mos", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["mean"]["distillmos_delta"] == pytest.approx(-1, abs=0.001)
    assert report["files"][0]["distillmos_reference"] == pytest.approx(4, abs=0.001)
    assert main(["evaluate", "ref", "out", "--mos", "--visqol"]) == 0
    text = capsys.readouterr().out
    assert "original (mean)" in text
    assert "ViSQOL: package" in text


def test_several_systems(known: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A delta is of a system, the original stands once, and a page has what tables have."""
    for name, peak in (("ref", 0.4), ("near", 0.3), ("far", 0.1)):
        save(f"{name}/a.wav", level(SPEECH, peak))
    words = ["evaluate", "ref", "near", "far", "--mos", "--dnsmos"]
    assert main([*words, "--json", "--page", "page.html"]) == 0
    report = json.loads(capsys.readouterr().out)
    for label, delta in (("near", -1), ("far", -3)):
        found = report["systems"][label]["mean"]["distillmos_delta"]
        assert found == pytest.approx(delta, abs=0.001)
    assert "<version of distillmos>" in report["recipes"]["mos"]
    page = Path("page.html").read_text(encoding="utf-8")
    assert "DistillMOS" in page
    assert "&lt;version of distillmos&gt;" in page
    assert ">SIG<" not in page
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.endswith("original (mean)") for line in lines) == 1


def test_without_an_original(known: None, capsys: pytest.CaptureFixture[str]) -> None:
    save("a/x.wav", level(SPEECH, 0.4))
    save("a/y.wav", level(SPEECH, 0.2))
    save("a/z.wav", SPEECH[:8000])
    assert main(["evaluate", "a", "--mos", "--dnsmos", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [Path(file["path"]).name for file in report["files"]] == ["x.wav", "y.wav", "z.wav"]
    assert [file["seconds"] for file in report["files"]] == [1.5, 1.5, 0.5]
    assert report["files"][2]["distillmos"] is None
    assert report["mean"]["distillmos"] == pytest.approx(3, abs=0.001)
    assert report["median"]["dnsmos_sig"] == pytest.approx(3, abs=0.001)
    assert set(report["recipes"]) == {"mos", "dnsmos"}
    assert "original" not in report["recipes"]["mos"]
    assert main(["evaluate", "--mos", "a"]) == 0
    text = capsys.readouterr().out
    assert "mean of 3 files" in text
    assert "0.50 s" in text
    assert "delta" not in text
    assert evaluate_mos(["a/x.wav"]).opinions[0].values["distillmos"] == pytest.approx(4, abs=0.001)


def test_bad_files_without_an_original(known: None, capsys: pytest.CaptureFixture[str]) -> None:
    save("a/silent.wav", np.zeros(RATE))
    save("a/x.wav", SPEECH)
    assert main(["evaluate", "a", "--mos"]) == 3
    assert "'a/silent.wav' is silent" in capsys.readouterr().err
    assert main(["evaluate", "a", "--mos", "--keep-going"]) == 3
    captured = capsys.readouterr()
    assert "a/x.wav" in captured.out
    assert "1 of 2 failed" in captured.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["a.wav", "--visqol"],
        ["a.wav", "--mos", "--visqol"],
        ["a.wav", "--mos", "--delay", "0"],
        ["a.wav", "--mos", "--bounds"],
        ["a.wav", "--mos", "--page", "p"],
        ["a.wav", "--visqol", "--dnsmos"],
        ["--nll", "m.gguf", "a.wav", "--mos"],
    ],
)
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["evaluate", *arguments])
    assert caught.value.code == 2
    assert "usage: pyvoc" in capsys.readouterr().err


# ---- the packages --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", asked.ASKED)
def test_missing_packages(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in ("distillmos", "speechmos", "visqol"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(asked, "_scorer", asked._scorer.__wrapped__)  # without what it remembers
    with pytest.raises(UnsupportedError, match=r"pip install pyvoc-vocoder\[mos\]"):
        asked.require(name)
    monkeypatch.chdir(tmp_path)
    save("a.wav", SPEECH)
    assert main(["evaluate", "a.wav", "a.wav", f"--{name}"]) == 4
    assert asked.ASKED[name].PACKAGE in capsys.readouterr().err


def test_nothing_large_is_imported_unasked() -> None:
    large = {"torch", "distillmos", "speechmos", "visqol", "librosa", "onnxruntime"}
    code = f"import sys, pyvoc.evaluate; print(sorted({large} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_torchaudio_that_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torchaudio.py").write_text("raise OSError('libc10_cuda.so')")
    (tmp_path / "distillmos.py").write_text("import torchaudio\nhere = 1")
    for module in ("torchaudio", "distillmos"):
        monkeypatch.setitem(sys.modules, module, None)  # so that what was there comes back
        del sys.modules[module]
    monkeypatch.syspath_prepend(tmp_path)
    assert distillmos._package().here == 1
    assert "torchaudio" not in sys.modules


@pytest.mark.parametrize("extra", [-90000, -1, 0, 1, 16000, 16001, 100000])
def test_windows(extra: int) -> None:
    samples = np.arange(1, distillmos.WINDOW + extra + 1, dtype=np.float32)
    parts = distillmos.windows(samples)
    assert all(part.shape == (distillmos.WINDOW,) for part in parts)
    assert parts[0][0] == 1
    if extra <= 0:
        assert len(parts) == 1
        assert (parts[0] > 0).sum() == len(samples)
    else:
        assert parts[-1][-1] == samples[-1]
        assert np.diff([part[0] for part in parts]).max() <= 16000


def want(name: str) -> None:
    try:
        asked.require(name)
    except UnsupportedError as error:
        pytest.skip(str(error))


def test_windows_are_the_package_s_own() -> None:
    want("mos")
    import torch

    samples = (noise(9.3) * np.linspace(0.1, 1, int(9.3 * RATE))).astype(np.float32)
    network = distillmos._package().ConvTransformerSQAModel().eval()
    with torch.inference_mode():
        expected = float(network(torch.from_numpy(samples)[None]))
    assert asked._scorer("mos")(samples)["distillmos"] == pytest.approx(expected, abs=1e-4)


def coded(samples: np.ndarray, bits: int = 5) -> np.ndarray:
    """Each sample in mu-law codes of so few bits that the noise is heard."""
    steps = 2 ** (bits - 1) - 1
    codes = np.round(np.log1p(255 * np.abs(samples)) / np.log(256) * steps) / steps
    return np.sign(samples) * (256**codes - 1) / 255


def judged(name: str) -> dict[str, dict[str, float]]:
    """Speech and what was done to it, by figure: original, coded, noise at 10 dB, noise alone."""
    want(name)
    soxr = pytest.importorskip("soxr")
    clean = soxr.resample(recording("LJ001-0022")[: int(4.6 * 22050)], 22050, RATE, quality="VHQ")
    pcm = np.rint(clean * 32767).astype(np.int16)
    hiss = np.random.default_rng(1).standard_normal(len(clean)) * np.sqrt((clean**2).mean() / 10)
    cases = {
        "original": clean,
        "coded": coded(clean),
        "noisy": clean + hiss,
        "vocoded noise": references.floor(pcm),
    }
    if name == "visqol":
        found = {case: asked.against(clean, x, RATE)[0] for case, x in cases.items()}
        return {"visqol": found}
    found = {case: asked.alone(name, Sound(case, x, RATE))[0] for case, x in cases.items()}
    return {key: {case: found[case][key] for case in cases} for key in found["original"]}


def test_distillmos_knows_the_order() -> None:
    values = judged("mos")["distillmos"]
    assert list(values.values()) == sorted(values.values(), reverse=True)
    assert values["original"] > 4
    assert values["vocoded noise"] < 2


def test_dnsmos_knows_the_order() -> None:
    """Overall quality does; P.808 hears noise in the speech's own bands as it does white noise."""
    figures = judged("dnsmos")
    values = list(figures["dnsmos_ovrl"].values())
    assert values == sorted(values, reverse=True)
    p808 = figures["dnsmos_p808"]
    assert p808["original"] > p808["coded"] > max(p808["noisy"], p808["vocoded noise"])


def test_visqol_knows_the_order() -> None:
    """Of what changes the spectrogram: noise that has the speech's is not the worst of them."""
    values = judged("visqol")["visqol"]
    assert values["original"] == pytest.approx(5, abs=0.01)
    assert values["original"] > values["coded"] > max(values["noisy"], values["vocoded noise"])


def test_visqol_without_speech() -> None:
    want("visqol")
    value, why = asked.against(SPEECH[:8000], SPEECH[:8000], RATE)
    assert value is None
    assert "no 0.6 s of speech" in why
