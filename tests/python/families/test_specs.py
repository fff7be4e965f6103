"""What holds of the layout contract of every family with tiny models of its own."""

from __future__ import annotations

from pathlib import Path

import fargan_files
import hifigan_files
import melgan_files
import numpy as np
import pytest
import waveglow_files
import wavernn_files
from containers import changed
from tiny_files import TinyFiles

from pyvoc.container import Container, ElementType, Tensor, read_container, write_container
from pyvoc.errors import UnsupportedError
from pyvoc.families import get, spec_of
from pyvoc.quant import encode

FAMILIES = (
    fargan_files.FILES,
    hifigan_files.FILES,
    melgan_files.FILES,
    waveglow_files.FILES,
    wavernn_files.FILES,
)
MODELS = [(files, path) for files in FAMILIES for path in sorted(files.folder.glob("*.gguf"))]
EVERY = pytest.mark.parametrize("files", FAMILIES, ids=lambda files: files.family)
MOST_BYTES = 600_000


@EVERY
def test_there_are_models(files: TinyFiles) -> None:
    paths = [path for other, path in MODELS if other is files]
    assert {path.stem for path in paths} == set(files.maker().MODELS)
    assert sum(path.stat().st_size for path in paths) < MOST_BYTES


@pytest.mark.parametrize(
    ("files", "path"), MODELS, ids=[f"{files.family}-{path.stem}" for files, path in MODELS]
)
def test_our_models_follow_the_spec_and_their_script(
    files: TinyFiles, path: Path, tmp_path: Path
) -> None:
    found = read_container(path)
    assert spec_of(found, "m") is files.spec
    files.spec.validate(found, str(path))
    again = encode(
        files.spec,
        files.arrays(path.stem),
        metadata=files.metadata(path.stem),
        precision=files.maker().MODELS[path.stem][1],
    )
    write_container(tmp_path / "m.gguf", again, spec=files.spec)
    assert (tmp_path / "m.gguf").read_bytes() == path.read_bytes()


@EVERY
def test_int8_wants_calibration_where_the_record_says_so(files: TinyFiles) -> None:
    assert get(files.family).calibrated == (files.family in ("hifigan", "melgan", "waveglow"))
    if get(files.family).calibrated:
        with pytest.raises(UnsupportedError, match=r"needs calibration.*pyvoc quantize"):
            encode(files.spec, files.arrays(), metadata=files.metadata(), precision="int8")


@EVERY
@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_hostile_shapes_give_sentences(files: TinyFiles, precision: str) -> None:
    rng = np.random.default_rng(5)
    model = read_container(files.folder / f"{files.usual}.gguf")
    if precision == "int8":
        model = int8_of(files)
    names = list(model.tensors)
    for _ in range(100):
        name = names[int(rng.integers(len(names)))]
        shape = tuple(int(n) for n in rng.integers(1, 6, int(rng.integers(1, 5))))
        kind = list(ElementType)[int(rng.integers(len(ElementType)))]
        broken = changed(model, tensors={name: Tensor(kind, np.ones(shape, kind.dtype))})
        found = files.spec.problems(broken)
        assert all(isinstance(problem, str) for problem in found)
        if kind is not model.tensors[name].type:
            assert found


def int8_of(files: TinyFiles) -> Container:
    if get(files.family).calibrated:
        return files.int8_container()
    return read_container(next(iter(sorted(files.folder.glob("*.int8.gguf")))))
