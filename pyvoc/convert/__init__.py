"""Upstream checkpoints to the container; one file per upstream format."""

from __future__ import annotations

from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.run import convert

__all__ = ["Checkpoint", "convert"]
