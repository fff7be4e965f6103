"""Ctrl-C for a program that a test has started."""

from __future__ import annotations

import signal


def heard() -> None:
    """`preexec_fn` of a child: a shell's background jobs inherit that Ctrl-C is ignored, and so
    would what these start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
