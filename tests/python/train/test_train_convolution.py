"""Convolutions in blocks and mirrored ends are what PyTorch computes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from pyvoc.train.convolution import BlockedConv1d, blocked_conv1d, mirrored  # noqa: E402


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize(("taps", "padding"), [(41, 20), (16, 0), (7, 5)])
@pytest.mark.parametrize("time", [63, 64, 130])
def test_same_values_and_gradients(stride: int, taps: int, padding: int, time: int) -> None:
    random = torch.Generator().manual_seed(time)
    given = [
        torch.randn(*size, dtype=torch.float64, generator=random).requires_grad_()
        for size in ((2, 6, time), (12, 2, taps), (12,))
    ]
    expected = torch.nn.functional.conv1d(*given, stride, padding, groups=3)
    found = blocked_conv1d(*given, stride, padding, 3)
    weights = torch.randn(expected.shape, dtype=torch.float64, generator=random)
    gradients = [torch.autograd.grad((y * weights).sum(), given) for y in (expected, found)]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients[1], gradients[0])


def test_layer_has_the_plain_layers_weights_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    ours = BlockedConv1d(8, 16, 41, 4, padding=20, groups=2)
    plain = torch.nn.Conv1d(8, 16, 41, 4, padding=20, groups=2)
    plain.load_state_dict(ours.state_dict())
    used = []

    def watched(*args: object) -> object:
        used.append(args)
        return blocked_conv1d(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("pyvoc.train.convolution.blocked_conv1d", watched)
    for time, blocked in ((4096, True), (64, False)):  # a short one is not worth it
        x = torch.randn(2, 8, time)
        torch.testing.assert_close(ours(x), plain(x))
        assert bool(used) == blocked
        used.clear()
    x = torch.randn(2, 8, 4096)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = ours(x)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.float(), plain(x), rtol=0.03, atol=0.03)


@pytest.mark.parametrize("beside", [{"dilation": 2}, {"padding_mode": "reflect"}])
def test_layer_with_what_blocks_have_not(beside: dict[str, object]) -> None:
    torch.manual_seed(1)
    ours = BlockedConv1d(8, 16, 41, 4, padding=20, groups=2, **beside)
    plain = torch.nn.Conv1d(8, 16, 41, 4, padding=20, groups=2, **beside)
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 8, 4096)
    torch.testing.assert_close(ours(x), plain(x))


@pytest.mark.parametrize(("time", "edge"), [(7, 3), (7, 6), (40, 1)])
def test_mirrored_ends(time: int, edge: int) -> None:
    torch.manual_seed(2)
    x = torch.randn(2, 3, time, dtype=torch.float64, requires_grad=True)
    expected = torch.nn.functional.pad(x, (edge, edge), mode="reflect")
    found = mirrored(x, edge)
    weights = torch.randn_like(expected)
    gradients = [torch.autograd.grad((y * weights).sum(), x)[0] for y in (expected, found)]
    assert torch.equal(found, expected)
    torch.testing.assert_close(gradients[1], gradients[0])
    with pytest.raises(RuntimeError):
        mirrored(x, time)
