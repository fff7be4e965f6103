"""HiFi-GAN's checkpoints: tiny ones as upstream saves them, their settings, and bad ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hifigan_checkpoints import checkpoint_bytes, config, state_dict
from hifigan_files import FILES, TINY
from torch_files import legacy_bytes, save_zip

from pyvoc.container import read_container
from pyvoc.convert.run import Conversion, convert
from pyvoc.errors import ModelError, UnsupportedError
from pyvoc.families.hifigan.spec import HIFIGAN
from pyvoc.quant import decode

Arrays = dict[str, np.ndarray]


def attempt(
    folder: Path, state: Arrays | None = None, settings: str | dict[str, Any] | None = None
) -> Conversion:
    """Convert a checkpoint that has these settings beside it; None: the right ones."""
    path = folder / "g_00000001"
    path.write_bytes(checkpoint_bytes(state))
    settings = config() if settings is None else settings
    text = settings if isinstance(settings, str) else json.dumps(settings)
    (folder / "config.json").write_text(text)
    return convert(path, folder / "m.gguf")


def refused(folder: Path, match: str, **what: Any) -> None:
    with pytest.raises(ModelError, match=rf"(?s)^{folder}/g_00000001: .*{match}"):
        attempt(folder, **what)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "g_00000001"]


@pytest.mark.parametrize("name", ["paired.f32", "wide.bf16"])
@pytest.mark.parametrize("container", ["legacy", "zip"])
def test_every_tensor_arrives(tmp_path: Path, name: str, container: str) -> None:
    contents = {"generator": state_dict(name)}
    path = tmp_path / "g_02500000"
    if container == "zip":
        save_zip(path, contents)
    else:
        path.write_bytes(legacy_bytes(contents))
    (tmp_path / "config.json").write_text(json.dumps(config(name)))
    report = convert(path, tmp_path / "m.gguf")
    assert (report.architecture, report.format) == ("pyvoc.hifigan", "jik876.torch")
    assert report.rate_from == "config.json" and report.notes == ()
    found = read_container(tmp_path / "m.gguf")
    for tensor, array in decode(HIFIGAN, found).items():
        np.testing.assert_allclose(array, FILES.arrays(name)[tensor], rtol=3e-7, err_msg=tensor)
    if name == "paired.f32":  # whose mirrored ends and recipe are upstream's
        made = read_container(TINY / f"{name}.gguf").metadata
        own = {k: v for k, v in made.items() if k.startswith(("hifigan.", "pyvoc.features."))}
        assert {key: found.metadata[key] for key in own} == own


def test_without_settings_it_says_what_it_assumes(tmp_path: Path) -> None:
    """None beside, damaged ones, and another model's: nothing of those is taken."""
    right = attempt(tmp_path)
    assert right.notes == ()
    others = {
        "damaged": json.dumps(config())[:100],
        "damaged ": "",
        "another model": config() | {"upsample_initial_channel": 512, "upsample_rates": [4] * 4},
        "another model ": config() | {"num_mels": 100, "upsample_rates": [4] * 4},
    }
    for what, settings in others.items():
        notes = " ".join(attempt(tmp_path, settings=settings).notes)
        for words in ("upsampling rates", "half the kernels, 8 8 2 2", "dilations", what.strip()):
            assert words in notes, what
        assert "22050 Hz is assumed" in notes
    (tmp_path / "config.json").unlink()
    notes = " ".join(convert(tmp_path / "g_00000001", tmp_path / "m.gguf").notes)
    assert "no config beside the checkpoint" in notes and "damaged" not in notes


@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
def test_other_rates(tmp_path: Path, rate: int) -> None:
    report = attempt(tmp_path, settings=config() | {"sampling_rate": rate})
    assert (report.sample_rate, report.rate_from) == (rate, "config.json")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sampling_rate": 8000}, "bands go from 0 to 8000 Hz, expected up to 4000 Hz"),
        ({"sampling_rate": 0}, "config.json says a sample rate of 0 Hz, expected a whole"),
        ({"sampling_rate": 22050.5}, "says a sample rate of 22050.5 Hz, expected a whole"),
        ({"sampling_rate": -5}, "sample_rate' is -5, expected 1000 to 384000"),
        ({"sampling_rate": 10**9}, "sample_rate' is 1000000000, expected 1000 to 384000"),
        ({"fmax": 20000}, "bands go from 0 to 20000 Hz, expected up to 11025 Hz"),
        ({"n_fft": 1 << 20}, "fft_length' is 1048576, expected 16 to 16384"),
        ({"upsample_rates": [8, 8]}, "rates \\[8, 8\\] .* but its tensors have 4 stages"),
        ({"upsample_rates": [8, 8, 0, 2]}, "rates \\[8, 8, 0, 2\\] .* but its tensors"),
        ({"upsample_rates": [8, 8, 4, 2]}, "make 512 samples of a frame, and a hop_size of 256"),
        (
            {"upsample_rates": [8, 7, 2, 2], "hop_size": 224},
            "stage 1 upsamples by 7 with a kernel of 16: .* one sample more",
        ),
        ({"resblock_dilation_sizes": [[1, 3, 5]] * 2}, "dilations .* but its tensors have"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, changes: dict[str, Any], match: str) -> None:
    refused(tmp_path, match, settings=config() | changes)


def other(**tensors: tuple[int, ...]) -> Arrays:
    """The tiny generator with tensors of ones besides, or in place of its own."""
    new = {name.replace("__", "."): np.ones(shape, "<f4") for name, shape in tensors.items()}
    return {**state_dict(), **new}


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (other(cond__weight=(24, 16, 1), cond__bias=(24,)), "layers for a speaker .*condition"),
        (other(m_source__l_linear__weight=(1, 9)), "a source of harmonics"),
        (other(noise_convs__0__weight=(12, 1, 4)), "a source of harmonics"),
        (other(emb_g__weight=(4, 16)), "a table of speakers, pitches or units"),
        (other(spkr__weight=(4, 16), dict__weight=(100, 80)), "a table of speakers, pitches or"),
        (
            other(conv_pre__weight_v=(24, 81, 7)),
            "say 80 mel bands, but the network reads 81 rows: .*a pitch, a speaker",
        ),
    ],
)
def test_generators_that_read_more_than_mels(tmp_path: Path, state: Arrays, match: str) -> None:
    refused(tmp_path, match, state=state)


def changed(name: str, value: float) -> Arrays:
    state = state_dict()
    state[name] = np.full_like(state[name], value)
    return state


def lacking(start: str) -> Arrays:
    return {name: array for name, array in state_dict().items() if not name.startswith(start)}


@pytest.mark.parametrize(
    ("state", "match"),
    [
        (changed("ups.1.bias", np.nan), "'ups.1.bias' has values that are NaN or infinite"),
        (changed("ups.1.weight_g", np.inf), "'ups.1.weight_g' has values that are NaN or inf"),
        (changed("ups.1.weight_v", 0), "'ups.1' has weight norm of a direction that is zero"),
        (lacking("ups.1.bias"), "'ups.1.bias' is missing"),
        (lacking("ups.1.weight_g"), "'ups.1.weight_g' is missing"),
        (lacking("ups.2"), "'ups.3.weight_g' is unexpected"),
        (lacking("conv_post"), "'conv_post.weight' is missing.*'conv_post.bias' is missing"),
        (lacking("resblocks.3.convs2.1"), "'resblocks.3.convs2.1"),
        (other(conv_pre__weight_v=(24, 80, 6)), r"shape \[24, 80, 6\], expected \[24, 80, 7\]"),
        (
            other(conv_post__weight_v=(2, 3, 7), conv_post__weight_g=(2, 1, 1)),
            r"'conv_out.weight' has shape \[2, 3, 7\], expected \[1, 3, 7\]",
        ),
        ({**state_dict(), "ups.1.bias": np.ones(8, "<i8")}, "'ups.1.bias' holds int64, expected"),
    ],
)
def test_tensors_that_cannot_be(tmp_path: Path, state: Arrays, match: str) -> None:
    refused(tmp_path, match, state=state)


def test_truncated_files(tmp_path: Path) -> None:
    whole = checkpoint_bytes()
    path = tmp_path / "g_00000001"
    for size in (40, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=rf"^{path}: (truncated|damaged)"):
            convert(path, tmp_path / "m.gguf")
    assert not (tmp_path / "m.gguf").exists()


def test_discriminators_are_no_generator(tmp_path: Path) -> None:
    path = tmp_path / "do_00000001"
    weight = np.ones((32, 1, 5, 1), "<f4")
    path.write_bytes(legacy_bytes({"mpd": {"discriminators.0.convs.0.weight_v": weight}}))
    with pytest.raises(ModelError, match=r"holds no .* model that is known: .*'mpd'"):
        convert(path, tmp_path / "m.gguf")
    shutil.move(path, tmp_path / "g_00000001")
    with pytest.raises(UnsupportedError, match="needs calibration"):
        path.write_bytes(checkpoint_bytes())
        convert(path, tmp_path / "m.gguf", precision="int8")
    assert not (tmp_path / "m.gguf").exists()
