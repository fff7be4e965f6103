"""One bad input among many: it ends the work, or is left out and counted."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyvoc.errors import Error
from pyvoc.files.doubts import collect

__all__ = ["Failure", "Failures", "is_pipe", "look_first"]

_SHOWN = 5
"""Bad inputs that one message names; the others are counted."""


@dataclass(frozen=True)
class Failure:
    """An input that was left out.

    Attributes
    ----------
    input
        Its name.
    error
        The sentence that says why.
    """

    input: str
    error: str


class Failures:
    """What fails of many inputs.

    Parameters
    ----------
    keep_going
        What fails is left out; without, it ends the work.
    say
        Called with each sentence, at once.

    Attributes
    ----------
    found
        In the order in which they came up.
    """

    def __init__(
        self, *, keep_going: bool = False, say: Callable[[str], None] | None = None
    ) -> None:
        self.keep_going = keep_going
        self.found: list[Failure] = []
        self._say = say

    @contextmanager
    def attempt(self, name: str) -> Iterator[None]:
        """Work on one input; an error within is its own, and names it.

        Raises
        ------
        Error
            What the block raises, where nothing is left out.
        """
        try:
            yield
        except Error as error:
            self.take(name, error)

    def take(self, name: str, error: Error) -> None:
        """Note that an input failed, or raise its error where nothing is left out."""
        named = _named(name, error)
        if not self.keep_going:
            raise named from error.__cause__
        self.found.append(Failure(name, str(named)))
        if self._say is not None:
            self._say(str(named))


def look_first(names: Sequence[str], look: Callable[[str], object], failures: Failures) -> None:
    """Look at many inputs before the work begins, and refuse all bad ones in one message.

    Where they are to be left out nothing is done: each is found when its turn comes. Pipes, which
    can be read once, are passed over.

    Parameters
    ----------
    names
        The inputs.
    look
        Raises `Error` for a bad one; cheap beside the work. Its doubts are passed over, as they
        come up again.
    failures
        Whether bad ones are left out.

    Raises
    ------
    Error
        Of the one that is bad, or about all that are.
    """
    if failures.keep_going or len(names) < 2:
        return
    bad: list[Error] = []
    with collect():
        for name in names:
            try:
                if not is_pipe(name):
                    look(name)
            except Error as error:
                bad.append(_named(name, error))
    if not bad:
        return
    kind = type(bad[0]) if len(bad) == 1 else Error
    more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    raise kind(
        f"{len(bad)} of {len(names)} inputs cannot be used (--keep-going does the others): "
        f"{'; '.join(map(str, bad[:_SHOWN]))}{more}"
    )


def is_pipe(name: str) -> bool:
    """Whether an input is a pipe or device, or ``-``: what is read of it is gone."""
    if name == "-":
        return True
    try:
        mode = os.stat(name).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _named(name: str, error: Error) -> Error:
    """The error with the input's name, where its message lacks it."""
    what = "standard input" if name == "-" else name
    if what in str(error):
        return error
    return type(error)(f"'{name}': {error}" if name != "-" else f"{what}: {error}")
