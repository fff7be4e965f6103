"""gates.py of the recipe, on a tiny model and a synthetic clip: figures, verdicts, the card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from lpcnet_files import ROOT, load_module

import pyvoc

INT8 = ROOT / "tests" / "golden" / "tree_sparse.int8.gguf"
FLOAT = ROOT / "tests" / "golden" / "tree_sparse.f32.gguf"
CARD = ROOT / "pyvoc" / "voices" / "lpcnet.md"


@pytest.fixture(scope="module")
def gates() -> ModuleType:
    return load_module(ROOT / "recipes" / "lpcnet_voice" / "gates.py")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip: a second of a buzz at a gliding pitch, with a hiss in the middle."""
    folder = tmp_path_factory.mktemp("clips")
    t = np.arange(16000) / 16000
    phase = 2 * np.pi * (120 * t + 20 * t**2)
    buzz = sum(np.sin(k * phase) / k for k in range(1, 25))
    hiss = np.random.default_rng(1).standard_normal(len(t))
    middle = (t > 0.45) & (t < 0.6)
    signal = np.where(middle, 0.02 * hiss, 0.15 * buzz * np.minimum(1, 20 * np.minimum(t, 1 - t)))
    pyvoc.audio.write_wav(folder / "a.wav", signal, 16000)
    return folder


@pytest.fixture(scope="module")
def report(gates: ModuleType, clips: Path) -> dict[str, Any]:
    """Everything measured, of a model that cannot speak."""
    arguments = ["--model", INT8, "--float", FLOAT, "--validation", clips, "--train", clips]
    arguments += ["--unseen", clips, "--seeds", "2", "--keep", clips / "kept"]
    found: dict[str, Any] = gates.measure(gates.parse([str(word) for word in arguments]))
    return found


def test_what_is_measured(report: dict[str, Any], clips: Path) -> None:
    json.dumps(report, allow_nan=False)
    part = report["validation"]
    assert part == report["unseen"] | {"model": part["model"], "syntheses": part["syntheses"]}
    assert part["clips"] == ["a.wav"]
    assert [row["name"] for row in part["syntheses"]] == ["a.1.wav", "a.2.wav"]
    model, ceiling, floor = (part[kind] for kind in ("model", "ceiling", "floor"))
    for key in ("mcd_db", "lsd_db"):
        assert ceiling[key] < floor[key]
        assert model[key] == pytest.approx(np.mean([row[key] for row in part["syntheses"]]))
        assert part["syntheses"][0][key] != part["syntheses"][1][key]
    assert abs(ceiling["level_db"]) < 0.1
    score = pyvoc.evaluate.evaluate_nll(pyvoc.load(INT8), [str(clips / "a.wav")])
    exact = pyvoc.evaluate.evaluate_nll(pyvoc.load(FLOAT), [str(clips / "a.wav")])
    assert model["nll_nats"] == score.nats
    assert model["gain_nats"] == score.figures["laplace"] - score.nats
    assert model["gap_nats"] == 0  # trained and held-out clips are the same here
    assert model["int8_bits"] == pytest.approx(score.bits - exact.bits)
    kept, rate = pyvoc.audio.read(clips / "kept" / "validation" / "a.2.wav")
    rows = pyvoc.features.extract(pyvoc.features.read_pcm(clips / "a.wav"))
    spoken = pyvoc.load(INT8).synthesize(rows, seed=2)
    assert rate == 16000 and np.abs(kept - spoken).max() <= 1 / 32768


def test_a_model_that_cannot_speak_is_caught(gates: ModuleType, report: dict[str, Any]) -> None:
    verdicts = {gate["key"]: gate["passed"] for gate in report["gates"]}
    assert verdicts.keys() == {gate.key for gate in gates.GATES}
    assert verdicts["gap_nats"] is True
    for key in ("gain_nats", "lsd_db", "mcd_db"):
        assert verdicts[key] is False


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("most", (0.5, 0.4, -3.0), (0.51, float("nan"))),
        ("least", (0.5, 0.6), (0.49, -0.6, float("nan"))),
        ("within", (0.5, -0.5, 0.0), (0.51, -0.51, float("nan"))),
    ],
)
def test_verdicts(
    gates: ModuleType, kind: str, good: tuple[float, ...], bad: tuple[float, ...]
) -> None:
    gate = gates.Gate("x", 0.5, kind)
    assert all(gate.passed(value) for value in good)
    assert not any(gate.passed(value) for value in bad)
    assert gates.judge(gate, {})["passed"] is None


def test_the_gates_are_those_that_were_set(gates: ModuleType) -> None:
    assert {(gate.key, gate.limit, gate.kind) for gate in gates.GATES} == {
        ("f0_gross", 0.07, "most"),
        ("vuv_error", 0.13, "most"),
        ("lnf0_median", 0.035, "most"),
        ("mcd_db", 2.55, "most"),
        ("lsd_db", 9.8, "most"),
        ("level_db", 1.0, "within"),
        ("clicks", 0.0, "most"),
        ("gain_nats", 0.38, "least"),
        ("gap_nats", 0.08, "most"),
        ("int8_bits", 0.02, "within"),
    }


def test_the_command(
    gates: ModuleType,
    report: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(gates, "measure", lambda options: report)
    card = tmp_path / "card.md"
    shutil.copy(CARD, card)
    assert gates.main(["--validation", "x", "--markdown", str(card)]) == 1
    printed = capfd.readouterr()
    assert "missed:" in printed.err and "NLL below oracle Laplace" in printed.err
    lines = printed.out.splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    text = card.read_text(encoding="utf-8")
    for line in lines:
        assert line in text
    assert "Not measured yet" not in text
    before = CARD.read_text(encoding="utf-8")
    assert text.split(gates.OPEN)[0] == before.split(gates.OPEN)[0]
    assert text.split(gates.CLOSE)[1] == before.split(gates.CLOSE)[1]
    assert gates.main(["--validation", "x", "--markdown", str(card), "--json"]) == 1
    assert card.read_text(encoding="utf-8") == text  # a second run replaces the first
    assert json.loads(capfd.readouterr().out)["gates"] == report["gates"]
    passed = [{**gate, "passed": True} for gate in report["gates"]]
    monkeypatch.setattr(gates, "measure", lambda options: {**report, "gates": passed})
    assert gates.main(["--validation", "x"]) == 0


def test_bad_input(
    gates: ModuleType, clips: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        (["--validation", tmp_path], "expected *.wav, found none"),
        (["--validation", clips, "--model", "nobody"], "'nobody' is no voice and no file"),
        (["--validation", clips, "--float", INT8], "holds int8 weights, not f32"),
    ):
        assert gates.main([str(word) for word in arguments]) == 3
        assert message in capfd.readouterr().err
    with pytest.raises(SystemExit):
        gates.main(["--validation", str(clips), "--seeds", "0"])
    card = tmp_path / "card.md"
    card.write_text("no marks", encoding="utf-8")
    with pytest.raises(pyvoc.Error, match="expected the lines"):
        gates.write_card(card, ["x"])
    for wrong, message in ((card, "expected the lines"), (tmp_path / "none.md", "none.md")):
        assert gates.main(["--validation", str(tmp_path), "--markdown", str(wrong)]) == 3
        assert message in capfd.readouterr().err  # before the clips are looked for
