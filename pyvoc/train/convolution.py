"""Convolutions as processors are quick at: that divide the time, and with mirrored ends.

With a stride, long kernels and few channels for each group, what PyTorch computes reaches a third
of the speed of a matrix product. The same sums are a convolution without stride over blocks of
samples: the samples of a block are channels side by side, and so are the outputs of a block where
it has several. Zeros fill up the kernel, a few per cent of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

__all__ = ["BlockedConv1d", "MirroredConv1d", "blocked_conv1d", "mirrored"]

_BLOCK = 4
"""Samples; measured best for strides of 2 and 4, 4 to 32 channels a group and 41 taps."""
_TAPS, _OUTPUTS = 16, 512
"""Least taps, and outputs of a channel, for which rearranging costs less than is gained."""


def blocked_conv1d(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int, groups: int
) -> Tensor:
    """What ``torch.nn.functional.conv1d`` computes, up to rounding.

    Parameters
    ----------
    x
        ``[batch, inputs, time]``.
    weight
        ``[outputs, inputs / groups, taps]``.
    bias
        ``[outputs]`` or None.
    stride
        A divisor of 4.
    padding, groups
        As there.
    """
    batch, inputs, time = x.shape
    outputs, part, taps = weight.shape
    each = _BLOCK // stride  # outputs of a block
    steps = (time + 2 * padding - taps) // stride + 1
    blocks = -(-steps // each)
    reach = -(-(taps + stride * (each - 1)) // _BLOCK)  # blocks that an output's kernel touches
    whole = (blocks + reach - 1) * _BLOCK
    x = functional.pad(x, (padding, whole - time - padding))
    x = x.view(batch, inputs, -1, _BLOCK).transpose(2, 3).reshape(batch, inputs * _BLOCK, -1)
    room = reach * _BLOCK - taps
    shifted = [functional.pad(weight, (stride * j, room - stride * j)) for j in range(each)]
    kernel = torch.stack(shifted, 1).view(outputs * each, part, reach, _BLOCK).transpose(2, 3)
    kernel = kernel.reshape(outputs * each, part * _BLOCK, reach)
    if bias is not None:
        bias = bias.repeat_interleave(each)
    y: Tensor = functional.conv1d(x, kernel, bias, groups=groups)
    y = y.view(batch, outputs, each, blocks).transpose(2, 3).reshape(batch, outputs, -1)
    return y.narrow(2, 0, steps)


class BlockedConv1d(nn.Conv1d):
    """PyTorch's layer, which computes in blocks on processors where that is quicker."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        (stride,), (taps,) = self.stride, self.kernel_size
        pays = (
            input.device.type == "cpu"
            and self.groups > 1
            and stride in (2, 4)
            and self.dilation == (1,)
            and self.padding_mode == "zeros"
            and taps >= _TAPS
            and input.shape[0] * input.shape[2] >= _OUTPUTS * stride
        )
        if not pays:
            plain: Tensor = super()._conv_forward(input, weight, bias)
            return plain
        if torch.is_autocast_enabled("cpu"):  # once, before the weight is repeated
            dtype = torch.get_autocast_dtype("cpu")
            input, weight = input.to(dtype), weight.to(dtype)
        return blocked_conv1d(input, weight, bias, stride, int(self.padding[0]), self.groups)


class _Mirrored(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, edge: int) -> Tensor:
        ctx.edge, time = edge, x.shape[2]
        y = x.new_empty(x.shape[0], x.shape[1], time + 2 * edge)
        y[:, :, edge : edge + time] = x
        y[:, :, :edge] = x[:, :, 1 : edge + 1].flip(2)
        y[:, :, edge + time :] = x[:, :, time - 1 - edge : time - 1].flip(2)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor, None]:
        edge, time = ctx.edge, d_y.shape[2] - 2 * ctx.edge
        d_x = d_y[:, :, edge : edge + time].clone(memory_format=torch.contiguous_format)
        d_x[:, :, 1 : edge + 1] += d_y[:, :, :edge].flip(2)
        d_x[:, :, time - 1 - edge : time - 1] += d_y[:, :, edge + time :].flip(2)
        return d_x, None


def mirrored(x: Tensor, edge: int) -> Tensor:
    """``[batch, channels, time]`` with `edge` mirrored samples more at both ends.

    What ``functional.pad(mode="reflect")`` gives, in a fraction of its time, and in the precision
    of `x` where that would go to float32 in mixed precision.
    """
    if x.device.type != "cpu" or edge >= x.shape[2]:  # PyTorch's own says what is wrong
        return functional.pad(x, (edge, edge), mode="reflect")
    y: Tensor = _Mirrored.apply(x, edge)  # type: ignore[no-untyped-call]
    return y


class MirroredConv1d(nn.Conv1d):
    """A convolution as long as its input, whose ends are mirrored."""

    def __init__(self, inputs: int, outputs: int, taps: int, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, taps, dilation=dilation)
        self.edge = dilation * (taps // 2)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x = mirrored(input, self.edge)
        y: Tensor = super()._conv_forward(x, weight, bias)
        return y
