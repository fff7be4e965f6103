"""A PyTorch network that a model file's tensors fill, and that gives them back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from torch import nn

from pyvoc.container.tensors import AnyArray, Scalar
from pyvoc.errors import ModelError
from pyvoc.train import weights
from pyvoc.train.convolution import MirroredConv1d

__all__ = ["SpecNetwork", "same_conv"]

N = TypeVar("N", bound="SpecNetwork")


def same_conv(
    inputs: int, outputs: int, kernel: int, dilation: int = 1, *, reflect: bool
) -> nn.Conv1d:
    """A convolution as long as its input, which is mirrored at the ends or followed by zeros."""
    if reflect and kernel > 1:
        return MirroredConv1d(inputs, outputs, kernel, dilation)
    padding = dilation * (kernel // 2)
    return nn.Conv1d(inputs, outputs, kernel, padding=padding, dilation=dilation)


class SpecNetwork(nn.Module):
    """The network of a family (`Family.network`); made with its shape.

    Where modules have the names of the spec's layers, nothing but `shape_of` is left to say.
    """

    @staticmethod
    def shape_of(arrays: Mapping[str, AnyArray], metadata: Mapping[str, Scalar]) -> Any:
        """The shape that a valid model's tensors and metadata tell."""
        raise NotImplementedError

    @classmethod
    def from_arrays(
        cls: type[N],
        arrays: Mapping[str, AnyArray],
        metadata: Mapping[str, Scalar],
        **choices: bool,
    ) -> N:
        """The network of a valid model file, in evaluation mode.

        Parameters
        ----------
        arrays
            Every tensor of the spec, decoded.
        metadata
            Of the file.
        choices
            What else the class is made with, as `normed`.

        Raises
        ------
        ValueError
            It is a kind of model that the family has no such network of.
        """
        network = cls(cls.shape_of(arrays, metadata), **choices)
        network.fill(arrays)
        return network.eval()

    def fill(self, arrays: Mapping[str, AnyArray]) -> None:
        """Take weights from the spec's tensors.

        Raises
        ------
        ValueError
            They are another model's; names the first ones that do not fit. Nothing is filled.
        """
        weights.fill(self, arrays)

    def go_on_from(self, arrays: Mapping[str, AnyArray], path: str) -> None:
        """`fill` from a file that a user named.

        Raises
        ------
        ModelError
            It is of other sizes.
        """
        try:
            self.fill(arrays)
        except ValueError as error:
            raise ModelError(f"{path}: does not fit this run's sizes: {error}") from error

    def to_arrays(self) -> dict[str, AnyArray]:
        """Every tensor of the spec, dense, as the network computes with it; norms are folded.

        float32, and float64 where something was computed.
        """
        return weights.to_arrays(self)
