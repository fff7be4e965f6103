"""Block-sparse WaveRNN: pruning, what is said of it, the container, the runtime against dense."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lpcnet_files import make_tiny
from tier_worker import run, tiers
from torch_files import save_zip
from voices import WAVERNN, features_for
from wavernn_files import metadata, settings, tiny_wavernn

import pyvoc
from pyvoc.cli import convert as command
from pyvoc.container import read_container, write_container
from pyvoc.convert import convert
from pyvoc.errors import Error
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.families.wavernn.spec import WAVERNN as SPEC
from pyvoc.quant import decode, encode
from pyvoc.quant.prune import prune
from pyvoc.quant.sparse import used_blocks

LOOP = ("rnn1.hidden", "rnn2.input", "rnn2.hidden", "fc1", "fc2")
"""What is block-sparse in any model; of labels fc3 too."""
PRECISIONS = ("f32", "bf16", "int8")


def tiny_of(name: str) -> Any:
    """A tiny model; that of labels with sizes that blocks divide."""
    tiny = tiny_wavernn().MODELS[name][0]
    return dataclasses.replace(tiny, fc=16) if name == "raw.f32" else tiny


def arrays(name: str) -> dict[str, np.ndarray]:
    tiny = tiny_of(name)
    return tiny_wavernn().make(tiny, make_tiny().Draws(tiny.seed))


def checkpoint(folder: Path, name: str = "mol.f32") -> Path:
    tiny = tiny_of(name)
    state = tiny_wavernn().state_dict(tiny, make_tiny().Draws(tiny.seed))
    return save_zip(folder / f"{name}.pyt", {k: v.astype("<f4") for k, v in state.items()})


def pruned(name: str, sparsity: float) -> dict[str, np.ndarray]:
    found, _ = prune(SPEC, arrays(name), metadata=metadata(name), sparsity=sparsity)
    return found


def save(path: Path, values: dict[str, Any], name: str, precision: str) -> Path:
    container = encode(SPEC, values, metadata=metadata(name), precision=precision)
    write_container(path, container, spec=SPEC)
    return path


def test_the_smallest_blocks_go_gate_by_gate() -> None:
    before, after = arrays("mol.f32"), pruned("mol.f32", 0.75)
    for name in before:
        if name.removesuffix(".weight") not in LOOP:
            np.testing.assert_array_equal(after[name], before[name], err_msg=name)
            continue
        rows, cols = before[name].shape
        for gate in range(rows // cols if rows % cols == 0 else 1):
            part = slice(gate * cols, (gate + 1) * cols) if rows % cols == 0 else slice(None)
            was, now = before[name][part], after[name][part]
            kept = used_blocks(now, (8, 4))
            assert kept.sum() == kept.size - round(0.75 * kept.size), name
            energy = (was.reshape(kept.shape[0], 8, kept.shape[1], 4) ** 2).sum(axis=(1, 3))
            assert energy[kept].min() >= energy[~kept].max()
            np.testing.assert_array_equal(now[now != 0], was[now != 0])


def test_what_is_zero_counts_and_more_is_never_restored() -> None:
    once = pruned("raw.f32", 0.75)
    again, report = prune(SPEC, once, metadata=metadata("raw.f32"), sparsity=0.5)
    assert report is not None and report.pruned == 0 and report.snr_db is None
    assert report.zero_before == pytest.approx(0.75)
    for name in once:
        np.testing.assert_array_equal(again[name], once[name])
    same, report = prune(SPEC, arrays("raw.f32"), metadata=metadata("raw.f32"), sparsity=None)
    assert report is not None and report.zero_before == report.pruned == 0
    for name, values in arrays("raw.f32").items():
        np.testing.assert_array_equal(same[name], values)


def test_the_report_is_what_was_done() -> None:
    before = arrays("mol.f32")
    after, report = prune(SPEC, before, metadata=metadata("mol.f32"), sparsity=0.6)
    assert report is not None and [layer.name for layer in report.layers] == [
        f"{name}.weight" for name in ("rnn1.hidden", "rnn2.input", "rnn2.hidden", "fc1", "fc2")
    ]
    for layer in report.layers:
        was, now = before[layer.name], after[layer.name]
        expected = 10 * np.log10((was**2).sum() / ((was - now) ** 2).sum())
        assert layer.snr_db == pytest.approx(expected)
        assert layer.pruned == pytest.approx(1 - used_blocks(now, (8, 4)).mean())
    assert report.pruned == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["mol.f32", "raw.f32"])
def test_containers_hold_blocks(name: str, precision: str, tmp_path: Path) -> None:
    values = pruned(name, 0.75)
    container = read_container(save(tmp_path / "m.gguf", values, name, precision))
    sparse = [n for n, t in container.tensors.items() if f"{n}.block_index" in container.tensors]
    expected = [*LOOP, "fc3"] if settings(name).mode == "raw" else LOOP
    assert sparse == [f"{n}.weight" for n in expected]
    found = decode(SPEC, container)
    for n in sparse:
        assert ((found[n] != 0) <= (values[n] != 0)).all()
        gap = {"f32": 1e-7, "bf16": 4e-3, "int8": 2e-2}[precision]
        np.testing.assert_allclose(found[n], values[n], rtol=0, atol=gap * np.abs(values[n]).max())


@pytest.mark.parametrize("tier", tiers())
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["mol.f32", "raw.f32"])
def test_sparse_is_dense_with_zeros(
    name: str, precision: str, tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One model stored both ways: int8 to the bit, floats up to the order of sums."""
    values = pruned(name, 0.75)
    sparse = save(tmp_path / "sparse.gguf", values, name, precision)
    monkeypatch.setattr("pyvoc.quant.sparse.MAX_DENSITY", 0.0)
    dense = save(tmp_path / "dense.gguf", values, name, precision)
    assert sparse.stat().st_size < dense.stat().st_size
    model = pyvoc.load(sparse)
    mel = features_for(model, 3, seed=2)
    pcm = np.random.default_rng(1).uniform(-0.9, 0.9, 3 * model.info.hop_length).astype(np.float32)
    draws = np.random.default_rng(2).uniform(0.01, 0.99, len(pcm) * model.info.draws_per_sample)
    both = [
        run(path, tier, tmp_path, features=mel, pcm=pcm, draws=draws.astype(np.float32))
        for path in (sparse, dense)
    ]
    for what in ("predicted", "samples"):
        if precision == "int8":
            np.testing.assert_array_equal(both[0][what], both[1][what])
        else:
            np.testing.assert_allclose(both[0][what], both[1][what], rtol=0, atol=1e-4)
    assert both[0]["predicted"].std() > 0.5


@pytest.mark.parametrize("path", WAVERNN, ids=lambda p: p.stem)
def test_threads_change_nothing(path: Path) -> None:
    mels = [features_for(pyvoc.load(path), n, seed=n) for n in (5, 3, 4)]
    one, two = pyvoc.load(path), pyvoc.load(path, threads=2)
    for mel in mels:
        np.testing.assert_array_equal(one.synthesize(mel), two.synthesize(mel))
    for a, b in zip(
        pyvoc.synthesize_batch(one, mels), pyvoc.synthesize_batch(two, mels), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_threads_change_nothing_at_the_published_size(precision: str, tmp_path: Path) -> None:
    """Products that are large enough to be divided, dense and sparse, one stream and several."""
    from pyvoc.families.wavernn.bench import seeded

    for sparsity in (None, 0.5):
        path = tmp_path / f"{sparsity}.gguf"
        seeded.SEEDED.write(path, precision, seeded.tensors(sparsity))
        mel = seeded.mel(3, 80)
        found = []
        for threads in (1, 2, 3):
            model = pyvoc.load(path, threads=threads)
            whole = [model.synthesize(mel), model.synthesize(mel, fold=(275, 63))]
            found.append([*whole, *pyvoc.synthesize_batch(model, [mel[:2]] * 3)])
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(a, b)


def test_the_command(tmp_path: Path) -> None:
    source = checkpoint(tmp_path)
    result = convert(source, tmp_path / "m.gguf", sparsity=0.75, load=pyvoc.load)
    lines = command.summary(result)
    assert result.sparsity is not None and result.sparsity.zero_before == 0
    assert any("0.0% were zero, 7" in line and "SNR of the weights" in line for line in lines)
    # Measured against the checkpoint as it was, so a float model has an error too.
    assert result.report is not None and result.report.kl_mean > 1e-4
    assert result.bytes < convert(source, tmp_path / "d.gguf").bytes


def test_zeros_that_are_there_are_found(tmp_path: Path) -> None:
    """Nothing is pruned that was not asked for."""
    tiny = tiny_of("mol.f32")
    state = tiny_wavernn().state_dict(tiny, make_tiny().Draws(tiny.seed))
    state["rnn1.weight_hh_l0"][:, 4:] = 0
    source = save_zip(tmp_path / "z.pyt", {k: v.astype("<f4") for k, v in state.items()})
    result = convert(source, tmp_path / "z.gguf")
    assert result.sparsity is not None and result.sparsity.pruned == 0
    layers = {layer.name: layer.zero_before for layer in result.sparsity.layers}
    assert layers["rnn1.hidden.weight"] == pytest.approx(5 / 6) and layers["fc1.weight"] == 0
    assert any("were zero" in line for line in command.summary(result))
    tensors = read_container(tmp_path / "z.gguf").tensors
    assert "rnn1.hidden.weight.block_index" in tensors and "fc1.weight.block_index" not in tensors


@pytest.mark.parametrize("sparsity", [0.0, 1.0, -0.5, 90.0, float("nan")])
def test_fractions_only(sparsity: float, tmp_path: Path) -> None:
    with pytest.raises(Error, match="between 0 and 1"):
        convert(checkpoint(tmp_path), tmp_path / "m.gguf", sparsity=sparsity)
    assert not (tmp_path / "m.gguf").exists()


def test_sizes_and_kinds_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"rnn1.hidden.weight.* do not divide"):
        convert(checkpoint(tmp_path, "odd.f32"), tmp_path / "m.gguf", sparsity=0.5)
    assert convert(checkpoint(tmp_path, "odd.f32"), tmp_path / "m.gguf").sparsity is None
    with pytest.raises(Error, match=r"pyvoc.lpcnet is not pruned"):
        prune(LPCNET, {}, metadata={}, sparsity=0.5)
