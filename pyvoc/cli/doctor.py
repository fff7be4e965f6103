"""``pyvoc doctor``: checks this installation."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import Any

from pyvoc.cli.health import check_installation

__all__ = ["add_parser", "run"]

BROKEN = 3


def add_parser(subparsers: Any) -> None:
    """Add the sub-command to argparse's sub-parsers."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "doctor",
        help="check this installation",
        description="Check what pyvoc needs and what it can use, and synthesise a moment of sound. "
        f"Exit code 0 when the core works, {BROKEN} when not.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run the sub-command; 0 when the core works."""
    checks = check_installation()
    works = all(check.ok for check in checks if check.core)
    if args.json:
        print(
            json.dumps({"ok": works, "checks": [dataclasses.asdict(c) for c in checks]}, indent=2)
        )
        return 0 if works else BROKEN
    for check in checks:
        mark = "ok" if check.ok else "FAIL" if check.core else "-"
        print(f"{mark:>4}  {check.name:<12} {check.detail}")
        if not check.ok:
            print(f"      {'':<12} -> {check.hint}")
    print("pyvoc works" if works else "pyvoc does not work here")
    return 0 if works else BROKEN
