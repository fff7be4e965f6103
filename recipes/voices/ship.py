#!/usr/bin/env python3
"""Put a trained model into the package: checks it, names it, writes pyvoc/voices/<NAME>.gguf.

    python ship.py runs/fargan/best.gguf --name default --description "..."

The file gets `general.name`, `general.description`, `general.license` and `general.author`, which
`make demo` and `pyvoc info` show; all else stays as it is (`pyvoc convert` and `pyvoc quantize`
make another precision).
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from pathlib import Path

import pyvoc
from pyvoc.container import read_container, write_container
from pyvoc.families import spec_of

MOST_BYTES = 4_000_000
VOICES = Path(__file__).resolve().parents[2] / "pyvoc" / "voices"


def ship(
    source: Path,
    target: Path,
    *,
    description: str,
    terms: str = "BSD-3-Clause",
) -> int:
    """Write `target`; returns its size in bytes.

    Raises
    ------
    Error
        The model is damaged, too large for the package, or cannot be written.
    """
    container = read_container(source)
    spec = spec_of(container, str(source))
    spec.validate(container, str(source))
    named = {
        **container.metadata,
        "general.name": f"pyvoc {target.stem} ({spec.architecture.removeprefix('pyvoc.')})",
        "general.description": description,
        "general.license": terms,
        "general.author": "the pyvoc project",
    }
    part = target.with_suffix(".part")
    try:
        write_container(part, dataclasses.replace(container, metadata=named), spec=spec)
        pyvoc.load(part)
        size = part.stat().st_size
        if size > MOST_BYTES:
            raise pyvoc.Error(f"{source}: takes {size} bytes; a bundled voice at most {MOST_BYTES}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("source", type=Path, help="a model file")
    parser.add_argument("--name", required=True, help="of the voice")
    parser.add_argument("--description", required=True, help="one sentence: trained on what")
    parser.add_argument(
        "--license",
        default="BSD-3-Clause",
        help="SPDX (default: %(default)s; others' weights add theirs)",
    )
    parser.add_argument("--folder", type=Path, default=VOICES, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", options.name):
        parser.error("--name: expected letters, digits, - and _")
    if not options.description.strip():
        parser.error("--description: expected a sentence")
    target = options.folder / f"{options.name}.gguf"
    try:
        size = ship(
            options.source,
            target,
            description=options.description,
            terms=options.license,
        )
    except pyvoc.Error as error:
        print(f"ship: {error}", file=sys.stderr)
        return 1
    print(f"{target}: {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
