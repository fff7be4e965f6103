"""The command line as a whole, ``pyvoc info`` and ``pyvoc doctor``."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from melgan_checkpoints import state_dict
from melgan_files import arrays
from torch_files import save_zip
from voices import SOFTMAX, TREE, make_features

import pyvoc
from pyvoc import cli, voices
from pyvoc.cli import COMMANDS, main


def output(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code
    return capfd.readouterr().out


def test_version_and_help(capfd: pytest.CaptureFixture[str]) -> None:
    for arguments, word in (
        (["--version"], f"pyvoc {pyvoc.__version__}"),
        (["--help"], "usage: pyvoc"),
        (["info", "--help"], "usage: pyvoc info"),
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert not caught.value.code
        assert word in capfd.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert not caught.value.code
    assert f"usage: pyvoc {command}" in capfd.readouterr().out


def parser_of(command: str) -> argparse.ArgumentParser:
    actions = cli._parser(command)._actions
    commands = next(a for a in actions if isinstance(a, argparse._SubParsersAction))
    parser: argparse.ArgumentParser = commands.choices[command]
    return parser


@pytest.mark.parametrize("command", COMMANDS)
def test_usage_lines_work_as_they_are_printed(command: str) -> None:
    """An option that takes what follows stands behind what has a place of its own."""
    parser = parser_of(command)
    greedy = [a for a in parser._actions if a.option_strings and a.nargs in ("?", "*", "+", "...")]
    placed = [a for a in parser._actions if not a.option_strings]
    if not greedy or not placed:
        return
    first = placed[0].metavar or placed[0].dest
    for line in parser.format_usage().removeprefix("usage:").strip().splitlines():
        assert re.match(rf"\s*pyvoc {command} \[?{re.escape(str(first))}\b", line), line


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("export M --dynamic-dims A B", {"model": "M", "dynamic_dims": ["A", "B"]}),
        ("export M --dynamic-dims A B --json", {"model": "M", "dynamic_dims": ["A", "B"]}),
        ("export M --onnx O --force", {"model": "M", "onnx": "O"}),
        ("quantize M --calibrate A B -o O", {"model": "M", "calibrate": ["A", "B"]}),
        ("train lpcnet --resume", {"family": "lpcnet", "resume": "latest"}),
        ("train lpcnet --resume F --use-amp", {"family": "lpcnet", "resume": "F"}),
        ("bench lpcnet --peer A B", {"target": "lpcnet"}),
        ("evaluate --nll M A B", {"nll": "M", "paths": ["A", "B"]}),
        ("evaluate A --mos --json", {"paths": ["A"], "mos": True}),
        ("evaluate A B --strict", {"paths": ["A", "B"]}),
    ],
)
def test_lines_that_usage_prints(line: str, values: dict[str, object]) -> None:
    words = line.split()
    args = vars(cli._parser(words[0]).parse_args(words))
    assert {name: args[name] for name in values} == values


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["info", "--nonsense"]])
def test_usage(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: pyvoc" in capfd.readouterr().err


def test_python_m(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pyvoc", "info", "nothing.here"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr == "pyvoc: cannot read 'nothing.here': No such file or directory\n"


def test_errors_of_the_system(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from pyvoc.cli import info

    for error, code, message in (
        (MemoryError(), 3, "pyvoc: out of memory\n"),
        (PermissionError(13, "Permission denied", "x"), 3, "pyvoc: 'x': Permission denied\n"),
        (KeyboardInterrupt(), 130, ""),
        (pyvoc.UnsupportedError("not here"), 4, "pyvoc: not here\n"),
        (pyvoc.ModelError("broken"), 3, "pyvoc: broken\n"),
        (ImportError("no module"), 4, "pyvoc: no module: run `pyvoc doctor`\n"),
    ):

        def fail(error: BaseException = error) -> None:
            raise error

        monkeypatch.setattr(info, "system_info", fail)
        assert main(["info"]) == code
        assert capfd.readouterr().err == message


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_named(unbuffered: str) -> None:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "pyvoc", "info", str(TREE), "--json"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False
        )
    assert done.returncode == 3
    assert done.stderr == "pyvoc: cannot write standard output: No space left on device\n"


def test_info_of_the_machine(capfd: pytest.CaptureFixture[str]) -> None:
    system = json.loads(output(capfd, "info", "--json"))
    assert system.pop("voices")[0] == "default"
    assert system == pyvoc.system_info()
    text = output(capfd, "info")
    for word in (system["version"], system["cpu"], system["active_tier"], "scalar", "native"):
        assert word in text
    for tier in system["tiers"]:
        said = " (where asked for)" if tier["asked_for"] else ""
        said = said if tier["supported"] else " (not on this cpu)"
        assert re.search(rf"[ ,]{tier['name']}{re.escape(said)}(,|$)", text, re.MULTILINE)
        if tier["asked_for"] and not os.environ.get("PYVOC_ISA"):
            assert tier["name"] != system["active_tier"]
    for slot, tier in system["slots"].items():
        assert any(line.split() == [slot, tier] for line in text.splitlines())


def test_a_forced_tier() -> None:
    for tier, code in (("scalar", 0), ("sse9", 4)):
        done = subprocess.run(
            [sys.executable, "-m", "pyvoc", "info", "--json"],
            env={**os.environ, "PYVOC_ISA": tier},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        if code:
            assert "sse9" in done.stderr and "scalar" in done.stderr
        else:
            assert json.loads(done.stdout)["active_tier"] == "scalar"


def test_info_of_a_model(capfd: pytest.CaptureFixture[str]) -> None:
    text = output(capfd, "info", str(TREE))
    for word in ("lpcnet, int8", "look-ahead 2 frames", "20 ms", "gru_a.weight_hh", "lpcnet36"):
        assert word in text
    assert "gru_a.embed_sig " not in text
    assert "gru_a.embed_sig " in output(capfd, "info", "--tensors", str(TREE))
    (report,) = json.loads(output(capfd, "info", "--json", "--tensors", str(SOFTMAX)))
    assert report["kind"] == "model"
    assert report["metadata"]["lpcnet.sampling"] == "softmax"
    assert {t["name"] for t in report["tensors"]} > {"dual_fc.weight", "conv1.bias"}


def test_info_of_features_and_audio(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = []
    for dims, layout in ((36, "lpcnet36"), (55, "lpcnet55"), (20, "lpcnet20")):
        rows = make_features(44, dims=dims)
        pyvoc.features.save(tmp_path / f"{layout}.npy", rows)
        files.append(str(tmp_path / f"{layout}.npy"))
    wav = tmp_path / "x.wav"
    pyvoc.audio.write_wav(wav, np.full(800, 0.5), 8000)
    reports = json.loads(output(capfd, "info", "--json", *files, str(wav)))
    assert [r.get("layout") for r in reports] == ["lpcnet36", "lpcnet55", "lpcnet20", None]
    assert all(r["frames"] == 44 and r["seconds"] == 0.44 for r in reports[:3])
    assert "lpc" in reports[0]["ranges"] and "lpc" not in reports[2]["ranges"]
    assert reports[3]["kind"] == "audio"
    assert (reports[3]["sample_rate"], reports[3]["samples"], reports[3]["peak"]) == (
        8000,
        800,
        0.5,
    )
    text = output(capfd, "info", *files, str(wav))
    assert "44 frames, 0.44 s" in text
    assert "800 samples at 8000 Hz" in text


def test_info_of_what_is_neither(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.f32").write_text("hello there, reader!")
    (tmp_path / "short.gguf").write_bytes(b"GGUF")
    (tmp_path / "short.wav").write_bytes(b"RIFF")
    for name in ("empty", "text.f32", "short.gguf", "short.wav", "missing", "."):
        assert main(["info", str(tmp_path / name)]) == 3
        err = capfd.readouterr().err
        assert str(tmp_path) in err
        assert err.count("\n") == 1


def test_info_of_checkpoints(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    net = state_dict({k: v.astype("<f4") for k, v in arrays("zero.f32").items()}, "descript")
    averages = {name: array + np.float32(1) for name, array in net.items()}
    path = save_zip(tmp_path / "x y.pt", {"g": net, "g_ema": averages, "sample_rate": 16000})
    text = output(capfd, "info", str(path))
    assert f"{path}: checkpoint, MelGAN (descript.torch)" in text
    assert "16000 Hz (the checkpoint)" in text and "mels 80" in text and "plain weights" in text
    assert "note: it also holds weights averaged over training ('g_ema')" in text
    assert f"pyvoc convert '{path}' -o 'x y.gguf'" in text and "--precision f32, bf16)" in text
    (report,) = json.loads(output(capfd, "info", "--json", str(path)))
    assert report["kind"] == "checkpoint" and report["family"] == "MelGAN"
    assert report["parameters"] == sum(a.size for a in net.values())
    assert report["settings"]["pyvoc.features.hop_length"] == 256
    assert report["rate_from"] == "the checkpoint" and report["sample_rate"] == 16000
    assert not list(tmp_path.glob("*.gguf"))
    path.write_bytes(path.read_bytes()[:-100])
    assert main(["info", str(path)]) == 3
    assert "no end record" in capfd.readouterr().err


def test_info_of_other_programs_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "mel.npz", mel=np.zeros((80, 30), np.float32))
    vocos = {
        "backbone.convnext.0.dwconv.bias": np.ones(3, "<f4"),
        "head.out.bias": np.ones(3, "<f4"),
    }
    save_zip(tmp_path / "vocos.ckpt", {"state_dict": vocos})
    text = output(capfd, "info", str(tmp_path / "mel.npz"), str(tmp_path / "vocos.ckpt"))
    assert "a NumPy archive (.npz) of 'mel' [80, 30]" in text
    assert "a PyTorch file, no model that pyvoc reads: it is Vocos" in text
    reports = json.loads(output(capfd, "info", "--json", str(tmp_path / "mel.npz")))
    assert reports[0]["kind"] == "other" and "save one array" in reports[0]["advice"]


@pytest.mark.parametrize("command", ["synth", "features", "export"])
def test_a_checkpoint_is_no_model(
    command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save_zip(tmp_path / "net.pt", {"generator": {"a": np.ones(3, "<f4")}})
    (tmp_path / "x.f32").write_bytes(bytes(3600))
    out = str(tmp_path / "out")
    arguments = {
        "synth": ["synth", str(tmp_path / "x.f32"), "-m", str(path), "-o", f"{out}.wav"],
        "features": ["features", str(tmp_path / "x.f32"), "-m", str(path), "-o", f"{out}.npy"],
        "export": ["export", str(path), "--onnx", f"{out}.onnx"],
    }
    assert main(arguments[command]) == 3
    err = capfd.readouterr().err
    assert f"{path}: not a pyvoc model: it is a PyTorch file" in err and "pyvoc convert" in err


def test_doctor(capfd: pytest.CaptureFixture[str]) -> None:
    assert "pyvoc works" in output(capfd, "doctor")
    report = json.loads(output(capfd, "doctor", "--json"))
    assert report["ok"] is True
    checks = {check["name"]: check for check in report["checks"]}
    for name in ("python", "numpy", "soundfile", "extension", "kernel tier", "synthesis"):
        assert checks[name]["ok"] and checks[name]["core"]
    for name in ("soxr", "h5py", "gguf", "matplotlib", "sounddevice"):
        assert not checks[name]["core"]
        assert checks[name]["ok"] or checks[name]["hint"]


def test_doctor_finds_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    text = output(capfd, "doctor")  # optional
    assert "pip install 'pyvoc-vocoder[soxr]'" in text
    monkeypatch.setitem(sys.modules, "soundfile", None)
    text = output(capfd, "doctor", code=3)
    assert "FAIL  soundfile" in text
    assert "pyvoc does not work here" in text


def test_doctor_notices_the_other_package_of_our_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, version in (("pyvoc", "1.4.0"), ("pyvoc-vocoder", "0.1.0")):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
    monkeypatch.syspath_prepend(tmp_path)
    text = output(capfd, "doctor")
    assert "pyvoc-vocoder 0.1.0, and another package called pyvoc 1.4.0" in text
    assert "pip uninstall pyvoc pyvoc-vocoder; pip install pyvoc-vocoder" in text


def test_doctor_without_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(voices, "_FOLDER", tmp_path)
    text = output(capfd, "doctor", code=3)
    assert "FAIL  synthesis" in text
    assert f"none in '{tmp_path}': install pyvoc again" in text
    (tmp_path / "default.gguf").write_bytes(b"GGUF")
    assert "FAIL  synthesis" in output(capfd, "doctor", code=3)


def test_doctor_without_the_compiled_module() -> None:
    program = (
        "import sys; sys.modules['pyvoc._pyvoc'] = None\n"
        "from pyvoc.cli import main\n"
        "code = main(['doctor']); print(code, main(['info']), main(['synth', 'x', '-m', 'y']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "FAIL  extension" in done.stdout, done.stderr
    assert done.stdout.splitlines()[-1] == "3 4 4"
    assert "Traceback" not in done.stderr
