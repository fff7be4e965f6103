"""The exceptions pyvoc raises for what a user can get wrong."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "AudioError",
    "DoubtError",
    "Error",
    "FeatureError",
    "InputWarning",
    "ModelError",
    "OptionError",
    "UnsupportedError",
    "listed",
]

_MOST_LINES, _MOST_CHARACTERS = 20, 400


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


def listed(problems: Sequence[str]) -> list[str]:
    """The first 20 of many sentences, cut where they are long, and how many more there are."""
    most = _MOST_CHARACTERS
    shown = [p if len(p) <= most else f"{p[:most]} ..." for p in problems[:_MOST_LINES]]
    more = len(problems) - len(shown)
    return [*shown, f"... and {more} more"] if more > 0 else shown
