"""Upstream checkpoints, one file per format, and model files to the container."""

from __future__ import annotations

from pyvoc.convert.checkpoint import Checkpoint
from pyvoc.convert.run import convert

__all__ = ["Checkpoint", "convert"]
