#!/usr/bin/env python3
"""An LPCNet of more units in GRU A that says what the smaller one said, to go on training.

    python grow.py lpcnet.gguf --units 384 -o grown.gguf

New units are copies of old ones; what reads an old unit reads a part of it and the rest of its copy
(Chen et al., "Net2Net: accelerating learning via knowledge transfer", 2016). The parts are drawn,
so that the two do not learn the same. Whole blocks are copied: what was pruned stays so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pyvoc
from pyvoc.container import write_container
from pyvoc.container.tensors import AnyArray
from pyvoc.convert.model_file import read_weights
from pyvoc.families.lpcnet.spec import BLOCKS, LPCNET, MAX_GRU
from pyvoc.families.lpcnet.tables import TABLES
from pyvoc.files.outputs import check_outputs
from pyvoc.quant import encode

LEAST_PART = 0.3
"""Of an old unit that its readers go on to read."""


def grow(
    arrays: Mapping[str, AnyArray], units: int, generator: np.random.Generator
) -> dict[str, AnyArray]:
    """The arrays of an LPCNet whose GRU A has so many units."""
    old = arrays["gru_a.bias_hh"].shape[0] // 3
    together = np.arange(old).reshape(-1, max(BLOCKS[0]))  # copied as one, in drawn order
    drawn = np.resize(generator.permutation(len(together)), (units - old) // together.shape[1])
    copied = together[drawn].ravel()
    units_of = np.concatenate([np.arange(old), copied])
    gates_of = np.concatenate([gate * old + units_of for gate in range(3)])
    share: NDArray[np.float64] = np.ones(units)
    for unit in range(old):
        same = np.flatnonzero(units_of == unit)
        if len(same) > 1:
            parts = generator.uniform(LEAST_PART, 1, len(same))
            share[same] = parts / parts.sum()
    grown = {name: np.asarray(array, np.float64) for name, array in arrays.items()}
    for name in TABLES:
        grown[name] = grown[name][:, gates_of]
    for name in ("gru_a.cond.weight", "gru_a.bias_ih", "gru_a.bias_hh"):
        grown[name] = grown[name][gates_of]
    square = grown["gru_a.weight_hh"].reshape(3, old, old)
    own = np.stack([np.diag(gate) for gate in square])
    square = square - np.stack([np.diag(gate) for gate in own])
    square = square[:, units_of][:, :, units_of] * share
    square += np.stack([np.diag(gate[units_of]) for gate in own])
    grown["gru_a.weight_hh"] = square.reshape(3 * units, units)
    grown["gru_b.weight_ih"] = grown["gru_b.weight_ih"][:, units_of] * share
    return {name: array.astype("<f4") for name, array in grown.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("model", type=Path, help="an LPCNet, a model file")
    parser.add_argument("--units", type=int, required=True, help="of GRU A, a multiple of 16")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn (default: 0)")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.units % 16 or not 0 < options.units <= MAX_GRU:
        parser.error(f"--units: expected a multiple of 16 up to {MAX_GRU}")
    if options.seed < 0:
        parser.error("--seed: expected 0 or more")
    try:
        check_outputs([options.output], inputs=[options.model])
        before = read_weights(LPCNET, str(options.model))
        have = before.arrays["gru_a.bias_hh"].shape[0] // 3
        if options.units < have:
            raise pyvoc.Error(f"{options.model}: has {have} units, more than {options.units}")
        grown = grow(before.arrays, options.units, np.random.default_rng(options.seed))
        written = encode(LPCNET, grown, metadata=before.metadata, precision="f32")
        write_container(options.output, written, spec=LPCNET)
    except pyvoc.Error as error:
        print(f"grow: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
