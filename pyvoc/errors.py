"""The exceptions pyvoc raises for what a user can get wrong."""

from __future__ import annotations

__all__ = [
    "AudioError",
    "DoubtError",
    "Error",
    "FeatureError",
    "InputWarning",
    "ModelError",
    "OptionError",
    "UnsupportedError",
]


class Error(Exception):
    """Base of every pyvoc error; the message is a sentence naming file, expected and found."""


class ModelError(Error):
    """A model or checkpoint is damaged, incomplete or not what it says it is."""


class FeatureError(Error):
    """Features have the wrong layout, size or values."""


class AudioError(Error):
    """Audio has the wrong format, rate, size or values."""


class DoubtError(Error):
    """Input may not be what was meant, and nothing doubtful was to be read."""


class OptionError(Error):
    """An option was given that the model's family does not have; the message says whose it is."""


class UnsupportedError(Error):
    """The request is valid, but this build or installation does not do it."""


class InputWarning(UserWarning):
    """Input was read that may not be what was meant; see :mod:`pyvoc.files.doubts`."""
