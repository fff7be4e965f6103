#!/usr/bin/env python3
"""A weighted mean of two models of one layout, such as a network before and after fine-tuning.

    python average.py before.gguf after.gguf --share 0.4 -o between.gguf

Between the two it often speaks better than either: what fine-tuning learned is there, and the noise
of its last updates is less (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022).
``--temperature`` divides the logits of an LPCNet, or of a WaveRNN that draws labels: below 1 it
draws likely ones more often, which is less hoarse, and in the end less alive.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import pyvoc
from pyvoc.container import write_container
from pyvoc.convert.gguf import read_model
from pyvoc.families.lpcnet.spec import LPCNET
from pyvoc.families.wavernn.spec import WAVERNN
from pyvoc.files.outputs import check_outputs
from pyvoc.quant import encode


def average(
    before: Path, after: Path, share: float, target: Path, *, temperature: float = 1.0
) -> None:
    """Write the mean of two models, in float32: so much of it is `after`, the rest `before`.

    Raises
    ------
    Error
        A file is damaged or would be overwritten, the models have other sizes, or no labels have a
        temperature.
    """
    check_outputs([target], inputs=[before, after])
    first, second = read_model(before), read_model(after)
    spec = first.spec
    if second.spec is not spec:
        raise pyvoc.Error(f"{after}: is of another family than {before}")
    arrays, others = first.arrays, second.arrays
    shapes, other = ({name: a.shape for name, a in both.items()} for both in (arrays, others))
    if shapes != other:
        raise pyvoc.Error(f"{after}: has other sizes than {before}")
    for key, value in first.metadata.items():
        if key.startswith("pyvoc.features.") and second.metadata.get(key) != value:
            theirs = second.metadata.get(key)
            raise pyvoc.Error(f"{after}: {key} is {theirs}, in {before} {value}: other features")
    last = None  # what the logits are linear in
    if spec is LPCNET:
        last = "dual_fc.factor"
    elif spec is WAVERNN and second.metadata["wavernn.mode"] == "raw":
        last = "fc3."
    if temperature != 1.0 and last is None:
        raise pyvoc.Error(f"{after}: --temperature is for an LPCNet or a WaveRNN that draws labels")
    mean = {}
    for name, array in arrays.items():
        values = (1 - share) * np.asarray(array, np.float64) + share * others[name]
        if last is not None and name.startswith(last):
            values /= temperature
        mean[name] = values.astype("<f4")
    written = encode(spec, mean, metadata=second.metadata, precision="f32")
    write_container(target, written, spec=spec)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("before", type=Path, help="a model file")
    parser.add_argument("after", type=Path, help="another of the same sizes; its metadata are kept")
    parser.add_argument(
        "--share", type=float, default=0.5, help="of `after` (default: %(default)s)"
    )
    parser.add_argument("--temperature", type=float, default=1.0, help="of what is drawn")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    if not 0 <= options.share <= 1:
        parser.error("--share: expected 0 to 1")
    if not 0.01 <= options.temperature <= 100:
        parser.error("--temperature: expected 0.01 to 100")
    temperature = options.temperature
    try:
        average(
            options.before, options.after, options.share, options.output, temperature=temperature
        )
    except pyvoc.Error as error:
        print(f"average: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
