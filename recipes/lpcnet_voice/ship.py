#!/usr/bin/env python3
"""Put a trained model into the package: checks it, names it, writes pyvoc/voices/<NAME>.gguf.

    python ship.py default_voice/default.gguf [--name default] [--folder pyvoc/voices]

The file gets `general.name`, `general.description`, `general.license` and `general.author`, which
`make demo` and `pyvoc info` show; tensors and all other metadata stay as they are.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import pyvoc
from pyvoc.container import read_container, write_container
from pyvoc.families import spec_of

MOST_BYTES = 1_500_000
VOICES = Path(__file__).resolve().parents[2] / "pyvoc" / "voices"
DESCRIPTION = (
    "pyvoc's bundled voice: trained by recipes/default_voice on 141 s of LJSpeech (public domain) "
    "and on speech that flite's voices slt, rms and awb read"
)


def ship(source: Path, target: Path, *, description: str) -> int:
    """Write `target`; returns its size in bytes.

    Raises
    ------
    Error
        The model is damaged, not int8, too large for the package, or cannot be written.
    """
    container = read_container(source)
    model = pyvoc.load(source, precision="int8")
    metadata = {
        **container.metadata,
        "general.name": f"pyvoc {target.stem} ({model.info.architecture})",
        "general.description": description,
        "general.license": "BSD-3-Clause",
        "general.author": "the pyvoc project",
    }
    size = source.stat().st_size
    if size > MOST_BYTES:
        raise pyvoc.Error(f"'{source}' has {size} bytes; a bundled voice has at most {MOST_BYTES}")
    shipped = dataclasses.replace(container, metadata=metadata)
    write_container(target, shipped, spec=spec_of(container, str(source)))
    return target.stat().st_size


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("source", type=Path, help="an int8 model that `pyvoc train` made")
    parser.add_argument("--name", default="default", help="of the voice (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=VOICES, help="default: %(default)s")
    parser.add_argument("--description", default=DESCRIPTION, help="default: %(default)s")
    options = parser.parse_args(arguments)
    target = options.folder / f"{options.name}.gguf"
    try:
        size = ship(options.source, target, description=options.description)
    except (pyvoc.Error, OSError) as error:
        print(f"ship: {error}", file=sys.stderr)
        return 1
    print(f"{target}: {size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
