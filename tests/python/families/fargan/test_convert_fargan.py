"""FARGAN's checkpoints: weight blobs, C sources in every wrapping, PyTorch's, and broken ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from fargan_files import (
    BLOB,
    FILES,
    FLOAT,
    GOLDEN,
    blob,
    exported,
    state_dict,
    upstream_int8,
    upstream_model,
)
from lpcnet_files import Upstream, write_blob
from torch_files import save_zip

import pyvoc
from pyvoc.container import read_container
from pyvoc.convert import convert
from pyvoc.convert.describe import describe
from pyvoc.convert.detect import detect
from pyvoc.errors import Error, ModelError, OptionError
from pyvoc.families.fargan.exported import NO_PITCH
from pyvoc.families.fargan.names import LAYERS, PITCH_ARRAYS, PITCH_LAYERS, reordered
from pyvoc.families.fargan.spec import FARGAN
from pyvoc.quant import decode

Arrays = dict[str, np.ndarray]


def c_text(arrays: Arrays) -> str:
    """As upstream writes them."""
    lines = [
        '/*Auto generated from checkpoint x*/\n#ifdef HAVE_CONFIG_H\n#include "config.h"\n#endif'
    ]
    for name, array in arrays.items():
        kind = "float" if array.dtype.kind == "f" else "opus_int8"
        numbers = [repr(float(x)) if kind == "float" else str(int(x)) for x in array]
        rows = ",\n   ".join(", ".join(numbers[k : k + 8]) for k in range(0, len(numbers), 8))
        lines.append(
            f"#define {name.upper()}_DEFINED\nstatic const {kind} {name}[{len(array)}] = {{"
        )
        lines.append(f"   {rows}\n}};\n")
    lines.append('const WeightArray fargan_arrays[] = {\n {"x", 0, 1, sizeof(x), x},\n {NULL}\n};')
    return "\n".join(lines)


def files(arrays: Arrays) -> dict[str, str]:
    """As upstream divides them: each network has a file, that for the pitch too."""
    pitch = {name: array for name, array in arrays.items() if name in PITCH_ARRAYS}
    rest = {name: array for name, array in arrays.items() if name not in pitch}
    found = {"README": "x", "dnn/fargan_data.c": c_text(rest)}
    return found | ({"dnn/pitchdnn_data.c": c_text(pitch)} if pitch else {})


def tree(folder: Path, arrays: Arrays) -> Path:
    (folder / "opus" / "dnn").mkdir(parents=True)
    for name, text in files(arrays).items():
        (folder / "opus" / name).write_text(text)
    return folder / "opus"


def archive(folder: Path, arrays: Arrays, kind: str = "gz") -> Path:
    path = folder / "some.tar"  # recognised by content
    with tarfile.open(path, f"w:{kind}") as tar:
        for name, text in files(arrays).items():
            member = tarfile.TarInfo(f"opus-1.6.1/{name}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def wrapped(how: str, folder: Path, arrays: Arrays) -> Path:
    if how == "blob":
        return blob(folder / "weights", arrays)
    if how == "tree":
        return tree(folder, arrays)
    if how == "file":
        return tree(folder, arrays) / "dnn" / "fargan_data.c"
    return archive(folder, arrays, how)


WAYS = ("blob", "tree", "file", "gz", "xz")


@pytest.mark.parametrize("how", WAYS)
def test_float_arrays(how: str, tmp_path: Path) -> None:
    path = wrapped(how, tmp_path, exported())
    made = convert(path, tmp_path / "m.gguf")
    assert made.format == ("dnnw.float" if how == "blob" else "opus-c.float")
    container = read_container(tmp_path / "m.gguf")
    found = decode(FARGAN, container)
    for name, array in FILES.arrays().items():
        np.testing.assert_array_equal(found[name], array.astype("<f4"), err_msg=name)
    assert len(str(container.metadata["pyvoc.source.sha256"])) == 64
    assert pyvoc.load(tmp_path / "m.gguf").info.pitch_network and not made.notes


@pytest.mark.parametrize("how", WAYS)
def test_without_the_network_for_the_pitch(how: str, tmp_path: Path) -> None:
    path = wrapped(how, tmp_path, exported("odd.f32"))
    made = convert(path, tmp_path / "m.gguf")
    assert made.notes == (NO_PITCH,)
    assert not pyvoc.load(tmp_path / "m.gguf").info.pitch_network


@pytest.mark.parametrize("how", ["blob", "gz"])
def test_int8_arrays_stay_as_they_are(how: str, tmp_path: Path) -> None:
    path = wrapped(how, tmp_path, exported(int8=True))
    convert(path, tmp_path / "m.gguf", precision="int8")
    container = read_container(tmp_path / "m.gguf")
    for layer in LAYERS:
        if layer.ours.startswith(FLOAT):
            continue
        wanted = upstream_int8("even.f32", layer)
        if layer.ours == "out.weight":  # in float at int8, the values of the integers
            expected = wanted.to_float().astype("<f4")
            np.testing.assert_allclose(container.tensors[layer.ours].data, expected, rtol=1e-6)
            continue
        np.testing.assert_array_equal(container.tensors[layer.ours].data, wanted.q)
        scale = container.tensors[f"{layer.ours}.scale"].data
        np.testing.assert_allclose(scale, wanted.scale, rtol=1e-6)
    for layer in PITCH_LAYERS:
        wanted = upstream_int8("even.f32", layer)
        np.testing.assert_array_equal(container.tensors[layer.ours].data, wanted.q)


def test_a_training_checkpoint(tmp_path: Path) -> None:
    """Weight norms folded, the convolution's taps one after the other."""
    path = tmp_path / "fargan.pth"
    save_zip(path, {"state_dict": state_dict(), "model_args": (), "model_kwargs": {}, "epoch": 3})
    made = convert(path, tmp_path / "m.gguf")
    assert made.format == "opus.torch" and made.sample_rate == 16000
    found = decode(FARGAN, read_container(tmp_path / "m.gguf"))
    for name, array in found.items():
        expected = FILES.arrays()[name]
        np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-7, err_msg=name)
    assert "out.weight" in found and made.notes == (NO_PITCH,)
    assert describe(path)["family"] == "FARGAN"


def test_other_networks_beside_it(tmp_path: Path) -> None:
    """Upstream's one blob holds those of all of Opus."""
    arrays = {"plc_dense_in_bias": np.ones(3, "<f4"), **exported()}
    convert(blob(tmp_path / "b", arrays), tmp_path / "m.gguf")
    path = wrapped("file", tmp_path, arrays | {"pitchdnn_x": np.ones(2, "<f4")})
    convert(path, tmp_path / "n.gguf", arch="fargan")
    # and LPCNet's blobs are still LPCNet's
    other = write_blob(tmp_path / "lpcnet", Upstream().blob_records(int8=False))
    assert detect(other)(other).spec.architecture == "pyvoc.lpcnet"
    with pytest.raises(ModelError, match="expected a lpcnet checkpoint"):
        detect(path, "lpcnet")


def broken(change: str) -> Arrays:
    arrays = exported(int8=True)
    if change == "missing":
        del arrays["sig_net_gru1_input_scale"], arrays["cond_net_fdense1_weights_float"]
    elif change == "unexpected":
        arrays["sig_net_gru4_input_scale"] = np.ones(3, "<f4")
    elif change == "size":
        arrays["sig_net_skip_dense_weights_int8"] = np.zeros(12, "i1")
    elif change == "nan":
        arrays["sig_net_gain_dense_out_bias"][1] = np.nan
    elif change == "bias":
        arrays["sig_net_fwc0_conv_bias"] = np.ones(24, "<f4")
    elif change == "scale":
        arrays["sig_net_fwc0_conv_scale"] = np.zeros(24, "<f4")
    elif change == "shape":
        arrays["sig_net_gru2_glu_gate_weights_int8"] = np.zeros(16 * 24, "i1")
    elif change == "pitch missing":
        del arrays["gru_1_recurrent_scale"], arrays["conv2d_2_bias"]
    elif change == "pitch size":
        arrays["conv2d_1_weight_float"] = np.zeros(20, "<f4")
    elif change == "pitch shape":
        arrays["dense_if_upsampler_2_weights_int8"] = np.zeros(8 * 24, "i1")
    elif change == "pitch outputs":
        for leaf, n in (("weights_int8", 176 * 16), ("scale", 176), ("bias", 176)):
            name = f"dense_final_upsampler_{leaf}"
            arrays[name] = arrays[name][:n]
    elif change == "pitch nan":
        arrays["gru_1_input_bias"][5] = np.inf
    return arrays


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing", r"2 problems:.*fdense1_weights_float' is missing.*input_scale' is missing"),
        ("unexpected", "array 'sig_net_gru4_input_scale' is unexpected"),
        ("size", "skip_dense_weights_int8' has 12 values for 16 outputs"),
        ("nan", "gain_dense_out_bias' has values that are NaN"),
        ("bias", "fwc0_conv_bias' is not zero"),
        ("scale", "fwc0_conv_scale' has scales that are not positive"),
        ("shape", r"'gru2.gate.weight' would have shape \[16, 24\], expected \[16, 16\]"),
        ("pitch missing", r"2 problems:.*gru_1_recurrent_scale' is m.*conv2d_2_bias' is missing"),
        ("pitch size", "conv2d_1_weight_float' has 20 values, expected a multiple of 18"),
        ("pitch shape", r"'pitch.phases2.weight' would have shape \[8, 24\], expected \[8, 16\]"),
        ("pitch outputs", r"'pitch.out.weight' would have shape \[176, 16\], expected \[180, 16\]"),
        ("pitch nan", "gru_1_input_bias' has values that are NaN"),
    ],
)
def test_refused(change: str, message: str, tmp_path: Path) -> None:
    path = blob(tmp_path / "b", broken(change))
    with pytest.raises(ModelError, match=rf"(?s){path}: .*{message}"):
        convert(path, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


def test_refused_in_c(tmp_path: Path) -> None:
    path = tree(tmp_path, exported())
    file = path / "dnn" / "fargan_data.c"
    text = file.read_text()
    for old, new, message in (
        ("static const float sig_net_fwc0_conv_bias[24]", None, "fwc0_conv_bias' is cut off"),
        ("[24] = {\n   0.0", "[24] = {\n   zero", "does not hold float numbers alone"),
        ("fwc0_conv_bias[24]", "fwc0_conv_bias[25]", "has 24 numbers, expected 25"),
        ("float sig_net_fwc0_conv_bias", "double sig_net_fwc0_conv_bias", "is of type double"),
    ):
        at = text.index(old)
        file.write_text(text[: at + len(old) + 20] if new is None else text.replace(old, new))
        with pytest.raises(ModelError, match=rf"{file}: (?s:.*){message}"):
            convert(path, tmp_path / "m.gguf")
    with pytest.raises(OptionError, match="leave no choice"):
        convert(path, tmp_path / "m.gguf", rate=8000)
    pitch = file.with_name("pitchdnn_data.c")
    file.write_text(text)
    pitch.write_text(pitch.read_text().replace("conv2d_1_bias[2]", "conv2d_1_bias[3]"))
    with pytest.raises(ModelError, match=rf"{pitch}: (?s:.*)conv2d_1_bias' has 2 numbers"):
        convert(path, tmp_path / "m.gguf")
    file.unlink()
    with pytest.raises(ModelError, match="is a folder, expected"):
        convert(path, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


def test_archives_that_hold_none(tmp_path: Path) -> None:
    whole = archive(tmp_path, exported()).read_bytes()
    short = tmp_path / "short"
    short.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Error):
        convert(short, tmp_path / "m.gguf")
    empty = tmp_path / "empty"
    with tarfile.open(empty, "w:gz"):
        pass
    with pytest.raises(ModelError):
        convert(empty, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


@pytest.mark.skipif(not BLOB.exists(), reason="no golden data")
def test_upstreams_blob(tmp_path: Path) -> None:
    """Value for value what was read independently from the C text."""
    with np.load(GOLDEN / "fargan_weights.npz") as file:
        expected = dict(file)
    found = detect(BLOB)(BLOB)
    for layer in LAYERS:
        q = expected.get(f"{layer.exported}_weights_int8")
        if q is None:
            weight = expected[f"{layer.exported}_weights_float"]
            wanted = weight if layer.ours == "embed_pitch.weight" else weight.T
            np.testing.assert_array_equal(found.arrays[layer.ours], wanted, err_msg=layer.ours)
            continue
        z, r, n = np.split(q.T, 3) if layer.gates else (q.T[:0], q.T[:0], q.T)
        np.testing.assert_array_equal(found.kept[layer.ours].q, np.concatenate([r, z, n]))
    assert convert(BLOB, tmp_path / "m.gguf", precision="int8").bytes < 900_000


@pytest.mark.skipif(not BLOB.exists(), reason="no golden data")
def test_upstreams_network_for_the_pitch(tmp_path: Path) -> None:
    with np.load(GOLDEN / "pitchdnn_weights.npz") as file:
        expected = dict(file)
    container = read_container(upstream_model(tmp_path, "int8"))
    for layer in PITCH_LAYERS:
        q = expected[f"{layer.exported}_weights_int8"].T
        scale = expected[f"{layer.exported}_scale"] * np.float32(127)
        bias = expected[f"{layer.exported}_bias"]
        if layer.gates:
            q, scale, bias = (reordered(a) for a in (q, scale, bias))
        rows = slice(layer.outputs)
        np.testing.assert_array_equal(container.tensors[layer.ours].data, q[rows])
        np.testing.assert_array_equal(container.tensors[f"{layer.ours}.scale"].data, scale[rows])
        np.testing.assert_array_equal(container.tensors[str(layer.bias)].data, bias[rows])
    for ours, theirs in (("pitch.conv1", "conv2d_1"), ("pitch.conv2", "conv2d_2")):
        found = container.tensors[f"{ours}.weight"].data
        np.testing.assert_array_equal(found, expected[f"{theirs}_weight_float"])
