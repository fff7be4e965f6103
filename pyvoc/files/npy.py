"""NumPy's files of one array, whatever their headers say."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from pyvoc.errors import FeatureError
from pyvoc.files.kinds import instead_of

__all__ = ["parse_npy"]


def parse_npy(data: bytes, name: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """The array of a ``.npy`` file.

    Parameters
    ----------
    data
        What the file holds.
    name
        Its name, for messages.

    Raises
    ------
    FeatureError
        It is no such file, or damaged. NumPy evaluates a header as Python and raises what that
        gives: all of it ends here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers, which is said below where it matters
            array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:
        instead = None if data.startswith(b"\x93NUMPY") else instead_of("a .npy file", data)
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        instead = instead or f"is no readable .npy file: {reason}"
        raise FeatureError(f"'{os.fspath(name)}' {instead}") from error
    if not isinstance(array, np.ndarray):
        raise FeatureError(f"'{os.fspath(name)}' {instead_of('a .npy file', data)}")
    return array
