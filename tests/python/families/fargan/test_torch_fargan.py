"""The network in PyTorch: what the oracle and the runtime compute, and weights both ways."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from fargan_files import BLOB, FILES, GOLDEN, oracle
from voices import FARGAN as MODELS
from voices import features_for, voice

from pyvoc.container import read_container
from pyvoc.families.fargan.from_dnnw import read_dnnw
from pyvoc.families.fargan.spec import FARGAN
from pyvoc.families.fargan.torch_model import Fargan, Noise, periods_of, places_of
from pyvoc.families.fargan.train.settings import FarganModel
from pyvoc.quant import decode

FLOATS = [path for path in MODELS if not path.stem.endswith("int8")]
golden_data = pytest.mark.skipif(not BLOB.exists(), reason="no golden data")


def network(path: Path, **choices: bool) -> Fargan:
    container = read_container(path)
    return Fargan.from_arrays(decode(FARGAN, container), container.metadata, **choices)


def seeded(**sizes: int) -> Fargan:
    torch.manual_seed(3)
    small = {"pitch_embedding": 3, "cond1": 5, "cond2": 6, "cond": 7, "fwc": 9, "gru1": 8}
    return Fargan(FarganModel(**{**small, "gru2": 7, "gru3": 6, "skip": 10, **sizes}), normed=True)


@pytest.mark.parametrize("path", FLOATS, ids=lambda path: path.stem)
def test_samples_are_the_runtimes(path: Path) -> None:
    model = voice(path)
    for normed in (False, True):
        for frames in (1, 2, 13):
            rows = features_for(model, frames, seed=frames)
            with torch.no_grad():
                found = network(path, normed=normed).synthesize(torch.from_numpy(rows[None]))
            expected = model.synthesize(rows)
            assert np.ptp(expected) > 0.05
            np.testing.assert_allclose(found[0].numpy(), expected, rtol=0, atol=1e-3)


def test_samples_are_the_oracles() -> None:
    """In double precision, so that nothing but the last digits may differ; at absurd pitches."""
    for path in FLOATS:
        rows = np.stack([features_for(voice(path), 9, seed=k) for k in range(3)]).astype(float)
        rows[1, 2:4, 18] = 3.0, -4.0
        with torch.no_grad():
            found = network(path).double().synthesize(torch.from_numpy(rows))
        for row, samples in zip(rows, found.numpy(), strict=True):
            expected = oracle(path).synthesize(row)
            np.testing.assert_allclose(samples, expected, rtol=0, atol=1e-9)


@golden_data
def test_the_trained_network() -> None:
    """Its trace (float64), and samples of the whole file."""
    rows = np.fromfile(GOLDEN / "LJ001-0002.features_generic_int8.f32", "<f4").reshape(-1, 20)
    checkpoint = read_dnnw(BLOB)
    model = Fargan.from_arrays(checkpoint.arrays, checkpoint.metadata).double()
    frames = 21
    rows = torch.from_numpy(rows[:frames].astype(float))[None]
    with torch.no_grad():
        before = model.condition(torch.cat((rows[:, :1].expand(-1, 4, -1), rows), 1), start=True)
        found = model.synthesize(rows)[0].numpy()
    with np.load(GOLDEN / "trace_free_float64_LJ001-0002.npz") as trace:
        cond, samples = trace["cond"], trace["pcm"].ravel()
    np.testing.assert_allclose(before[0, 5:].flatten(1), cond, rtol=0, atol=2e-6)
    count = (frames - 2) * 160
    np.testing.assert_allclose(found[:count], samples[80 : 80 + count], rtol=0, atol=2e-5)


def test_a_sequence_is_what_the_oracle_goes_on_with() -> None:
    """After true signal, as training has it: frame n with features up to n + 1."""
    path = FLOATS[0]
    rng = np.random.default_rng(1)
    rows = features_for(voice(path), 8, seed=4).astype(float)  # of frames -1 ... 6
    true = 0.1 * rng.standard_normal(320)
    with torch.no_grad():
        found = network(path).double()(torch.from_numpy(rows[None]), torch.from_numpy(true[None]))
    net = oracle(path)
    from fargan_files import reference

    for row in rows[:2]:
        net.condition(row)
    net.condition(rows[2])  # frame 0's, of which nothing is written
    net.history[-160:] = true[:160]
    expected = [true[:160]]
    for n in range(1, 6):
        cond = net.condition(rows[n + 2])
        for i in range(4):
            y = net.subframe(cond[i], reference().period(rows[n + 1, 18]))
            if n == 1:
                y = net.history[-40:] = true[160 + 40 * i :][:40]
            expected.append(y)
    np.testing.assert_allclose(found[0].numpy(), np.concatenate(expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["even.f32", "odd.f32"])
def test_what_goes_in_comes_out(name: str) -> None:
    given = FILES.arrays(name)
    path = next(path for path in MODELS if path.stem == name)
    for normed, tolerance in ((False, 0.0), (True, 1e-6)):
        found = network(path, normed=normed).to_arrays()
        assert {key for key in given if not key.startswith("pitch.")} == found.keys()
        for key, array in found.items():
            exact = given[key].astype(np.float32)
            np.testing.assert_allclose(array, exact, rtol=0, atol=tolerance * np.abs(exact).max())


def test_the_gradient_is_that_of_finite_differences() -> None:
    """Through products that are collected, gates in one operation, and time."""
    model = seeded().double()
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(2, 5, 20, generator=generator, dtype=torch.float64)
    true = 0.1 * torch.randn(2, 320, generator=generator, dtype=torch.float64)
    seeds = torch.tensor([5, 6])
    weights = torch.randn(2, 480, generator=generator, dtype=torch.float64)

    def loss() -> torch.Tensor:
        return (weights * model(features, true, seeds)).sum()

    loss().backward()
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        assert parameter.grad is not None, name
        slope = float((parameter.grad * direction).sum())
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * 1e-6 * direction)
                values.append(float(loss()))
                parameter.sub_(sign * 1e-6 * direction)
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(slope, rel=1e-5, abs=1e-7), name


def test_places_a_period_ago() -> None:
    periods = torch.tensor([32, 43, 44, 100, 255, 256])
    for period, places in zip(periods.tolist(), places_of(periods).tolist(), strict=True):
        at, expected = 256 - period - 2, []
        for _ in range(44):
            at -= period if at == 256 else 0
            expected.append(max(at, 0))
            at += 1
        assert places == expected
    pitches = torch.zeros(3, 20)
    pitches[:, 18] = torch.tensor([-9.0, 0.25, 9.0])
    assert periods_of(pitches).tolist() == [256, round(256 / 2**1.75), 32]


def test_noise_depends_on_a_rows_seed_alone() -> None:
    seeds = torch.tensor([1, 2**62 + 1, 7])
    found = Noise(seeds, 1.0, torch.float32).draw(16000)
    assert 0.499 < found.abs().max() <= 0.5
    assert found.mean(1).abs().max() < 0.01
    assert (found.var(1) - 1 / 12).abs().max() < 2e-3
    assert torch.equal(Noise(seeds[2:], 1.0, torch.float32).draw(16000)[0], found[2])
    noise = Noise(seeds, 1.0, torch.float32)
    long = Noise(seeds, 1.0, torch.float32).draw(40000)
    assert torch.equal(torch.cat([noise.draw(n) for n in (7000, 30000, 3000)], 1), long)
    assert torch.equal(long[:, :16000], found)
    correlations = torch.corrcoef(torch.cat([found[:, :-1], found[:, 1:]]))
    assert (correlations - torch.eye(6)).abs().max() < 0.03
    x = torch.full((3, 2), 2.0, requires_grad=True)
    noise.add(x).sum().backward()
    assert (noise.add(x) == 1).all() and x.grad is not None and (x.grad == 1).all()
