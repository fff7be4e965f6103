#!/usr/bin/env python3
"""A weighted mean of two models of one layout, such as a network before and after fine-tuning.

    python average.py before.gguf after.gguf --share 0.4 -o between.gguf

Between the two it often speaks better than either: what fine-tuning learned is there, and the noise
of its last updates is less (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import pyvoc
from pyvoc.container import read_container, write_container
from pyvoc.families import spec_of
from pyvoc.quant import decode, encode

GIVEN = ("pyvoc.format_version", "pyvoc.spec_revision", "pyvoc.precision")  # by encode


def average(before: Path, after: Path, share: float, target: Path) -> None:
    """Write the mean of two float models: so much of it is `after`, the rest `before`.

    Raises
    ------
    Error
        A file is damaged, or the models have other sizes.
    """
    first, second = read_container(before), read_container(after)
    spec = spec_of(first, str(before))
    if spec_of(second, str(after)) is not spec:
        raise pyvoc.Error(f"{after}: is of another family than {before}")
    for container, path in ((first, before), (second, after)):
        spec.validate(container, str(path))
    arrays, others = decode(spec, first), decode(spec, second)
    shapes, other = ({name: a.shape for name, a in both.items()} for both in (arrays, others))
    if shapes != other:
        raise pyvoc.Error(f"{after}: has other sizes than {before}")
    mean = {
        name: ((1 - share) * np.asarray(array, np.float64) + share * others[name]).astype("<f4")
        for name, array in arrays.items()
    }
    kept = {key: value for key, value in second.metadata.items() if key not in GIVEN}
    write_container(target, encode(spec, mean, metadata=kept, precision="f32"), spec=spec)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("before", type=Path, help="a model file, in float32")
    parser.add_argument("after", type=Path, help="another of the same sizes; its metadata are kept")
    parser.add_argument(
        "--share", type=float, default=0.5, help="of `after` (default: %(default)s)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    if not 0 <= options.share <= 1:
        parser.error("--share: expected 0 to 1")
    try:
        average(options.before, options.after, options.share, options.output)
    except pyvoc.Error as error:
        print(f"average: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
