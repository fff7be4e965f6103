"""Training: settings, devices, and checkpoints that are not what they should be."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from pyvoc import Error, ModelError, UnsupportedError
from pyvoc.cli import main
from pyvoc.train import TrainConfig, from_mapping, train
from pyvoc.train.config import layered, save_config
from pyvoc.train.mapping import read_yaml
from pyvoc.train.yaml_text import read_value

torch = pytest.importorskip("torch")
import toy_task  # noqa: E402
from test_train_loop import config, final, losses  # noqa: E402

from pyvoc.train import checkpoint as files  # noqa: E402
from pyvoc.train.device import choose_device  # noqa: E402


@dataclass(frozen=True)
class Inner:
    """For the tests of `from_mapping`."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"'low' ({self.low:g}) is above 'high' ({self.high:g})")


@dataclass(frozen=True)
class Outer:
    """For the tests of `from_mapping`."""

    name: str
    count: int = 1
    rate: float = 0.5
    on: bool = False
    kind: Literal["tree", "softmax"] = "tree"
    maybe: int | None = None
    sizes: tuple[int, ...] = ()
    pair: tuple[float, float] = (0.0, 1.0)
    inner: Inner = Inner()
    free: Mapping[str, Any] = field(default_factory=dict)


def test_from_mapping() -> None:
    assert from_mapping(Outer, {"name": "x"}, "f") == Outer("x")
    settings = {"name": "x", "count": 3, "rate": "1e-3", "on": True, "kind": "softmax"}
    settings |= {"maybe": 4, "sizes": [1, 2], "pair": [1, 2.5], "inner": {"low": -1}}
    settings |= {"free": {"a": [1]}}
    assert from_mapping(Outer, settings, "f") == Outer(
        *("x", 3, 0.001, True, "softmax", 4, (1, 2), (1.0, 2.5), Inner(-1.0)), {"a": [1]}
    )
    assert from_mapping(Inner, None, "f") == Inner()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ([1], r"f.yaml: expected settings \(key: value\), found \[1\]"),
        ({}, "f.yaml: 'name' is missing"),
        ({"name": "x", "cuont": 1}, "f.yaml: 'cuont' is no setting; did you mean 'count'?"),
        ({"name": "x", 7: 1}, "f.yaml: 7 is no setting; known are count, "),
        ({"name": 1}, "f.yaml: 'name' is 1, expected text"),
        ({"name": "x", "count": 1.0}, "f.yaml: 'count' is 1.0, expected a whole number"),
        ({"name": "x", "count": True}, "f.yaml: 'count' is True, expected a whole number"),
        ({"name": "x", "rate": float("nan")}, "f.yaml: 'rate' is nan, expected a number"),
        ({"name": "x", "rate": "fast"}, "f.yaml: 'rate' is 'fast', expected a number"),
        ({"name": "x", "on": 1}, "f.yaml: 'on' is 1, expected true or false"),
        ({"name": "x", "kind": "bush"}, "'kind' is 'bush', expected one of 'tree', 'softmax'"),
        ({"name": "x", "maybe": "no"}, "f.yaml: 'maybe' is 'no', expected a whole number"),
        ({"name": "x", "sizes": [1, "a"]}, r"f.yaml: 'sizes'\[1\] is 'a', expected a whole"),
        ({"name": "x", "pair": [1]}, "f.yaml: 'pair' has 1 values, expected 2"),
        ({"name": "x", "inner": {"lo": 1}}, "f.yaml: 'inner': 'lo' is no setting"),
        ({"name": "x", "inner": {"low": 2}}, r"'inner': 'low' \(2\) is above 'high' \(1\)"),
        ({"name": "x", "free": 3}, r"'free' is 3, expected settings \(key: value\)"),
        ({"name": [["x"] * 999] * 999}, "'name' is .{1,300}, expected text"),
    ],
)
def test_wrong_settings(settings: object, message: str) -> None:
    with pytest.raises(Error, match=message.replace("?", r"\?")):
        from_mapping(Outer, settings, "f.yaml")


def test_all_problems_in_one_message() -> None:
    with pytest.raises(Error) as caught:
        from_mapping(Outer, {"name": 1, "count": "a", "x": 1}, "f")
    assert len(str(caught.value).splitlines()) == 3


def test_layers(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text("lr: 2e-3\nepochs: 3\nmodel: {gru_a: 192}\ndata: {path: a, gain: 2}\n")
    flags = {"family": ("toy", "-"), "epochs": (4, "--epochs"), "data.path": ("b", "--data")}
    stored = {"family": "toy", "epochs": 9, "batch_size": 8, "model": {"gru_b": 16}}
    found = layered(flags, config_file=str(file), stored=stored, stored_name="c.pt")
    assert (found.lr, found.epochs, found.batch_size) == (0.002, 4, 8)
    assert found.model == {"gru_a": 192, "gru_b": 16}
    assert found.data == {"path": "b", "gain": 2}
    save_config(found, tmp_path / "saved.yaml")
    assert layered({}, config_file=str(tmp_path / "saved.yaml")) == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: -1", "'lr' is -1, expected more than 0"),
        ("bath_size: 3", "'bath_size' is no setting; did you mean 'batch_size'"),
        ("batch_size: 0", "'batch_size' is 0, expected at least 1"),
        ("lr: 1.e-3\nlr_final: 1.0", r"'lr_final' \(1\) is greater than 'lr' \(0.001\)"),
        ("amp_dtype: fp16\ndevice: cpu", "processors train in bf16"),
        ("export_checkpoints: false", "'samples' needs 'export_checkpoints'"),
        ("schedule: linear", "'schedule' is 'linear', expected one of 'decay', 'cosine'"),
        ("precision: int4", "'precision' is 'int4', expected one of"),
        ("model: 3", "'model' is 3, expected settings"),
        ("family: melgan", "'family' is 'melgan', but the command line says 'toy'"),
        ("lr: 1\nlr: 2", "'lr' is given twice"),
        ("a: [", "is no YAML"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
        ("- 1", r"expected settings \(key: value\), found \[1\]"),
        ("\x00", "is no YAML"),
    ],
)
def test_wrong_config_files(
    tmp_path: Path, text: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    flags = {"family": ("toy", "the command line")}
    with pytest.raises(Error, match=message) as caught:
        layered(flags, config_file=str(file))
    assert "recipe.yaml" in str(caught.value)
    assert main(["train", "toy", "--config", str(file)]) == 3
    assert "recipe.yaml" in capfd.readouterr().err


def test_config_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(Error, match="cannot read"):
        read_yaml(str(tmp_path / "none.yaml"))
    (tmp_path / "big.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    with pytest.raises(Error, match="more than the 1 MiB that are read"):
        read_yaml(str(tmp_path / "big.yaml"))
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(str(tmp_path / "empty.yaml")) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--set", "model.widht=3"],
            "settings: model: 'widht' is no setting; did you mean",
        ),
        (["--set", "lr"], "--set lr: expected KEY=VALUE"),
        (["--set", "lr=[", "--epochs=1"], "the value is no YAML"),
        (["--set", "lr=1", "--lr=2"], "--lr and --set lr are both given"),
        (["--lr=-1"], "--lr: 'lr' is -1, expected more than 0"),
        (["--resume"], "has no checkpoint"),
        (["--resume", "nothing.pt"], "cannot resume from 'nothing.pt': there is no such file"),
        (["--finetune", "nothing.h5"], "cannot read 'nothing.h5'"),
        (["--warmup-steps=99", "--epochs=1"], "'warmup_steps' is 99, but the run ends at step 10"),
        (["--device=a b"], "--device a b: expected auto, cpu"),
    ],
)
def test_wrong_arguments(
    tmp_path: Path, arguments: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "toy", "--model-dir", str(tmp_path / "run"), *arguments]) == 3
    assert message in capfd.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--epochs=x"], ["--use-amp=maybe"], ["--lr", "fast"], ["--epochs"]]
)
def test_usage(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "toy", *arguments])
    assert caught.value.code == 2
    assert "usage: pyvoc train" in capfd.readouterr().err


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(UnsupportedError, match=r"--device cuda: not usable here: .*no acc"):
        choose_device("cuda")
    with pytest.raises(UnsupportedError, match="needs the package torch_mlu and its driver"):
        choose_device("mlu")
    chosen: list[int] = []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "set_device_index", chosen.append)
    assert choose_device("auto") == torch.device("cuda", 0)
    assert choose_device("cuda", local_rank=1, local_world=2) == torch.device("cuda", 1)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert chosen == [0, 1, 1]
    with pytest.raises(UnsupportedError, match="device 2 is not there: 2 of 'cuda'"):
        choose_device("auto", local_rank=2, local_world=3)
    with pytest.raises(Error, match="leave the number out"):
        choose_device("cuda:0", local_world=2)
    with pytest.raises(UnsupportedError, match="finds 'cuda'"):
        choose_device("npu")


def test_without_torch(tmp_path: Path) -> None:
    """`pyvoc train` says what to install; settings and help work all the same."""
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')\n")
    paths = [str(tmp_path), str(Path(toy_task.__file__).parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}
    for arguments, code, text in (
        (
            ["lpcnet", "--data", "x"],
            4,
            "torch, which is not installed: pip install 'pyvoc-vocoder[train]'",
        ),
        (["--help"], 0, "--use-performance"),
    ):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "pyvoc", "train", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=tmp_path,
        )
        assert done.returncode == code, done.stderr
        assert text in done.stdout + done.stderr


def test_a_second_run_does_not_overwrite_the_first(tmp_path: Path) -> None:
    train(config(tmp_path / "run"))
    before = sorted((p.name, p.read_bytes()) for p in (tmp_path / "run").glob("*.pt"))
    with pytest.raises(Error, match=r"has the checkpoint 'checkpoint-0+20\.pt' already: add"):
        train(config(tmp_path / "run"))
    assert sorted((p.name, p.read_bytes()) for p in (tmp_path / "run").glob("*.pt")) == before
    assert train(config(tmp_path / "new", epochs=1), resume="auto").step == 10


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    train(config(folder / "run", epochs=1))
    return folder / "run" / "checkpoint-000000010.pt"


def rewritten(source: Path, target: Path, **values: Any) -> Path:
    content = torch.load(source, weights_only=True)
    content.update(values)
    torch.save(content, target)
    return target


class Evil:
    """Runs something when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("evil",)


def test_malicious_checkpoints(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = tmp_path / "bad.pt"
    rewritten(trained, bad, task={"updates": Evil()})
    with pytest.raises(ModelError, match="holds more than tensors, numbers and text"):
        train(config(tmp_path / "run"), resume=str(bad))
    with pytest.raises(ModelError, match="holds more than tensors, numbers and text"):
        train(config(tmp_path / "run", finetune=str(bad)))
    assert not (tmp_path / "evil").exists()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"0" * 10_000_000)
    with pytest.raises(ModelError, match="compressed, ours never are"):
        files.parse(bomb.getvalue(), "bomb.pt")


def test_damaged_checkpoints(trained: Path, tmp_path: Path) -> None:
    content = trained.read_bytes()
    for size in (0, 10, 100, len(content) // 2, len(content) - 1):
        with pytest.raises(ModelError, match=r"x\.pt"):
            files.parse(content[:size], "x.pt")
    with zipfile.ZipFile(trained) as archive:
        offsets = {e.filename: e.header_offset for e in archive.infolist()}
    at = next(offset for name, offset in offsets.items() if name.endswith("data/0"))
    for offset in range(at + 64, at + 90, 7):
        spoiled = bytearray(content)
        spoiled[offset] ^= 0x40
        if bytes(spoiled) == content:
            continue
        try:
            files.parse(bytes(spoiled), "x.pt")
        except ModelError as error:
            assert "x.pt" in str(error)
    spoiled = bytearray(content)
    with zipfile.ZipFile(trained) as archive:
        weights = archive.read(next(n for n in offsets if n.endswith("data/0")))
    start = content.index(weights)
    spoiled[start] ^= 1
    with pytest.raises(ModelError, match=r"the checksum of '.*data/0' is wrong"):
        files.parse(bytes(spoiled), "x.pt")


def test_checkpoints_of_something_else(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    run = config(tmp_path / "run")
    h = torch.zeros(4, 8)
    nan = {"leak": torch.full((8,), float("nan"))}
    for values, message in (
        ({"format": "x"}, "no checkpoint of pyvoc train"),
        ({"version": 3}, "checkpoint version 3, expected 2"),
        ({"step": "x"}, "'step' is no int"),
        ({"step": -1}, "impossible"),
        ({"config": "{"}, "settings are no JSON"),
        ({"module": {"leak": 3}}, "holds other things than tensors"),
        ({"module": nan}, "'leak' is not finite"),
        ({"module": {"leak": torch.zeros(8)}}, "'read.weight' is missing"),
        ({"family": "lpcnet"}, "checkpoint of a lpcnet model, expected toy"),
        ({"task": {}}, "checkpoint of another model: 'updates'"),
        ({"optimizers": {"main": {}}}, "its optimizer state does not fit"),
        ({"optimizers": {}}, "has the optimizers , expected main"),
        ({"state": {}}, "recurrent state 'h' is missing"),
        ({"state": {"h": h[:3]}}, r"recurrent state 'h' is \[3, 8\], expected \[4, 8\]"),
        ({"progress": {}}, "progress is unreadable"),
    ):
        rewritten(trained, other, **values)
        with pytest.raises(ModelError, match=message):
            train(run, resume=str(other))
    optimizer = torch.load(trained, weights_only=True)["optimizers"]["main"]
    optimizer["state"][0]["exp_avg"] = torch.zeros(5)
    rewritten(trained, other, optimizers={"main": optimizer})
    with pytest.raises(ModelError, match="'exp_avg' of parameter 0 has shape"):
        train(run, resume=str(other))
    with pytest.raises(ModelError, match=r"'leak' is torch.float32 \[8\], expected .* \[6\]"):
        train(config(tmp_path / "run", model={"width": 6}), resume=str(trained))
    with pytest.raises(Error, match="with 'batch_size' 8: it was 4"):
        train(config(tmp_path / "run", batch_size=8), resume=str(trained))
    assert not (tmp_path / "run").exists()


def test_checkpoints_of_the_first_version_are_continued(trained: Path, tmp_path: Path) -> None:
    """They had one optimizer, and no name for it."""
    content = torch.load(trained, weights_only=True)
    content["optimizer"] = content.pop("optimizers")["main"]
    content["version"] = 1
    old = tmp_path / "old.pt"
    torch.save(content, old)
    for name, path in (("new", trained), ("old", old)):
        train(config(tmp_path / name), resume=str(path))
    one, two = final(tmp_path / "new", 20), final(tmp_path / "old", 20)
    assert all(torch.equal(one.module[name], two.module[name]) for name in one.module)


def test_a_full_disk(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands in for it: the write fails, and the checkpoint before is intact."""
    run = tmp_path / "run"
    train(config(run, epochs=1))
    before = (run / "checkpoint-000000010.pt").read_bytes()
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2},) * 2)\n"
        "import toy_task; from pyvoc.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["train", "toy", "--model-dir", str(run), "--resume", "--epochs=2"]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert done.returncode == 3, done.stderr
    assert "pyvoc: cannot write '" in done.stderr and "File too large" in done.stderr
    assert (run / "checkpoint-000000010.pt").read_bytes() == before
    assert (run / "latest").read_text() == "checkpoint-000000010.pt\n"
    assert not list(run.glob("*.tmp-*"))
    assert train(config(run), resume="latest").step == 20
    assert len(losses(run)) == 20 and final(run, 20).step == 20


def test_config_is_written(tmp_path: Path) -> None:
    wanted = config(tmp_path / "run", epochs=1, model={"noise": 0.1})
    train(wanted)
    assert layered({}, config_file=str(tmp_path / "run" / "config.yaml")) == wanted
    assert isinstance(wanted, TrainConfig)


@pytest.mark.parametrize(
    ("output", "model_dir", "folder", "target"),
    [
        ("", "", "toy_model", "toy_model/toy.gguf"),
        ("", "run", "run", "run/toy.gguf"),
        ("voice.gguf", "", "toy_model", "voice.gguf"),
        ("voice.gguf", "run", "run", "voice.gguf"),
        ("models/output", "", "models/output", "models/output/toy.gguf"),
        ("models/output", "run", "run", "models/output/toy.gguf"),
        ("v1.2/", "", "v1.2", "v1.2/toy.gguf"),
        ("there.is", "", "there.is", "there.is/toy.gguf"),
        ("old_voice", "", "toy_model", "old_voice"),
    ],
)
def test_where_things_go(
    output: str,
    model_dir: str,
    folder: str,
    target: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder that is named as the output is that of the run, where no other is named."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.is").mkdir()
    (tmp_path / "old_voice").touch()
    found = TrainConfig(family="toy", output=output, model_dir=model_dir)
    assert (found.folder, found.target) == (Path(folder), Path(target))


def test_an_output_that_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Weights and log go there, which is said; the same command goes on from there."""
    monkeypatch.chdir(tmp_path)
    arguments = ["train", "toy", "--output", "models/output", "--threads=1", "--batch-size=4"]
    said = "pyvoc train: 'models/output' is a folder: checkpoints and log go there too"
    assert main([*arguments, "--epochs=1"]) == 0
    assert said in capfd.readouterr().err
    folder = tmp_path / "models" / "output"
    names = {path.name for path in folder.iterdir()}
    assert {"toy.gguf", "log.jsonl", "checkpoint-000000010.pt", "config.yaml"} <= names
    assert main([*arguments, "--epochs=2", "--resume"]) == 0
    assert len(losses(folder)) == 2, "every tenth step is in the log"
    capfd.readouterr()
    assert main([*arguments, "--epochs=1", "--model-dir=run"]) == 0
    assert "is a folder" not in capfd.readouterr().err
    assert (tmp_path / "run" / "log.jsonl").is_file()
    assert not (tmp_path / "toy_model").exists()


@pytest.mark.parametrize(
    "text",
    [
        "&a [*a,*a,*a,*a,*a,*a]",  # of itself
        "x: &a {y: *a}",
        "&a {? *a : 1}",
        "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]",  # doubles with every line
    ],
)
def test_aliases_that_nest_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(Error, match=r"x\.yaml: the alias '\*[ab]' nests"):
        read_yaml(str(tmp_path / "x.yaml"))
    with pytest.raises(Error, match=r"--set x: the alias '\*[ab]' nests"):
        read_value(text, "--set x")


def test_other_aliases_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("a: &a [1, 2]\nb: *a\nc: {<<: {d: 1}, e: *a}")
    assert read_yaml(str(tmp_path / "x.yaml")) == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": 1, "e": [1, 2]},
    }
    (tmp_path / "x.yaml").write_text("a: &a 1\nb: [" + "*a ," * 1001 + "]")
    with pytest.raises(Error, match="is one of more than a thousand"):
        read_yaml(str(tmp_path / "x.yaml"))


def test_messages_are_bounded() -> None:
    many = {f"{'x' * 1000}{i}": i for i in range(500)}
    with pytest.raises(Error) as caught:
        from_mapping(Outer, many, "f.yaml")
    assert str(caught.value).count("\n") == 20
    assert str(caught.value).endswith("... and 481 more")  # and 'name' is missing
    assert len(str(caught.value)) < 10000
