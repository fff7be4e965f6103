"""Pickled modules made to hurt: a sentence, nothing run, little memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import BAIT, refused
from torch_files import (
    PROTO,
    STOP,
    Raw,
    Writer,
    build,
    call,
    encode,
    glob,
    legacy_bytes,
    pickled,
    pid,
    save_zip,
)
from waveglow_checkpoints import Modules, module_file, read, state_dict, weights

from pyvoc.errors import ModelError

MODEL = glob("glow", "WaveGlow")
CONV = glob("torch.nn.modules.conv", "Conv1d")
RUN = call(glob("os", "system"), f"touch {BAIT}")
NONE = r"holds no (?:\w+ or )+\w+ model"


def instance(kind: Raw, state: Any) -> Raw:
    return build(Raw(encode(kind) + b")\x81"), state)


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


OBJECTS = {
    "a class is called": (call(MODEL, 80), NONE),
    "a layer is called": (call(CONV, 1, 1, 1), NONE),
    "made with arguments": (Raw(encode(MODEL) + encode((1,)) + b"\x81"), NONE),
    "a class gets a state": (build(MODEL, {"infer": 1}), r"sets the state of 'glow\.WaveGlow'"),
    "a state that runs": (instance(MODEL, {"_modules": RUN}), r"mentions 'os\.system'"),
    "a hook that runs": (
        instance(MODEL, {"_forward_pre_hooks": {1: glob("builtins", "exec")}}),
        r"mentions 'builtins\.exec'",
    ),
    "a state that is text": (instance(MODEL, "x"), NONE),
    "a state with odd keys": (instance(MODEL, {1: 2}), NONE),
    "attributes of a class": (glob("glow", "WaveGlow.infer"), NONE),
    "another class of the file": (instance(glob("glow", "Helper"), {}), NONE),
    "another class of PyTorch": (glob("torch.nn.modules.module", "Module"), NONE),
    "a function of PyTorch": (glob("torch.nn.utils.weight_norm", "weight_norm"), NONE),
    "a program of PyTorch": (glob("torch.jit", "ScriptModule"), NONE),
    "a backend with arguments": (
        call(glob("torch.nn.backends.thnn", "_get_thnn_function_backend"), 1),
        "backend is made of unexpected arguments",
    ),
    "another backend": (glob("torch.nn.backends.thnn", "system"), NONE),
    "a parameter of text": (
        call(glob("torch.nn.parameter", "Parameter"), "x"),
        "not a tensor",
    ),
    "a parameter that is made bare": (
        instance(glob("torch.nn.parameter", "Parameter"), {}),
        "makes an instance of 'torch.nn.parameter.Parameter'",
    ),
    "a source that is a program": (
        pid("module", RUN, "glow.py", "import os"),
        r"mentions 'os\.system'",
    ),
    "a source of something else": (
        pid("module", glob("torch", "FloatStorage"), "x", "y"),
        "persistent id",
    ),
    "an empty module": (instance(MODEL, {}), NONE),
    "tables that are none": (
        instance(MODEL, {"_modules": [1], "_parameters": "x", "_buffers": 7}),
        NONE,
    ),
    "a class of a harmful module": (instance(glob("os", "WN"), {}), r"mentions 'os\.WN'"),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_objects(tmp_path: Path, name: str) -> None:
    code, match = OBJECTS[name]
    value = {"model": code}
    refused(save_zip(tmp_path / "x.pt", pickled(value), writer=Writer(legacy=False)), match, read)
    (tmp_path / "old.pt").write_bytes(legacy_bytes(value, writer=Writer(legacy=True)))
    refused(tmp_path / "old.pt", match, read)


def test_sources_are_never_run(tmp_path: Path) -> None:
    source = f"open('{BAIT}', 'w')\nimport os; os.system('touch {BAIT}')\n"
    path = module_file(tmp_path / "x.pt", "early.f32", legacy=True, sources={"WaveGlow": source})
    assert read(path).metadata["waveglow.alternate"] is False
    assert not Path(BAIT).exists()


def module(children: bytes) -> bytes:
    """A module whose parts are what the opcodes leave on the stack."""
    return MODEL.code + b")\x81}" + encode("_modules") + children + b"s" + b"b"


def test_modules_within_themselves(tmp_path: Path) -> None:
    code = MODEL.code + b")\x81q\x00}" + encode("_modules") + b"}" + encode("a") + b"h\x00ssb"
    refused(save_zip(tmp_path / "x.pt", PROTO + code + STOP), NONE, read)


def test_deep_modules(tmp_path: Path) -> None:
    code = b"}"
    for _ in range(60):
        code = b"}" + encode("a") + module(code) + b"s"
    refused(save_zip(tmp_path / "x.pt", PROTO + module(code) + STOP), "nested deeper than 30", read)


def test_shared_parts_do_not_multiply(tmp_path: Path) -> None:
    """Ten times ten times ... the same part: looked at once."""
    code = MODEL.code + b")\x81q\x000"
    for level in range(60):
        part = b"h" + bytes([level])
        children = b"}(" + b"".join(encode(f"{i}") + part for i in range(10)) + b"u"
        code += module(children) + b"q" + bytes([level + 1]) + b"0"
    refused(save_zip(tmp_path / "x.pt", PROTO + code + b"h\x3c" + STOP), "nested deeper", read)
    code = code[: code.index(b"q\x0a")] + b"q\x0a0"
    refused(save_zip(tmp_path / "x.pt", PROTO + code + b"h\x0a" + STOP), NONE, read)


def test_many_modules_with_one_great_table(tmp_path: Path) -> None:
    """5,000 modules, each with the same 5,000 parameters."""
    table = b"}q\x00(" + b"".join(encode(f"p{i}") + b"N" for i in range(5000)) + b"u0"
    one = MODEL.code + b")\x81}" + encode("_parameters") + b"h\x00sb"
    many = b"}(" + b"".join(encode(f"m{i}") + one for i in range(5000)) + b"u"
    for code in (many, module(many)):
        path = save_zip(tmp_path / "x.pt", PROTO + table + code + STOP)
        refused(path, "hold more than 200000 entries", read)


def test_long_names(tmp_path: Path) -> None:
    name = encode("x" * 200)
    code = b"}" + name + module(b"}" + name + module(b"}") + b"s") + b"s"
    refused(save_zip(tmp_path / "x.pt", PROTO + module(code) + STOP), "longer than 300", read)


def test_tensors_of_modules_stay_within_their_storage(tmp_path: Path) -> None:
    writer = Writer(legacy=False)
    tensor = writer.tensor(np.ones(4, "<f4"), shape=(1 << 30,), strides=(0,))
    model = instance(MODEL, {"W_inverse": tensor})
    path = save_zip(tmp_path / "x.pt", pickled({"model": model}), writer=writer)
    refused(path, "leaves its storage", read)


def test_what_nobody_wants_is_not_read(tmp_path: Path) -> None:
    """A plain attribute may lie in a storage that was cut away: only parameters are read."""
    path = module_file(tmp_path / "x.pt", "early.f32", inverted=True)
    expected = weights()
    found = read(path)
    assert set(found.arrays) == set(expected)
    assert not any("inverse" in name for name in found.arrays)


def test_absurd_numbers(tmp_path: Path) -> None:
    state = state_dict(weights())
    state["WN.999.in_layers.0.weight"] = np.ones((16, 8, 3), "<f4")
    state["WN.0.in_layers.999.weight"] = np.ones((16, 8, 3), "<f4")
    with pytest.raises(ModelError) as caught:
        read(save_zip(tmp_path / "x.pt", state))
    assert "'WN.999.in_layers.0.weight' is unexpected" in str(caught.value)
    assert "'WN.0.in_layers.999.weight' is unexpected" in str(caught.value)
    assert len(str(caught.value)) < 5000
    for numbers in ({"n_group": 1 << 100}, {"n_early_every": 0}, {"n_early_size": -(1 << 90)}):
        path = module_file(tmp_path / "y.pt", "early.f32", numbers=numbers)
        refused(path, "its settings say n_", read)
    writer = Writer(legacy=False)
    settings = {"n_flows": float("nan"), "n_group": float("inf"), "WN_config": [1]}
    model = Modules(writer).waveglow(
        state_dict(weights()), {"WN_config": {"n_layers": 3, "n_channels": 8}}, hop=32
    )
    value = pickled({"model": model, "config": settings})
    assert read(save_zip(tmp_path / "z.pt", value, writer=writer)).metadata["waveglow.groups"] == 8
