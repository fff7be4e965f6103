"""A plain C project against the installed tree: shared, static, and through pkg-config.

Builds and installs the library into a temporary prefix once, then builds ``tests/capi/consumer.c``
(the contract of pyvoc.h, call by call) and ``examples/c/synth.c`` each way, and runs them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
MODELS = sorted((ROOT / "tests" / "golden").glob("*.gguf"))
WAVERNN = sorted((ROOT / "tests" / "golden" / "wavernn").glob("*.gguf"))
FLAVOURS = ("shared", "static", "pkg-config")
STRICT = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]

pytestmark = pytest.mark.skipif(
    shutil.which("cmake") is None or shutil.which("cc") is None, reason="needs cmake and cc"
)


def call(command: Sequence[str | Path], **options: object) -> subprocess.CompletedProcess[bytes]:
    """Runs a command that must succeed; its output is in the failure."""
    run = subprocess.run(command, capture_output=True, check=False, **options)  # type: ignore[call-overload]
    assert run.returncode == 0, f"{command}:\n{run.stdout.decode()}\n{run.stderr.decode()}"
    return run  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Programs:
    consumer: Path
    synth: Path
    fold: Path


@pytest.fixture(scope="session")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, built and installed (component ``devel``) into a folder of its own."""
    built = os.environ.get("PYVOC_NATIVE_BUILD")  # a finished build to install from
    build = Path(built) if built else tmp_path_factory.mktemp("library")
    if not built:
        call(["cmake", "-S", ROOT, "-B", build, "-DPYVOC_BUILD_TOOLS=OFF"])
        call(["cmake", "--build", build, "--parallel", "2"])
    target = tmp_path_factory.mktemp("installed")
    call(["cmake", "--install", build, "--prefix", target, "--component", "devel"])
    return target


@pytest.fixture(scope="session", params=FLAVOURS)
def programs(
    request: pytest.FixtureRequest, prefix: Path, tmp_path_factory: pytest.TempPathFactory
) -> Programs:
    """``consumer`` and ``synth``, linked in one of the ways a C project may use."""
    flavour: str = request.param
    out = tmp_path_factory.mktemp(flavour)
    if flavour == "pkg-config":
        if shutil.which("pkg-config") is None:
            pytest.skip("no pkg-config")
        folder = next(prefix.rglob("pyvoc.pc")).parent
        flags = (
            call(
                ["pkg-config", "--cflags", "--libs", "pyvoc"],
                env={**os.environ, "PKG_CONFIG_PATH": str(folder)},
            )
            .stdout.decode()
            .split()
        )
        rpath = f"-Wl,-rpath,{folder.parent}"
        made = {}
        for name, source in (
            ("consumer", ROOT / "tests/capi/consumer.c"),
            ("synth", ROOT / "examples/c/synth.c"),
            ("fold", ROOT / "examples/c/fold.c"),
        ):
            made[name] = out / name
            call(["cc", *STRICT, source, *flags, "-lm", rpath, "-o", made[name]])
        return Programs(**made)
    static = "ON" if flavour == "static" else "OFF"
    for project, option in (
        ("tests/capi", "CONSUMER_STATIC"),
        ("examples/c", "PYVOC_EXAMPLES_STATIC"),
    ):
        build = out / project.replace("/", "-")
        call(
            [
                *("cmake", "-S", ROOT / project, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}"),
                *("-DCMAKE_C_FLAGS=" + " ".join(STRICT), f"-D{option}={static}"),
            ]
        )
        call(["cmake", "--build", build])
    examples = out / "examples-c"
    return Programs(out / "tests-capi" / "consumer", examples / "synth", examples / "fold")


def test_flavour_is_linked_as_it_says(programs: Programs, request: pytest.FixtureRequest) -> None:
    if shutil.which("ldd") is None:
        pytest.skip("no ldd")
    flavour = request.node.callspec.params["programs"]
    for program in (programs.consumer, programs.synth, programs.fold):
        linked = call(["ldd", program]).stdout.decode()
        assert ("libpyvoc" in linked) == (flavour != "static"), linked


def test_contract_without_a_model(programs: Programs) -> None:
    assert b" 0 failed" in call([programs.consumer]).stdout


@pytest.mark.parametrize("model", MODELS, ids=lambda p: p.stem)
def test_contract(programs: Programs, model: Path) -> None:
    assert b" 0 failed" in call([programs.consumer, model]).stdout


# ---- examples/c/synth.c -------------------------------------------------------------------------


def layout_dims(model: Path) -> int:
    """Floats per frame of the model's feature files: its layout's name ends in the number."""
    data = model.read_bytes()
    at = data.index(b"pyvoc.features.layout") + len(b"pyvoc.features.layout") + 4
    length = int.from_bytes(data[at : at + 8], "little")
    return int(data[at + 8 : at + 8 + length].decode().removeprefix("lpcnet"))


def frames(model: Path, n: int) -> bytes:
    generator = np.random.default_rng(1)
    return generator.uniform(-0.3, 0.3, (n, layout_dims(model))).astype("<f4").tobytes()


def synth(programs: Programs, *arguments: str | Path, stdin: bytes = b"") -> tuple[int, bytes, str]:
    run = subprocess.run(
        [programs.synth, *arguments], input=stdin, capture_output=True, check=False
    )
    return run.returncode, run.stdout, run.stderr.decode()


@pytest.mark.parametrize("model", MODELS, ids=lambda p: p.stem)
def test_synth_file_and_pipe_agree(programs: Programs, model: Path, tmp_path: Path) -> None:
    features = tmp_path / "in.f32"
    features.write_bytes(frames(model, 9))
    out = tmp_path / "out.s16"
    code, _, message = synth(programs, model, features, out)
    assert code == 0, message
    assert "9 frames -> 1440 samples" in message
    assert out.stat().st_size == 2 * 1440
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.f32", "out.s16"]
    code, piped, message = synth(programs, model, "-", "-", stdin=features.read_bytes())
    assert code == 0, message
    assert piped == out.read_bytes()
    assert np.frombuffer(piped, "<i2").any()
    assert synth(programs, "--seed", "9", model, features)[1] != piped


def test_synth_speaks_the_installed_voice(programs: Programs, prefix: Path, tmp_path: Path) -> None:
    """What is installed is enough: a voice, and frames of the 20 floats that it reads."""
    voices = next(prefix.rglob("lpcnet.gguf")).parent
    model, features, out = voices / "lpcnet.gguf", voices / "demo.f32", tmp_path / "out.s16"
    code, _, message = synth(programs, model, features, out)
    assert code == 0, message
    n = features.stat().st_size // 80
    assert f"{n} frames -> {160 * n} samples" in message
    spoken = out.read_bytes()
    assert np.abs(np.frombuffer(spoken, "<i2")).max() > 3000
    code, piped, message = synth(programs, "--dims", "20", model, "-", stdin=features.read_bytes())
    assert code == 0, message
    assert piped == spoken
    code, _, message = synth(programs, "--dims", "19", model, features, out)
    assert code == 2 and "expected 20" in message
    both = tmp_path / "both.f32"  # 36 frames of 20 floats are 20 of 36
    both.write_bytes(features.read_bytes()[: 36 * 20 * 4])
    assert "--dims 20" in synth(programs, model, both)[2]


@pytest.mark.parametrize("model", MODELS[:1], ids=lambda p: p.stem)
def test_synth_refuses_bad_input(programs: Programs, model: Path, tmp_path: Path) -> None:
    good, out = tmp_path / "good.f32", tmp_path / "out.s16"
    good.write_bytes(frames(model, 4))
    cut, empty, nan = tmp_path / "cut.f32", tmp_path / "empty.f32", tmp_path / "nan.f32"
    cut.write_bytes(good.read_bytes()[:-3])
    empty.write_bytes(b"")
    nan.write_bytes(b"\xff" * len(good.read_bytes()))
    before = sorted(p.name for p in tmp_path.iterdir())
    cases: list[tuple[Path, Path, str]] = [
        (model, cut, "expected frames of"),
        (model, empty, "no frames"),
        (model, nan, "frame 0"),
        (model, tmp_path / "absent.f32", "absent.f32"),
        (model, tmp_path, str(tmp_path)),
        (good, good, "good.f32"),
        (tmp_path / "absent.gguf", good, "absent.gguf"),
    ]
    for model_path, features, said in cases:
        code, _, message = synth(programs, model_path, features, out)
        assert code == 3, (features.name, message)
        assert said in message
    assert sorted(p.name for p in tmp_path.iterdir()) == before, "a partial output was left"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("model", MODELS[:1], ids=lambda p: p.stem)
def test_synth_leaves_links_and_pipes_what_they_are(
    programs: Programs, model: Path, tmp_path: Path
) -> None:
    """As root a rename would replace a device too: only files are replaced."""
    features, pipe = tmp_path / "in.f32", tmp_path / "pipe"
    features.write_bytes(frames(model, 4))
    expected = synth(programs, model, features)[1]
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        code, _, message = synth(programs, model, features, pipe)
        assert code == 0, message
        assert os.read(reader, 1 << 16) == expected
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("there", "new"):
        link, target = tmp_path / f"to_{name}", folder / name
        link.symlink_to(target)
        if name == "there":
            target.write_bytes(b"before")
            assert synth(programs, model, tmp_path / "none.f32", link)[0] == 3
            assert target.read_bytes() == b"before"
        code, _, message = synth(programs, model, features, link)
        assert code == 0, message
        assert link.is_symlink() and target.read_bytes() == expected
    code, _, message = synth(programs, model, features, folder)
    assert code == 3 and "Is a directory" in message
    assert sorted(p.name for p in folder.iterdir()) == ["new", "there"]


def test_synth_usage(programs: Programs) -> None:
    for arguments in ([], ["m.gguf"], ["a", "b", "c", "d"], ["--sed", "1", "a", "b"]):
        code, _, message = synth(programs, *arguments)
        assert code == 2
        assert "usage: synth" in message
    for seed in ("-1", "x", "1x", ""):
        assert synth(programs, "--seed", seed, "a", "b")[0] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("model", MODELS[:1], ids=lambda p: p.stem)
def test_synth_reports_a_full_disk(programs: Programs, model: Path) -> None:
    with open("/dev/full", "wb") as full:
        run = subprocess.run(
            [programs.synth, model, "-"],
            input=frames(model, 30),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert run.returncode == 3
    assert b"cannot write" in run.stderr


# ---- docs/embedding.md --------------------------------------------------------------------------


def guide_programs() -> dict[str, str]:
    """The complete programs of the guide, by the name that their first line gives."""
    text = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```c(?:pp)?\n((?:/\* |// )(\w+\.cc?) .*?)```", text, re.DOTALL)
    return {name: source for source, name in blocks}


def test_guide_programs_compile_and_speak(prefix: Path, tmp_path: Path) -> None:
    if shutil.which("c++") is None:
        pytest.skip("no c++")
    sources = guide_programs()
    assert set(sources) == {"say.c", "parrot.c", "copy.cc"}
    library = next(prefix.rglob("libpyvoc.so")).parent
    link = [f"-I{prefix}/include", f"-L{library}", "-lpyvoc", f"-Wl,-rpath,{library}", "-lm"]
    programs = {}
    for name, source in sources.items():
        (tmp_path / name).write_text(source)
        programs[name] = tmp_path / Path(name).stem
        plain_c = name.endswith(".c")
        language = ["cc", *STRICT] if plain_c else ["c++", "-std=c++17", *STRICT[1:]]
        call([*language, tmp_path / name, *link, "-o", programs[name]])
    voices = next(prefix.rglob("lpcnet.gguf")).parent
    lpcnet, fargan = voices / "lpcnet.gguf", voices / "default.gguf"

    def pcm(run: subprocess.CompletedProcess[bytes]) -> np.ndarray:
        return np.frombuffer(run.stdout, "<i2")

    features = voices / "demo.f32"
    said = pcm(call([programs["say.c"], lpcnet, features]))
    assert said.size == features.stat().st_size // 80 * 160
    assert np.abs(said.astype(int)).max() > 3000

    copied = pcm(call([programs["copy.cc"], fargan], input=said.tobytes()))
    assert abs(copied.size - said.size) <= 320
    assert np.abs(copied.astype(int)).max() > 3000

    wide = np.repeat(said[:16000], 3)  # 48 kHz
    spoken = pcm(call([programs["parrot.c"], fargan], input=wide.tobytes()))
    assert spoken.size == wide.size
    assert np.abs(spoken.astype(int)).max() > 3000
    for program in programs.values():
        run = subprocess.run([program, features, features], capture_output=True, check=False)
        assert run.returncode == 1


# ---- examples/c/fold.c --------------------------------------------------------------------------


@pytest.mark.parametrize("model", WAVERNN, ids=lambda p: p.stem)
def test_folds_and_streams_as_in_python(programs: Programs, model: Path, tmp_path: Path) -> None:
    """The PCM of the command line, byte for byte: streamed, folded, and as upstream."""
    loaded = pytest.importorskip("pyvoc").load(model)
    rows = np.random.default_rng(3).uniform(0, 1, (30, loaded.info.feature_dims))
    features, out = tmp_path / "in.f32", tmp_path / "out.s16"
    features.write_bytes(rows.astype("<f4").tobytes())
    mel = tmp_path / "in.npy"
    np.save(mel, rows.astype("<f4"))

    def python(**options: Any) -> bytes:
        """What ``pyvoc synth`` does."""
        from pyvoc.runtime import synthesis

        target = tmp_path / "python.s16"
        synthesis.from_files(loaded, [str(mel)], [str(target)], raw=True, options=options)
        return target.read_bytes()

    code, streamed, message = synth(programs, model, features)
    assert code == 0, message
    assert streamed == python() and np.frombuffer(streamed, "<i2").any()
    hop = len(streamed) // 2 // 30
    fold = (2 * hop + 3, hop // 2)
    sizes = [str(n) for n in fold]
    call([programs.fold, model, features, out, *sizes])
    assert out.read_bytes() == python(fold=fold)
    assert len(out.read_bytes()) == len(streamed)
    call([programs.fold, "--upstream", model, features, out, *sizes])
    assert out.read_bytes() == python(fold=fold, upstream_compat=True)
    call([programs.fold, "--upstream", model, features, out, "0", "0"])
    assert out.read_bytes() == python(upstream_compat=True)

    out.unlink()
    ragged = tmp_path / "ragged.f32"
    ragged.write_bytes(features.read_bytes()[:-1])
    for wrong, said in (
        ([model, features, out, "9999999", "5"], b"longer than the utterance"),
        ([model, features, out, "5", "5"], b"must be less than the target"),
        ([model, ragged, out, *sizes], b"cannot be read as frames"),
        ([features, features, out, *sizes], b"in.f32"),
        ([MODELS[0], features, out, *sizes], b""),
    ):
        run = subprocess.run([programs.fold, *wrong], capture_output=True, check=False)
        assert run.returncode == 1 and said in run.stderr, run.stderr
        assert not out.exists()
    if Path("/dev/full").exists():
        out.symlink_to("/dev/full")
        run = subprocess.run(
            [programs.fold, model, features, out, *sizes], capture_output=True, check=False
        )
        assert run.returncode == 1 and b"cannot write" in run.stderr, run.stderr
        assert out.is_symlink(), "a device could have been removed"
