"""What several commands parse and show: whole numbers in a range, a count that goes up."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable

__all__ = ["counter", "fraction", "whole"]


def whole(low: int, high: int) -> Callable[[str], int]:
    """For argparse's ``type``: a whole number in ``low..high``, with a sign where `low` has one."""

    def parse(text: str) -> int:
        digits = text[1:] if low < 0 and text[:1] in ("+", "-") else text
        if not (digits.isascii() and digits.isdigit()) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is no whole number in {low}..{high}")
        return int(text)

    return parse


def fraction(text: str) -> float:
    """An argparse type: a number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0 to 1")
    return value


def counter(things: str) -> Callable[[int, int], None]:
    """Shows how many of how many `things` are done, on standard error where that is a terminal."""
    shown = sys.stderr.isatty()

    def show(done: int, total: int) -> None:
        if shown:
            end = "\n" if done == total else ""
            print(f"\r{done}/{total} {things}", end=end, file=sys.stderr, flush=True)

    return show
