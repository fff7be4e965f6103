"""The exceptions of pyvoc."""

from __future__ import annotations


class Error(Exception):
    """What every pyvoc exception derives from."""


class ModelError(Error):
    """A model file or checkpoint that is damaged, or not what it says it is."""


class FeatureError(Error):
    """Features of the wrong layout, size or value."""


class AudioError(Error):
    """Audio of the wrong layout, rate or value."""


class UnsupportedError(Error):
    """Valid, but this installation or machine does not do it."""
